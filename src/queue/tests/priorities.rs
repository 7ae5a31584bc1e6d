//! Which key comes first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::{Action, Claim, Outcome, Priority, delay::Delayed, spawn, state::State},
    WorkQueue, get,
};

#[tokio::test(start_paused = true)]
async fn a_key_of_a_higher_priority_is_returned_first_and_equals_in_their_order() {
    let queue = WorkQueue::new();
    queue.add_all_with_priority([("l1", Priority::Low), ("n1", Priority::Normal), ("h1", Priority::High)]);
    queue.add_all_with_priority([("l2", Priority::Low), ("n2", Priority::Normal), ("h2", Priority::High)]);
    for expected in ["h1", "h2", "n1", "n2", "l1", "l2"] {
        assert_eq!(*get(&queue).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_priorities_of_a_key_the_higher_wins_in_either_order() {
    for (first, second) in [(Priority::Low, Priority::Normal), (Priority::Normal, Priority::Low)] {
        let queue = WorkQueue::new();
        queue.add_with_priority("other", Priority::Low);
        queue.add_with_priority("key", first);
        queue.add_with_priority("key", second);
        assert_eq!((queue.len(), queue.stats().depth_of(Priority::Normal)), (2, 1));
        let claim = get(&queue).await;
        assert_eq!((*claim, claim.priority()), ("key", Priority::Normal));
        assert_eq!(*get(&queue).await, "other");
        assert!(queue.is_empty(), "once only");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_added_while_claimed_is_queued_again_with_the_priority_of_that_add() {
    let queue = WorkQueue::new();
    queue.add_with_priority("key", Priority::Low);
    let claim = get(&queue).await;
    queue.add_with_priority("key", Priority::Low);
    queue.add_with_priority("key", Priority::High);
    queue.add("other");
    claim.done();
    let claim = get(&queue).await;
    assert_eq!((*claim, claim.priority()), ("key", Priority::High));
}

#[tokio::test(start_paused = true)]
async fn a_retry_has_the_priority_of_the_claim_that_failed() {
    let queue = WorkQueue::new();
    queue.add_with_priority("key", Priority::Low);
    let claim = get(&queue).await;
    queue.add_rate_limited("key");
    claim.done();
    assert_eq!(get(&queue).await.priority(), Priority::Low);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_requeued_or_whose_reconcile_is_aborted_keeps_its_priority() {
    let queue = WorkQueue::new();
    let (claims, mut claimed) = tokio::sync::mpsc::unbounded_channel();
    let workers = spawn(&queue, 1, move |claim: &Claim<&'static str>| {
        let _closed = claims.send((**claim, claim.priority()));
        async { Outcome::Succeeded(Action::requeue(Duration::from_secs(1))) }
    });
    queue.add_with_priority("key", Priority::High);
    for _ in 0..2 {
        assert_eq!(claimed.recv().await.unwrap(), ("key", Priority::High));
    }
    drop(workers);

    let queue = WorkQueue::new();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let workers = spawn(&queue, 1, move |_: &Claim<&'static str>| {
        begun.lock().unwrap().take().unwrap().send(()).unwrap();
        std::future::pending::<Outcome>()
    });
    queue.add_with_priority("key", Priority::Low);
    begins.await.unwrap();
    drop(workers);
    assert_eq!(get(&queue).await.priority(), Priority::Low);
}

#[test]
fn of_two_priorities_of_a_delayed_key_the_higher_wins_whichever_deadline_is_earlier() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    for (first, second) in [(1, 2), (2, 1)] {
        for (one, other) in [(Priority::High, Priority::Low), (Priority::Low, Priority::High)] {
            let mut delayed = Delayed::new();
            delayed.insert(Arc::new("key"), at(first), one);
            delayed.insert(Arc::new("key"), at(second), other);
            let (_, priority, deadline) = delayed.pop_due(at(2)).unwrap();
            assert_eq!((priority, deadline), (Priority::High, at(1)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_a_key_that_is_queued_or_delayed_already_gives_it_the_priority_of_the_claim() {
    type Add = fn(&WorkQueue<&'static str>);
    let adds: [Add; 2] = [
        |queue| queue.add_with_priority("key", Priority::Low),
        |queue| queue.add_after("key", Duration::from_millis(1)),
    ];
    for add in adds {
        let queue = WorkQueue::new();
        queue.add_with_priority("key", Priority::High);
        let claim = get(&queue).await;
        add(&queue);
        queue.add_rate_limited("key");
        claim.done();
        let claim = get(&queue).await;
        assert_eq!((claim.priority(), queue.stats().adds, queue.stats().retries), (Priority::High, 2, 1));
        claim.done();
        assert_eq!((queue.len(), queue.stats().delayed), (0, 0), "once only");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_with_n_keys_before_it_is_returned_after_at_most_8_n_plus_8_claims() {
    for before in 0..4_u64 {
        let queue = WorkQueue::new();
        (0..before).for_each(|n| queue.add_with_priority(1000 + n, Priority::Low));
        queue.add_with_priority(0, Priority::Low);
        let mut claims = 0;
        loop {
            // Others never end to come.
            queue.add_all_with_priority([(1, Priority::High), (2, Priority::Normal)]);
            let claim = get(&queue).await;
            claims += 1;
            assert!(claims <= 8 * (before + 1), "{claims} claims, {before} before it");
            if *claim == 0 {
                break;
            }
        }
    }
}

#[test]
fn keys_that_are_raised_again_and_again_leave_no_memory_behind() {
    let (mut state, now) = (State::new(), Instant::now());
    // Their places keep those of the raised key from the front.
    (1..=1000).for_each(|key| assert!(state.add(Arc::new(key), Priority::Low, now)));
    for _ in 0..7000 {
        state.add(Arc::new(0), Priority::Low, now);
        state.add(Arc::new(0), Priority::High, now);
        let taken = state.take(now).unwrap();
        state.done(&taken.key, now);
        state.validate();
        assert!(state.places() <= 2 * state.ready() + 32, "{} for {}", state.places(), state.ready());
    }
    assert!(state.ready() < 200, "one of eight claims was of a key of low priority");
}
