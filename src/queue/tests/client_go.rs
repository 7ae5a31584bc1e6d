//! The scenarios of client-go's `workqueue` tests, each with its name there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::{task::JoinSet, time::Instant};

use super::{HOUR, MS, WorkQueue, get, join, join_all, settle, spawn_get};

/// `TestBasic`
#[tokio::test(start_paused = true)]
async fn many_producers_and_workers_never_work_on_one_key_at_once() {
    let queue = WorkQueue::new();
    let mut producers = JoinSet::new();
    for producer in 0..50_u64 {
        let queue = queue.clone();
        producers.spawn(async move {
            for round in 0..50 {
                queue.add(producer);
                tokio::time::sleep((round % 3) * MS).await;
            }
        });
    }
    let running = Arc::new(Mutex::new(HashMap::<u64, u32>::new()));
    let mut workers = JoinSet::new();
    for _ in 0..10 {
        let (queue, running) = (queue.clone(), Arc::clone(&running));
        workers.spawn(async move {
            while let Some(key) = queue.get().await {
                assert!(running.lock().unwrap().insert(*key, 1).is_none(), "{} is worked on twice", *key);
                tokio::time::sleep(3 * MS).await;
                running.lock().unwrap().remove(&*key);
            }
        });
    }
    join_all(producers).await;
    queue.drain(HOUR).await.unwrap();
    join_all(workers).await;
    let stats = queue.stats();
    assert_eq!((stats.depth, stats.processing, stats.work.count()), (0, 0, stats.adds));
    assert!(stats.adds >= 50);
}

/// `TestAddWhileProcessing`, `TestReinsert`
#[tokio::test(start_paused = true)]
async fn a_key_added_while_leased_comes_again_after_the_lease_and_only_then() {
    let queue = WorkQueue::new();
    queue.add("foo");
    let first = get(&queue).await;
    queue.add("foo");
    assert_eq!(queue.len(), 0, "not while it is claimed");
    let second = spawn_get(&queue);
    settle().await;
    assert!(!second.is_finished());
    first.done();
    assert_eq!(join(second).await, Some("foo"));
    assert!(queue.is_empty(), "and once only");
    assert_eq!(queue.stats().processing, 0);
}

/// `TestCollapse`
#[tokio::test]
async fn adds_of_a_queued_key_collapse() {
    let queue = WorkQueue::new();
    queue.add("bar");
    queue.add("bar");
    queue.add_all(["bar", "bar"]);
    get(&queue).await.done();
    assert_eq!((queue.len(), queue.stats().adds), (0, 1));
}

/// `TestCollapseWhileProcessing`
#[tokio::test]
async fn adds_of_a_leased_key_collapse() {
    let queue = WorkQueue::new();
    queue.add("bar");
    let claim = get(&queue).await;
    queue.add("bar");
    queue.add("bar");
    drop(claim);
    assert_eq!(queue.len(), 1);
    get(&queue).await.done();
    assert_eq!((queue.len(), queue.stats().adds), (0, 2));
}

/// `TestLen`
#[tokio::test]
async fn len_counts_distinct_waiting_keys() {
    let queue = WorkQueue::new();
    for (key, len) in [("foo", 1), ("bar", 2), ("foo", 2)] {
        queue.add(key);
        assert_eq!(queue.len(), len);
    }
    let claim = get(&queue).await;
    assert_eq!((*claim, queue.len()), ("foo", 1), "first in, first out; a claimed key does not wait");
}

/// `TestGarbageCollection`
#[tokio::test]
async fn a_key_that_is_done_is_freed() {
    let key = Arc::new("key");
    let queue = WorkQueue::new();
    queue.add(Arc::clone(&key));
    queue.add_after(Arc::clone(&key), MS);
    queue.add_rate_limited(Arc::clone(&key));
    get(&queue).await.done();
    get(&queue).await.done();
    queue.forget(&key);
    assert_eq!(Arc::strong_count(&key), 1);
}

/// `TestSimpleQueue` of the delaying queue
#[tokio::test(start_paused = true)]
async fn a_delayed_key_comes_at_its_deadline() {
    let (queue, start) = (WorkQueue::new(), Instant::now());
    queue.add_after("foo", 50 * MS);
    let waiting = spawn_get(&queue);
    tokio::time::sleep(49 * MS).await;
    assert!(!waiting.is_finished());
    assert_eq!((queue.len(), queue.stats().delayed), (0, 1));
    assert_eq!(join(waiting).await, Some("foo"));
    assert_eq!(start.elapsed(), 50 * MS);
    tokio::time::sleep(HOUR).await;
    assert_eq!((queue.len(), queue.stats().delayed), (0, 0));
}

/// `TestDeduping`
#[tokio::test(start_paused = true)]
async fn of_two_delayed_adds_the_earlier_deadline_wins_and_the_key_comes_once() {
    for (first, second) in [(50, 70), (70, 50)] {
        let (queue, start) = (WorkQueue::new(), Instant::now());
        queue.add_after("foo", first * MS);
        queue.add_after("foo", second * MS);
        get(&queue).await.done();
        assert_eq!(start.elapsed(), 50 * MS);
        tokio::time::sleep(HOUR).await;
        assert!(queue.is_empty());
    }
}

/// `TestAddTwoFireEarly`
#[tokio::test(start_paused = true)]
async fn a_later_add_with_an_earlier_deadline_comes_first() {
    let (queue, start) = (WorkQueue::new(), Instant::now());
    queue.add_after("foo", 1000 * MS);
    let waiting = spawn_get(&queue); // sleeps until 1000 ms
    settle().await;
    queue.add_after("bar", 50 * MS);
    assert_eq!(join(waiting).await, Some("bar"));
    assert_eq!(start.elapsed(), 50 * MS);
    assert_eq!(*get(&queue).await, "foo");
    assert_eq!(start.elapsed(), 1000 * MS);
}

/// `TestCopyShifting`
#[tokio::test(start_paused = true)]
async fn keys_come_due_in_the_order_of_their_deadlines_even_if_nobody_looked() {
    let queue = WorkQueue::new();
    queue.add_after("first", 1000 * MS);
    queue.add_after("second", 500 * MS);
    queue.add_after("third", 250 * MS);
    tokio::time::sleep(2000 * MS).await;
    queue.add("now");
    for key in ["third", "second", "first", "now"] {
        assert_eq!(*get(&queue).await, key);
    }
    assert_eq!(queue.stats().wait.max(), 1750 * MS, "the wait counts from the deadline");
}

#[tokio::test(start_paused = true)]
async fn no_delay_is_an_add_and_endless_delays_are_no_panic() {
    let queue = WorkQueue::new();
    queue.add_after("never", std::time::Duration::MAX);
    let waiting = spawn_get(&queue);
    settle().await;
    queue.add_after("now", std::time::Duration::ZERO);
    assert_eq!(join(waiting).await, Some("now"));
    assert_eq!(queue.stats().delayed, 1);
}
