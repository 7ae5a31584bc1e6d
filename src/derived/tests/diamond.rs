//! No glitch, one view, and the barrier.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use futures_util::FutureExt as _;

use super::*;
use crate::derived::GraphView;

/// `twice` and `thrice` are made of the numbers, and `sum` of both and the numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diamond_never_shows_a_mix_and_computes_each_input_once() {
    const OBJECTS: u64 = 20;
    const ROUNDS: u64 = 300;
    let (mut numbers, calls) = (Hand::<u64>::new("numbers"), Calls::default());
    let mut graph = Graph::new("diamond");
    let number = graph.source(&numbers.informer);
    let twice = graph.map("twice", number, |n, _| Some(**n * 2));
    let thrice = graph.map("thrice", number, |n, _| Some(**n * 3));
    let counted = calls.clone();
    let sum = graph.map("sum", number, move |n, read| {
        counted.count();
        let (twice, thrice) = (read.get(twice, n).unwrap(), read.get(thrice, n).unwrap());
        Some((**n, **twice, **thrice))
    });
    let sums = graph.informer(sum);
    let graph = graph.start();

    let over = Arc::new(AtomicBool::new(false));
    let check = move |view: &GraphView| {
        for n in view.of(number) {
            let expected = (**n, **n * 2, **n * 3);
            assert_eq!(**view.of(sum).get(n).unwrap(), expected, "a mix within an object");
            assert_eq!(**view.of(twice).get(n).unwrap(), expected.1, "a mix between two nodes");
        }
        let first = view.of(number).iter().next().map(|n| **n);
        assert!(view.of(number).iter().all(|n| Some(**n) == first), "half a batch of the source");
    };
    let reader = {
        let (over, graph) = (over.clone(), graph.clone());
        thread::spawn(move || {
            let mut views = 0_usize;
            while !over.load(Relaxed) {
                check(&graph.view());
                views += 1;
            }
            views
        })
    };
    for round in 0..ROUNDS {
        let written = numbers.apply((0..OBJECTS).map(|at| (key(at), Some(round))));
        // Sometimes a tick takes in several rounds.
        if round % 3 > 0 {
            let view = graph.reached(&written).await.unwrap();
            check(&view);
            assert_eq!(view.of(number).get("0").map(|n| **n), Some(round), "the barrier");
            assert_eq!(sums.get("0").map(|sum| sum.0), Some(round), "the informer shows what the view does");
        }
    }
    over.store(true, Relaxed);
    assert!(reader.join().unwrap() > 0);
    graph.reached(&numbers.informer.snapshot()).await.unwrap();
    let stats = graph.stats();
    assert_eq!(calls.take() as u64, stats.ticks * OBJECTS, "each input once in each tick");
    assert_eq!(stats.lag, 0);
    graph.shutdown().await;
}

/// What a subscription delivers is in the view, and so is what another informer of the graph then shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_never_behind_what_a_subscription_has_delivered() {
    let mut numbers = Hand::<u64>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let first = graph.map("first", number, |n, _| Some(**n));
    let last = graph.map("last", number, |n, _| Some(**n));
    let mut changes = graph.informer(first).subscribe();
    let graph = graph.start();
    let writer = thread::spawn(move || {
        for n in 1..=2_000 {
            numbers.set("n", n);
        }
        numbers
    });
    loop {
        let batch = changes.next().await.unwrap();
        let seen = batch.snapshot().get("n").map_or(0, |n| **n);
        let view = graph.view();
        let shown = |node| view.of(node).get("n").map_or(0, |n| **n);
        assert!(shown(first) >= seen);
        assert_eq!(shown(first), shown(last));
        if seen == 2_000 {
            break;
        }
    }
    drop(writer.join().unwrap());
}

/// As far as `reached` has come, all informers have: the reader looks as often as it can while they are published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_barrier_no_informer_is_behind_the_view() {
    const ROUNDS: u64 = 1_000;
    let mut numbers = Hand::<u64>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let copies: Vec<_> = (0..30).map(|_| graph.map("copy", number, |n, _| Some(**n))).collect();
    let last = copies[29];
    let informer = graph.informer(last);
    let graph = graph.start();
    let first = numbers.set("n", 0);
    graph.reached(&first).await.unwrap();
    let reader = thread::spawn(move || {
        loop {
            let view = graph.reached(&first).now_or_never().unwrap().unwrap();
            let (shown, reached) =
                (**informer.snapshot().get("n").unwrap(), **view.of(last).get("n").unwrap());
            assert!(shown >= reached, "the informer shows {shown}, and the view {reached}");
            if reached == ROUNDS {
                break graph;
            }
        }
    });
    for round in 1..=ROUNDS {
        numbers.set("n", round);
        tokio::task::yield_now().await;
    }
    reader.join().unwrap().shutdown().await;
}

/// Two nodes of one informer might have two versions of it, and a graph that follows itself never ends.
#[tokio::test]
async fn an_informer_has_one_node_in_a_graph() {
    let mut numbers = Hand::<u64>::new("numbers");
    let mut graph = Graph::new("test");
    let (first, again) = (graph.source(&numbers.informer), graph.source(&numbers.informer));
    let copy = graph.map("copy", first, |n, _| Some(**n));
    let copies = graph.informer(copy);
    let itself = graph.source(&copies);
    assert_eq!((first.id, copy.id), (again.id, itself.id));
    let graph = graph.start();
    assert_eq!(graph.not_synced(), ["numbers"]);
    assert_eq!(graph.reached(&numbers.set("a", 1)).await.unwrap().of(itself).len(), 1);
}
