//! Waiting `get`s that are dropped, and which ones are woken.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{HOUR, MS, PATIENCE, WorkQueue, get, join, join_all, settle, spawn_get};

#[tokio::test(start_paused = true)]
async fn a_get_cancelled_after_it_was_woken_passes_the_key_on() {
    let queue = WorkQueue::new();
    let (first, second) = (spawn_get(&queue), spawn_get(&queue));
    settle().await;
    queue.add("foo"); // wakes the first, which is aborted before it runs
    first.abort();
    assert_eq!(join(second).await, Some("foo"));
    assert!(first.await.unwrap_err().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn when_the_get_that_watches_the_clock_is_cancelled_another_takes_over() {
    let (queue, start) = (WorkQueue::new(), Instant::now());
    queue.add_after("foo", 50 * MS);
    let (first, second) = (spawn_get(&queue), spawn_get(&queue));
    settle().await;
    first.abort();
    assert_eq!(join(second).await, Some("foo"));
    assert_eq!(start.elapsed(), 50 * MS);
}

#[tokio::test(start_paused = true)]
async fn when_the_get_that_watches_the_clock_leaves_with_a_key_another_takes_over() {
    let (queue, start) = (WorkQueue::new(), Instant::now());
    queue.add_after("late", 50 * MS);
    let (first, second) = (spawn_get(&queue), spawn_get(&queue));
    settle().await;
    queue.add("now");
    assert_eq!(join(first).await, Some("now"));
    assert_eq!(join(second).await, Some("late"));
    assert_eq!(start.elapsed(), 50 * MS);
}

#[tokio::test(start_paused = true)]
async fn every_waiting_get_is_given_one_of_the_keys_added_at_once() {
    let queue = WorkQueue::new();
    let waiting = ["a", "b", "c"].map(|_| spawn_get(&queue));
    settle().await;
    queue.add_all(["a", "b", "c"]);
    for (task, key) in waiting.into_iter().zip(["a", "b", "c"]) {
        assert_eq!(join(task).await, Some(key), "in the order in which they began to wait");
    }
}

#[tokio::test(start_paused = true)]
async fn every_waiting_get_is_given_one_of_the_keys_that_come_due_at_once() {
    let (queue, start) = (WorkQueue::new(), Instant::now());
    let waiting = ["a", "b", "c"].map(|_| spawn_get(&queue));
    settle().await;
    for key in ["a", "b", "c"] {
        queue.add_after(key, 50 * MS);
    }
    let mut keys = BTreeSet::new();
    for task in waiting {
        keys.extend(join(task).await);
    }
    assert_eq!(keys, BTreeSet::from(["a", "b", "c"]));
    assert_eq!(start.elapsed(), 50 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_due_wakes_one_get_not_all() {
    let (queue, polls) = (WorkQueue::new(), Arc::new(AtomicUsize::new(0)));
    queue.add_after(11, 11 * MS); // each of them sees that a deadline is pending
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (queue, polls) = (queue.clone(), Arc::clone(&polls));
        tasks.spawn(async move {
            let mut get = pin!(queue.get());
            std::future::poll_fn(|cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                get.as_mut().poll(cx)
            })
            .await
            .map(|claim| *claim)
        });
    }
    settle().await;
    assert_eq!(polls.swap(0, Ordering::Relaxed), 100);
    for n in 1..=10 {
        queue.add_after(n, n * MS);
    }
    for n in 1..=11 {
        assert_eq!(timeout(HOUR, tasks.join_next()).await.unwrap().unwrap().unwrap(), Some(n));
    }
    settle().await;
    // For each key: one poll that takes it, and up to two of the next `get` that waits for the deadline (a
    // notification may be outdated).
    assert!(polls.load(Ordering::Relaxed) <= 35, "{} polls for 11 keys", polls.load(Ordering::Relaxed));
    queue.shut_down();
    assert_eq!(join_all(tasks).await.len(), 89);
}

#[tokio::test(start_paused = true)]
async fn gets_cancelled_at_random_lose_no_key() {
    for seed in 0..20 {
        println!("seed {seed}");
        let queue = WorkQueue::<u64>::new();
        let mut getters = JoinSet::new();
        for getter in 0..6 {
            let (queue, mut rng) = (queue.clone(), StdRng::seed_from_u64(seed * 100 + getter));
            getters.spawn(async move {
                let mut keys = Vec::new();
                loop {
                    match timeout(rng.random_range(0..4) * MS, queue.get()).await {
                        Ok(Some(key)) => keys.push(*key),
                        Ok(None) => return keys,
                        Err(_) => tokio::time::sleep(rng.random_range(0..3) * MS).await,
                    }
                }
            });
        }
        let mut rng = StdRng::seed_from_u64(seed);
        for key in 0..500 {
            match rng.random_range(0..3) {
                0 => queue.add(key),
                1 => queue.add_after(key, rng.random_range(0..20) * MS),
                _ => {
                    tokio::time::sleep(rng.random_range(0..3) * MS).await;
                    queue.add(key);
                }
            }
        }
        tokio::time::sleep(30 * MS).await; // the last delays are over
        queue.drain(HOUR).await.unwrap();
        let mut keys = join_all(getters).await.concat();
        keys.sort_unstable();
        assert_eq!(keys, Vec::from_iter(0..500));
    }
}

/// Four waiting `get`s on parallel threads, without timeouts: a lost wake-up makes the test hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_threads() {
    let queue = WorkQueue::<u32>::new();
    let mut getters = JoinSet::new();
    for _ in 0..4 {
        let queue = queue.clone();
        getters.spawn(async move {
            let mut count = 0_u32;
            while let Some(key) = queue.get().await {
                count += 1;
                if *key % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            count
        });
    }
    let answered = WorkQueue::<u32>::new();
    for key in 0..20_000 {
        // There is rarely more than one key, so the getters sleep and wake all the time.
        queue.add(key);
        if key % 3 == 0 {
            answered.add(key);
            get(&answered).await.done();
            tokio::task::yield_now().await;
        }
    }
    queue.drain(PATIENCE).await.unwrap();
    assert_eq!(join_all(getters).await.iter().sum::<u32>(), 20_000);
}
