//! Promise 1, every interleaving: how a version of the store reaches its readers and wakes who waits for it.
//!
//! [loom] runs each model below once for every order in which its threads can take their steps, weak memory
//! included: an atomic load answers with any value that its ordering allows. A waiter that is never woken is found as
//! a deadlock.
//!
//! What runs are `src/store/publish.rs` and `wakers.rs` themselves, included here, with all that `snapshot`, `wait_until` (and so
//! `at_least` and `synced`) and a `Subscription` do to see, wait and end. Proved for each model, for as many
//! threads and publications as it has: no order of steps breaks what it asserts.
//!
//! Not proved here: arc-swap's cell and futures' `AtomicWaker`, which are stand-ins with the orderings that
//! those document (see `sync`; an error in either would not be found); the reference counts of std; the
//! cancellation of a wait; and what is in a view, of which these models know only a number.
//!
//! [loom]: https://docs.rs/loom

#[allow(dead_code, reason = "the models need not call everything")]
#[path = "../../src/store/publish.rs"]
mod publish;
mod sync;
#[allow(dead_code, reason = "the models need not call everything")]
#[path = "../../src/store/wakers.rs"]
mod wakers;

use std::future::poll_fn;
use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use self::publish::{Publisher, Shared};
use self::sync::End;

/// A view is how many were published before it.
type Number = u64;

/// Who takes a snapshot again and again.
struct Reader {
    shared: Arc<Shared<Number>>,
    view: Arc<Number>,
}

/// What a `Subscription` does.
struct Subscription {
    shared: Arc<Shared<Number>>,
    cursor: Number,
    wake: publish::Wake,
}

impl Reader {
    fn new(shared: &Arc<Shared<Number>>) -> Self {
        Self { shared: shared.clone(), view: shared.newest() }
    }

    /// The view now, which may not be older than the one before.
    fn read(&mut self) -> Number {
        let newer = self.shared.newest();
        assert!(newer >= self.view, "back from {} to {newer}", self.view);
        self.view = newer;
        *self.view
    }
}

impl Subscription {
    fn new(shared: &Arc<Shared<Number>>) -> Self {
        Self { shared: shared.clone(), cursor: **shared.first(), wake: shared.changes() }
    }

    /// The next view, which is newer than the one before.
    fn next(&mut self) -> Option<Number> {
        let Self { shared, cursor, wake } = self;
        block_on(poll_fn(|context| {
            wake.poll_found(context, || {
                let newest = *shared.newest();
                assert!(newest >= *cursor, "back from {cursor} to {newest}");
                (newest != std::mem::replace(cursor, newest)).then_some(newest)
            })
        }))
    }
}

/// Publishes the views 1 to `last`.
fn publish(publisher: &mut Publisher<Number>, last: Number) {
    for number in 1..=last {
        assert_eq!(*publisher.publish(number, true), number - 1, "what is replaced is handed back");
    }
}

/// Checks every order.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // How often a thread may be interrupted where it would not have to wait. Without a bound the models take minutes to
    // hours; nearly all known errors of this sort show up at two.
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn p01_a_reader_keeps_up_with_the_writer() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let shared = publisher.shared().clone();
        let writer = thread::spawn(move || publish(&mut publisher, 2));
        let mut reader = Reader::new(&shared);
        reader.read();
        reader.read();
        writer.join().unwrap();
        assert_eq!(reader.read(), 2, "stays on an old view");
    });
}

/// A view counts as published for all readers as soon as one has it, however it got it.
#[test]
fn p01_a_reader_is_not_behind_what_its_own_task_has_seen() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let shared = publisher.shared().clone();
        let mut reader = Reader::new(&shared);
        let writer = thread::spawn(move || publish(&mut publisher, 2));
        let loaded = **shared.load();
        assert!(reader.read() >= loaded, "behind a snapshot");
        let reached = block_on(shared.wait_until(|number| *number >= 1)).unwrap();
        assert!(reader.read() >= *reached, "behind a wait");
        writer.join().unwrap();
    });
}

#[test]
fn p01_two_readers_go_forward_and_agree_with_what_they_tell_each_other() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let shared = publisher.shared().clone();
        let told = Arc::new(AtomicU64::new(0));
        let (mut one, mut other) = (Reader::new(&shared), Reader::new(&shared));
        let tell = told.clone();
        let first = thread::spawn(move || {
            let seen = one.read();
            tell.store(seen, Ordering::Release);
            assert!(one.read() >= seen);
        });
        let second = thread::spawn(move || {
            let told = told.load(Ordering::Acquire);
            assert!(other.read() >= told, "behind what another reader has seen");
        });
        publish(&mut publisher, 1);
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(Reader::new(&shared).read(), 1);
    });
}

#[test]
fn p07_who_waits_misses_no_publication() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let shared = publisher.shared().clone();
        let waiter = thread::spawn(move || {
            let view = block_on(shared.wait_until(|number| *number == 2));
            assert_eq!(view.as_deref(), Some(&2));
        });
        publish(&mut publisher, 2);
        // The writer lives on: nothing but the publication ends the wait.
        waiter.join().unwrap();
    });
}

#[test]
fn p07_every_waiter_wakes() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let waiters = [0; 2].map(|_| {
            let shared = publisher.shared().clone();
            thread::spawn(move || block_on(shared.wait_until(|number| *number == 1)).is_some())
        });
        publish(&mut publisher, 1);
        for waiter in waiters {
            assert!(waiter.join().unwrap());
        }
    });
}

#[test]
fn p07_a_wait_ends_with_the_writer_and_not_before_the_last_view_was_asked() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let shared = publisher.shared().clone();
        let writer = thread::spawn(move || publish(&mut publisher, 1));
        let mut last = None;
        let never = block_on(shared.wait_until(|number| {
            last = Some(*number);
            false
        }));
        assert!(never.is_none());
        assert_eq!(last, Some(1), "ended on an old view");
        assert_eq!(shared.end(), Some(End::Stopped));
        writer.join().unwrap();
    });
}

#[test]
fn p05_a_subscription_misses_no_publication() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let mut changes = Subscription::new(publisher.shared());
        let subscriber = thread::spawn(move || while changes.next() != Some(2) {});
        publish(&mut publisher, 2);
        // The writer lives on: nothing but the publications wakes the subscription.
        subscriber.join().unwrap();
    });
}

#[test]
fn p05_a_subscription_delivers_the_last_publication_and_then_ends() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let shared = publisher.shared().clone();
        let writer = thread::spawn(move || publish(&mut publisher, 2));
        // Some of the views may have been published before it begins.
        let mut changes = Subscription::new(&shared);
        let mut delivered = 0;
        while let Some(view) = changes.next() {
            delivered = view;
        }
        assert_eq!(delivered, 2, "ended before the last publication");
        assert!(changes.wake.has_ended());
        assert_eq!(shared.end(), Some(End::Stopped), "the reason is known with the end");
        writer.join().unwrap();
    });
}

#[test]
fn p05_a_bookmark_brings_no_change_and_is_no_end() {
    check(|| {
        let mut publisher = Publisher::new(0);
        let shared = publisher.shared().clone();
        let mut changes = Subscription::new(&shared);
        let writer = thread::spawn(move || {
            publish(&mut publisher, 1);
            // The same content again, at a later version.
            publisher.publish(1, false);
        });
        assert_eq!((changes.next(), changes.next()), (Some(1), None));
        writer.join().unwrap();
    });
}
