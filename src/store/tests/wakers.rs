//! The places of those who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use crate::store::wakers::Wakers;

#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// More than are woken at a time, and some that have left in between.
#[test]
fn each_of_many_waiters_is_woken_once() {
    let (all, woken) = (Wakers::new(), Arc::new(Counted::default()));
    let mut waiters: Vec<_> = (0..100).map(|_| all.enter()).collect();
    (20..60).rev().step_by(2).for_each(|at| drop(waiters.swap_remove(at)));
    let waker = Waker::from(woken.clone());
    for (round, missing) in [0, 0, 1].into_iter().enumerate() {
        woken.0.store(0, Ordering::Relaxed);
        waiters.iter().skip(missing).for_each(|waiter| waiter.prepare(&waker));
        all.wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 80 - missing, "round {round}");
        // Who has not prepared again does not wait.
        all.wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 80 - missing, "round {round}");
    }
}

#[test]
fn the_place_of_a_waiter_is_used_again() {
    let all = Wakers::new();
    let first = all.enter();
    (0..1_000).for_each(|_| drop(all.enter()));
    assert_eq!(all.places(), 2);
    drop(first);
    let _others: Vec<_> = (0..3).map(|_| all.enter()).collect();
    assert_eq!(all.places(), 3);
}
