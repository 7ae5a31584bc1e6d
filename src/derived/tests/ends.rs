//! Shutdown while a tick runs, slow transforms, sources that never sync or that end, and graphs that no one uses.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::*;
use crate::reflector::Phase;

/// Longer than a turn, so that the task lets others run after each input.
fn slow() {
    let began = Instant::now();
    while began.elapsed() < Duration::from_micros(300) {
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn nothing_of_a_tick_that_a_shutdown_interrupts_is_visible() {
    let mut numbers = Hand::<u32>::new("numbers");
    let calls = Calls::default();
    let counted = calls.clone();
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let copy = graph.map("copy", number, |n, _| Some(**n));
    graph.map("slow", number, move |_, _| {
        counted.count();
        slow();
        Some(())
    });
    let copies = graph.informer(copy);
    numbers.apply((0..10).map(|n| (key(n), Some(n))));
    let (graph, driver) = graph.build();
    let mut driver = pin!(driver);
    let mut context = Context::from_waker(Waker::noop());
    while calls.0.load(Relaxed) == 0 {
        assert!(driver.as_mut().poll(&mut context).is_pending());
    }
    let done = calls.take();
    assert!(done < 10, "the tick goes on");
    // A slow transform does not delay its sources, nor other graphs.
    numbers.set("0", 77);
    assert_eq!(numbers.informer.get("0").map(|n| *n), Some(77));
    let mut other = Graph::new("other");
    let source = other.source(&numbers.informer);
    let other = other.start();
    assert_eq!(other.synced().await.unwrap().of(source).len(), 10);

    assert!(copies.snapshot().is_empty() && !copies.is_synced() && graph.view().of(copy).is_empty());
    graph.shutdown().await;
    assert!(matches!(driver.as_mut().poll(&mut context), Poll::Ready(())));
    assert!(copies.snapshot().is_empty() && graph.view().tick() == 0);
    assert_eq!(copies.status().phase, Phase::Stopped);
    assert!(copies.synced().await.unwrap_err().is_stopped());
    assert!(graph.synced().await.unwrap_err().is_stopped());
    assert!(graph.reached(&numbers.informer.snapshot()).await.unwrap_err().is_stopped());
    assert!(numbers.set("1", 1).len() == 10, "the source goes on");
}

#[tokio::test]
async fn a_source_that_never_syncs_is_named() {
    let (mut a, b) = (Hand::<u32>::new("a"), Hand::<u32>::new("b"));
    let mut graph = Graph::new("test");
    let (first, second) = (graph.source(&a.informer), graph.source(&b.informer));
    let both = graph.join("both", [first, second]);
    let both = graph.informer(both);
    let graph = graph.start();
    assert_eq!(graph.not_synced(), ["a", "b"]);
    a.set("x", 1);
    let error = crate::error::Error::from(crate::error::ErrorKind::Unsupported);
    b.report(|status| {
        status.phase = Phase::BackingOff;
        status.failures = 3;
        status.last_error = Some(error);
    });
    let mut statuses = Box::pin(both.status_changes());
    while both.status().phase != Phase::BackingOff {
        futures_util::StreamExt::next(&mut statuses).await;
    }
    assert_eq!(graph.not_synced(), ["b"]);
    assert!(!both.is_synced() && graph.view().tick() == 0);
    assert!(both.status().last_error.is_some_and(|error| error.is_unsupported()));
    // Nor does it sync when that source ends: waits end with an error.
    drop(b);
    assert!(graph.synced().await.unwrap_err().is_stopped());
}

#[tokio::test]
async fn a_source_that_ends_keeps_its_last_objects() {
    let (mut fixed, mut moving) = (Hand::<u32>::new("fixed"), Hand::<u32>::new("moving"));
    let mut graph = Graph::new("test");
    let (first, second) = (graph.source(&fixed.informer), graph.source(&moving.informer));
    let sum = graph.map("sum", second, move |n, read| Some(**n + read.get(first, "x").map_or(0, |x| **x)));
    let sums = graph.informer(sum);
    let graph = graph.start();
    fixed.set("x", 100);
    drop(fixed);
    for n in [1, 2] {
        let view = graph.reached(&moving.set("y", n)).await.unwrap();
        assert_eq!(content(view.of(sum)), of([("y", 100 + n)]));
    }
    assert!(sums.status().stale_since.is_some(), "and the status says so");
    // The last change is in the last view.
    let last = moving.set("y", 3);
    drop(moving);
    assert_eq!(content(graph.reached(&last).await.unwrap().of(sum)), of([("y", 103)]));
    let end = sums.wait_until(|_| false).await.unwrap_err();
    assert!(end.is_stopped() && sums.get("y").is_some());
}

#[tokio::test]
async fn a_graph_runs_while_a_handle_or_an_informer_of_it_exists() {
    let mut numbers = Hand::<u32>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let copy = graph.map("copy", number, |n, _| Some(**n));
    let other = graph.map("other", number, |n, _| Some(**n));
    let (copies, others) = (graph.informer(copy), graph.informer(other));
    let running = graph.start();
    running.reached(&numbers.set("a", 1)).await.unwrap();
    drop(running);
    drop(others);
    let mut changes = copies.subscribe();
    drop(copies);
    assert_eq!(changes.next().await.unwrap().changes().count(), 1);
    numbers.set("b", 2);
    assert_eq!(changes.next().await.unwrap().changes().count(), 1);
    let source = numbers.informer.downgrade();
    assert!(source.holders() > 1, "the graph keeps its sources");
    drop(changes);
    while source.holders() > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_graph_that_is_not_started_stops_its_informers() {
    let numbers = Hand::<u32>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let copy = graph.map("copy", number, |n, _| Some(**n));
    let copies = graph.informer(copy);
    drop(graph);
    assert!(copies.synced().await.unwrap_err().is_stopped());
    copies.shutdown().await;
    assert_eq!(numbers.informer.downgrade().holders(), 1);
}

#[tokio::test]
async fn the_shutdown_of_a_derived_informer_is_that_of_its_graph() {
    let mut numbers = Hand::<u32>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let copy = graph.map("copy", number, |n, _| Some(**n));
    let copies = graph.informer(copy);
    let graph = graph.start();
    graph.reached(&numbers.set("a", 1)).await.unwrap();
    copies.shutdown().await;
    assert!(graph.reached(&numbers.set("a", 2)).await.unwrap_err().is_stopped());
    assert_eq!(graph.view().of(copy).get("a").map(|n| **n), Some(1), "the last view stays");
}

/// Otherwise the shutdown would wait for a driver that no task polls.
#[tokio::test]
async fn a_derived_informer_ends_a_graph_that_is_not_polled() {
    let numbers = Hand::<u32>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let copy = graph.map("copy", number, |n, _| Some(**n));
    let copies = graph.informer(copy);
    let (graph, driver) = graph.build();
    copies.shutdown().await;
    assert!(graph.synced().await.unwrap_err().is_stopped());
    driver.await;
}
