//! Rate-limited adds.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::{Options, WorkQueue},
    MS, get, settle, spawn_get,
};

/// `TestRateLimitingQueue` of client-go.
#[tokio::test(start_paused = true)]
async fn each_failure_doubles_the_delay_until_forgotten() {
    let queue = WorkQueue::new();
    queue.add("a");
    for (failures, delay) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80)] {
        let claim = get(&queue).await;
        queue.add_rate_limited("a");
        assert_eq!(queue.retries(&"a"), failures);
        claim.done();
        let start = Instant::now();
        let again = get(&queue).await;
        assert_eq!(start.elapsed(), delay * MS);
        again.done();
        queue.add("a");
    }
    queue.forget(&"a");
    assert_eq!(queue.retries(&"a"), 0);
    get(&queue).await.done();
    let start = Instant::now();
    queue.add_rate_limited("a");
    get(&queue).await.done();
    assert_eq!((start.elapsed(), queue.stats().retries), (5 * MS, 6));
}

#[tokio::test(start_paused = true)]
async fn the_bucket_is_shared_by_all_keys() {
    let queue = WorkQueue::with_options(Options::new().bucket(2, 100 * MS));
    let start = Instant::now();
    for key in ["a", "b", "c", "d"] {
        queue.add_rate_limited(key);
    }
    for (key, at) in [("a", 5), ("b", 5), ("c", 100), ("d", 200)] {
        assert_eq!(*get(&queue).await, key);
        assert_eq!(start.elapsed(), at * MS);
    }
}

/// controller-runtime 1594.
#[tokio::test(start_paused = true)]
async fn adding_one_key_again_and_again_delays_neither_it_nor_others() {
    let queue = WorkQueue::new();
    let start = Instant::now();
    for _ in 0..10_000 {
        queue.add_rate_limited("hot");
    }
    assert_eq!((queue.retries(&"hot"), queue.stats().delayed), (1, 1));
    queue.add_rate_limited("other");
    assert_eq!(*get(&queue).await, "hot");
    assert_eq!(*get(&queue).await, "other");
    assert_eq!(start.elapsed(), 5 * MS);
}

#[tokio::test(start_paused = true)]
async fn the_tokens_one_key_can_take_are_bounded_whatever_was_scheduled_before() {
    // An empty bucket, and a key whose delayed add is later than its own delay and which is forgotten
    // repeatedly.
    let queue = WorkQueue::with_options(Options::new().bucket(1, 1000 * MS));
    let start = Instant::now();
    queue.add_rate_limited("first");
    queue.add_after("hot", 60_000 * MS);
    for _ in 0..1000 {
        queue.add_rate_limited("hot");
        queue.forget(&"hot");
    }
    queue.add_rate_limited("other");
    for (key, at) in [("first", 5), ("hot", 1000), ("other", 2000)] {
        assert_eq!(*get(&queue).await, key);
        assert_eq!(start.elapsed(), at * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_counted_once_per_lease() {
    let queue = WorkQueue::new();
    queue.add("a");
    let claim = get(&queue).await;
    for _ in 0..5 {
        queue.add_rate_limited("a");
    }
    assert_eq!((queue.retries(&"a"), queue.stats().retries), (1, 1));
    claim.done();
    let claim = get(&queue).await;
    queue.add("a"); // queued again after this run, but the failure still counts
    queue.add_rate_limited("a");
    assert_eq!((queue.retries(&"a"), queue.stats().delayed), (2, 0));
    claim.done();
    assert_eq!(queue.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_comes_before_a_later_delayed_add_and_after_an_earlier_one() {
    let queue = WorkQueue::with_options(Options::new().backoff(50 * MS, Duration::from_secs(9)));
    for (requeue, expected) in [(600_000, 50), (20, 20)] {
        let start = Instant::now();
        queue.add_after("a", requeue * MS);
        queue.add_rate_limited("a");
        get(&queue).await.done();
        assert_eq!(start.elapsed(), expected * MS);
        assert!(queue.is_empty());
        assert_eq!(queue.stats().delayed, 0);
        queue.forget(&"a");
    }
}

#[tokio::test(start_paused = true)]
async fn without_limits_a_retry_is_an_add() {
    let queue = WorkQueue::with_options(
        Options::new().backoff(Duration::ZERO, Duration::ZERO).bucket(0, Duration::ZERO),
    );
    let waiting = spawn_get(&queue);
    settle().await;
    queue.add_rate_limited("a");
    settle().await;
    assert_eq!(waiting.await.unwrap(), Some("a"));
}
