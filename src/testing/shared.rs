//! The state that all handles and connections of a server share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::access::Access;
use super::faults::Faults;
use super::requests::Requests;
use super::state::State;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    /// Watches end when its value changes.
    pub(super) hang_up: watch::Sender<u64>,
    pub(super) latency: Mutex<Duration>,
    pub(super) knows_shards: AtomicBool,
    access: Mutex<Access>,
    requests: Mutex<Requests>,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) bookmark_interval: Duration,
}

impl Shared {
    pub(super) fn new(
        state: State,
        access: Access,
        settings: Settings,
        latency: Duration,
        shards: bool,
    ) -> Self {
        Self {
            settings,
            faults: Faults::default(),
            hang_up: watch::Sender::new(0),
            latency: Mutex::new(latency),
            knows_shards: AtomicBool::new(shards),
            access: Mutex::new(access),
            requests: Mutex::default(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn access(&self) -> MutexGuard<'_, Access> {
        lock(&self.access)
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Requests> {
        lock(&self.requests)
    }

    pub(super) fn knows_shards(&self) -> bool {
        self.knows_shards.load(Ordering::Relaxed)
    }

    pub(super) fn latency(&self) -> Duration {
        *lock(&self.latency)
    }
}

/// Ignores poisoning: every write under a lock is one assignment or one call, so a panic leaves consistent
/// values.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
