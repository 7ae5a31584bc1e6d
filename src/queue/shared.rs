//! What the handles of one queue share: the state under its lock, and who is woken when it changes.
//!
//! Every access goes through [`Core::update`]: it first moves the keys whose delay is over into the FIFO (so
//! the order is as if that had happened on the dot, even when no one was there to see it), then changes the
//! state, and after unlocking wakes exactly those the change concerns.
//!
//! **Why no wake-up is lost.** Each thing a waiting `get` may have to do - take a key, or watch the clock while
//! nobody does - is announced by one `notify_one` after it came to be. A `get` registers before it looks; it
//! sleeps only if there was nothing to do, so what comes later finds it registered. It leaves with at most one
//! key and one announcement; if it is dropped while announced, `Notify` passes that on to another. So there
//! are never fewer announcements under way than things to do, as long as anyone waits.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    delay::Delayed,
    limiter::{Backoff, Bucket},
    options::Options,
    priority::Priority,
    state::State,
    stats::{Recorder, Stats},
};

/// See the [module](self).
pub(super) struct Core<K> {
    inner: Mutex<Inner<K>>,
    pub(super) backoff: Backoff<K>,
    /// One announcement for each key that became ready, one when the clock needs a watcher; all at the end.
    pub(super) ready: Notify,
    /// For the `get` that watches the clock: the earliest deadline moved.
    pub(super) earlier: Notify,
    /// For `drain`: nothing is left, or the end was forced.
    pub(super) settled: Notify,
}

/// What the lock guards.
pub(super) struct Inner<K> {
    pub(super) state: State<K>,
    pub(super) delayed: Delayed<K>,
    pub(super) bucket: Bucket,
    pub(super) recorder: Recorder,
    pub(super) phase: Lifecycle,
    /// A waiting `get` watches the clock for all.
    pub(super) watched: bool,
    /// The earliest deadline moved, or lost its watcher, during this update.
    pub(super) reset_clock: bool,
}

/// A queue only goes down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Open,
    /// Nothing is accepted; what was accepted is handed out.
    ShutDown,
    /// What was accepted is discarded too: this many runs.
    Forced {
        discarded: usize,
    },
}

/// Whom an update concerns.
struct Wake {
    gets: usize,
    watcher: bool,
    ended: bool,
    settled: bool,
}

// === impl Core ===

impl<K: Hash + Eq> Core<K> {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state: State::new(),
                delayed: Delayed::new(),
                bucket: Bucket::new(options),
                recorder: Recorder::default(),
                phase: Lifecycle::Open,
                watched: false,
                reset_clock: false,
            }),
            backoff: Backoff::new(options),
            ready: Notify::new(),
            earlier: Notify::new(),
            settled: Notify::new(),
        }
    }

    /// Changes the state at the present time. The lock is held for `change`, which must not wait.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut Inner<K>, Instant) -> R) -> R {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.promote(now);
        let result = change(&mut inner, now);
        let wake = inner.whom_to_wake();
        drop(inner);
        self.wake(&wake);
        result
    }

    fn wake(&self, wake: &Wake) {
        for _ in 0..wake.gets {
            self.ready.notify_one();
        }
        if wake.watcher {
            self.earlier.notify_one();
        }
        if wake.ended {
            self.ready.notify_waiters();
        }
        if wake.settled {
            self.settled.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        // Only a key's own Hash or Eq can panic in here; the other keys are still served.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner ===

impl<K: Hash + Eq> Inner<K> {
    pub(super) fn sample(&self, now: Instant) -> Stats {
        Stats {
            depth: self.state.ready(),
            depths: self.state.depths(),
            delayed: self.delayed.len(),
            processing: self.state.running(),
            adds: self.recorder.adds,
            retries: self.recorder.retries,
            unfinished: self.state.ages(now).fold(Duration::ZERO, Duration::saturating_add),
            longest_running: self.state.ages(now).max().unwrap_or_default(),
            wait: self.recorder.wait.clone(),
            work: self.recorder.work.clone(),
        }
    }

    pub(super) fn add(&mut self, key: Arc<K>, priority: Priority, now: Instant) {
        if self.phase == Lifecycle::Open && self.state.add(key, priority, now) {
            self.recorder.added();
        }
    }

    pub(super) fn add_at(&mut self, key: Arc<K>, deadline: Instant, priority: Priority) {
        if self.phase == Lifecycle::Open && self.delayed.insert(key, deadline, priority) {
            self.reset_clock = true;
        }
    }

    /// Nothing will be handed out any more.
    pub(super) fn ended(&self) -> bool {
        self.phase != Lifecycle::Open && self.state.to_run() == 0
    }

    /// A drain has nothing to wait for.
    pub(super) fn settled(&self) -> bool {
        matches!(self.phase, Lifecycle::Forced { .. }) || (self.ended() && self.state.running() == 0)
    }

    fn promote(&mut self, now: Instant) {
        while let Some((key, priority, deadline)) = self.delayed.pop_due(now) {
            // Its wait counts from the deadline, not from when someone looked.
            self.add(key, priority, deadline);
        }
    }

    fn whom_to_wake(&mut self) -> Wake {
        let reset_clock = std::mem::take(&mut self.reset_clock) && !self.delayed.is_empty();
        Wake {
            gets: self.state.take_pushed() + usize::from(reset_clock && !self.watched),
            watcher: reset_clock && self.watched,
            ended: self.ended(),
            settled: self.settled(),
        }
    }
}
