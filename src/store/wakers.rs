//! The tasks that wait for a version.
//!
//! A waiter has its place as long as it exists, and not only while it waits: so a wait costs it no lock, and a publication
//! wakes each task once.

use std::sync::{Arc, PoisonError};
use std::task::Waker;

use super::sync::{AtomicWaker, Mutex};

/// All waiters.
pub(crate) struct Wakers(Arc<Mutex<Places>>);

/// The place of one waiter, which leaves it when it is dropped.
pub(crate) struct Waiter {
    waker: Arc<AtomicWaker>,
    at: usize,
    all: Arc<Mutex<Places>>,
}

#[derive(Default)]
struct Places {
    wakers: Vec<Option<Arc<AtomicWaker>>>,
    vacant: Vec<usize>,
}

/// How many tasks are woken at a time. No lock is held meanwhile, since a waker is code of the runtime or the application.
const AT_ONCE: usize = 16;

// === impl Wakers ===

impl Wakers {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Places::default())))
    }

    /// O(1) amortized.
    pub(super) fn enter(&self) -> Waiter {
        let waker = Arc::new(AtomicWaker::new());
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = places.vacant.pop().unwrap_or(places.wakers.len());
        match places.wakers.get_mut(at) {
            Some(place) => *place = Some(waker.clone()),
            None => places.wakers.push(Some(waker.clone())),
        }
        Waiter { waker, at, all: self.0.clone() }
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wakers.len()
    }

    /// Wakes every waiter that has [prepared](Waiter::prepare). What the caller has stored before is visible to them.
    ///
    /// O(waiters); one lock of a few instructions if there are none.
    pub(super) fn wake(&self) {
        let mut from = 0;
        loop {
            let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = places.wakers.get(from..).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            let mut woken = [const { None }; AT_ONCE];
            for (place, waker) in woken.iter_mut().zip(rest) {
                place.clone_from(waker);
            }
            let is_last = rest.len() <= AT_ONCE;
            drop(places);
            woken.into_iter().flatten().for_each(|waker| waker.wake());
            if is_last {
                return;
            }
            from += AT_ONCE;
        }
    }
}

// === impl Waiter ===

impl Waiter {
    /// Makes the next [`wake`](Wakers::wake) wake this task. Whatever the waiter looks at must be loaded after this call:
    /// then it has seen a publication, or is woken by it.
    pub(super) fn prepare(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut places = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.wakers.get_mut(self.at) {
            *place = None;
            places.vacant.push(self.at);
        }
    }
}
