//! The end of a queue. The first four tests are client-go's scenarios, with their names.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    super::{Unfinished, WorkQueue},
    HOUR, MS, get, join, settle, spawn_get,
};

/// `TestQueueDrainageUsingShutDownWithDrain`
#[tokio::test(start_paused = true)]
async fn drain_waits_for_what_is_queued_and_what_is_in_flight() {
    let queue = WorkQueue::new();
    queue.add_all(["foo", "bar"]);
    let foo = get(&queue).await;
    let drain = tokio::spawn({
        let queue = queue.clone();
        async move { queue.drain(HOUR).await }
    });
    settle().await;
    queue.add("late");
    foo.done();
    let bar = get(&queue).await;
    settle().await;
    assert!(!drain.is_finished(), "bar is in flight");
    bar.done();
    assert_eq!(join(drain).await, Ok(()));
    assert!(queue.get().await.is_none(), "what was added during the drain was not accepted");
}

/// `TestNoQueueDrainageUsingShutDown`
#[tokio::test(start_paused = true)]
async fn shutting_down_does_not_wait_but_hands_out_what_is_queued() {
    let queue = WorkQueue::new();
    queue.add_all(["foo", "bar"]);
    queue.add_after("delayed", MS);
    let foo = get(&queue).await;
    queue.shut_down();
    assert_eq!(queue.stats().delayed, 0, "delayed keys are dropped");
    assert!(queue.is_shut_down());
    queue.add("late");
    queue.add_after("late", MS);
    queue.add_rate_limited("late");
    assert_eq!(*get(&queue).await, "bar");
    assert!(queue.get().await.is_none());
    foo.done();
    assert_eq!((queue.stats().delayed, queue.retries(&"late")), (0, 0));
}

/// `TestForceQueueShutdownUsingShutDown`
#[tokio::test(start_paused = true)]
async fn a_forced_shutdown_ends_a_drain() {
    let (queue, start) = (WorkQueue::new(), Instant::now());
    queue.add_all(["foo", "bar", "baz"]);
    let foo = get(&queue).await;
    let drain = tokio::spawn({
        let queue = queue.clone();
        async move { queue.drain(HOUR).await }
    });
    settle().await;
    queue.shut_down_now();
    assert_eq!(join(drain).await, Err(Unfinished { discarded: 2, in_flight: 1 }));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(queue.get().await.is_none());
    foo.done();
    assert_eq!(queue.drain(HOUR).await, Err(Unfinished { discarded: 2, in_flight: 0 }));
}

/// `TestQueueDrainageUsingShutDownWithDrainWithDirtyItem`
#[tokio::test(start_paused = true)]
async fn drain_waits_for_a_key_added_again_while_in_flight() {
    let queue = WorkQueue::new();
    queue.add("foo");
    let foo = get(&queue).await;
    queue.add("foo");
    let drain = tokio::spawn({
        let queue = queue.clone();
        async move { queue.drain(HOUR).await }
    });
    let other = spawn_get(&queue);
    settle().await;
    assert!(!other.is_finished(), "a get does not end while a key is to come again");
    foo.done();
    assert_eq!(join(other).await, Some("foo"));
    assert_eq!(join(drain).await, Ok(()));
    assert!(queue.get().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn drain_gives_up_at_its_deadline_and_says_what_was_left() {
    let queue = WorkQueue::new();
    queue.add_all(["a", "b", "c"]);
    let (a, b) = (get(&queue).await, get(&queue).await);
    queue.add("b");
    queue.add_after("delayed", MS);
    let start = Instant::now();
    let error = queue.drain(100 * MS).await.unwrap_err();
    assert_eq!(start.elapsed(), 100 * MS);
    assert_eq!(error, Unfinished { discarded: 2, in_flight: 2 });
    assert_eq!(error.to_string(), "the work queue ended with 2 keys discarded and 2 still claimed");
    b.done();
    assert!(queue.get().await.is_none(), "b is not handed out again");
    a.done();
    assert_eq!(queue.stats().processing, 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_queue_drains_at_once_even_without_time() {
    let queue = WorkQueue::<&str>::new();
    queue.add_after("delayed", HOUR);
    assert_eq!(queue.drain(Duration::ZERO).await, Ok(()));
    assert_eq!(queue.stats().delayed, 0, "delayed keys are dropped, not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_drain_discards_nothing() {
    let queue = WorkQueue::new();
    queue.add("foo");
    assert!(timeout(MS, queue.drain(HOUR)).await.is_err());
    assert_eq!(*get(&queue).await, "foo");
    assert!(queue.get().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn every_waiting_get_ends_at_shutdown() {
    for force in [false, true] {
        let queue = WorkQueue::<&str>::new();
        queue.add_after("delayed", HOUR); // one of the `get`s waits for the deadline
        let mut waiting = JoinSet::new();
        for _ in 0..50 {
            let queue = queue.clone();
            waiting.spawn(async move { queue.get().await.is_none() });
        }
        settle().await;
        if force {
            queue.shut_down_now()
        } else {
            queue.shut_down()
        }
        assert!(timeout(MS, waiting.join_all()).await.unwrap().into_iter().all(|ended| ended));
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn gets_that_wait_for_a_key_to_come_again_all_end_when_it_came() {
    let queue = WorkQueue::new();
    queue.add("foo");
    let foo = get(&queue).await;
    queue.add("foo");
    queue.shut_down();
    let waiting = [0; 5].map(|_| spawn_get(&queue));
    settle().await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    foo.done();
    let mut ends = Vec::new();
    for task in waiting {
        ends.push(join(task).await);
    }
    assert_eq!(ends.iter().filter(|end| end.is_some()).count(), 1);
}
