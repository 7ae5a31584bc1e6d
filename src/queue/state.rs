//! Which keys wait, which are being processed, and in what order: the queue without clock, lock or waiting.
//!
//! A key is *dirty* from when it is added until it is taken, and *running* from then until it is done. A key
//! that is added while it runs is both; it then waits for `done`, not in the FIFO. So the FIFO contains
//! exactly the keys that are dirty and not running, each once.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    mem,
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::time::Instant;

/// See the [module](self).
pub(super) struct State<K> {
    fifo: VecDeque<Arc<K>>,
    /// Each with the time at which it was added.
    dirty: HashMap<Arc<K>, Instant, RandomState>,
    running: HashMap<Arc<K>, Running, RandomState>,
    /// The number of keys that are both dirty and running.
    again: usize,
    /// The number of keys put into the FIFO since the last [`State::take_pushed`].
    pushed: usize,
}

/// The run of one key.
struct Running {
    since: Instant,
    /// Whether a failure of this run was already counted.
    failed: bool,
}

/// A key that was taken, and how long it had waited.
pub(super) struct Taken<K> {
    pub(super) key: Arc<K>,
    pub(super) waited: Duration,
}

// === impl State ===

impl<K: Hash + Eq> State<K> {
    pub(super) fn new() -> Self {
        Self {
            fifo: VecDeque::new(),
            dirty: HashMap::default(),
            running: HashMap::default(),
            again: 0,
            pushed: 0,
        }
    }

    /// Marks the key dirty. Returns false if it already was.
    pub(super) fn add(&mut self, key: Arc<K>, now: Instant) -> bool {
        if self.dirty.contains_key(&key) {
            return false;
        }
        if self.running.contains_key(&key) {
            self.again += 1;
        } else {
            self.push(Arc::clone(&key));
        }
        self.dirty.insert(key, now);
        true
    }

    /// Takes the key that became ready first.
    pub(super) fn take(&mut self, now: Instant) -> Option<Taken<K>> {
        let key = self.fifo.pop_front()?;
        let since = self.dirty.remove(&key).unwrap_or(now);
        self.running.insert(Arc::clone(&key), Running { since: now, failed: false });
        Some(Taken { key, waited: now.saturating_duration_since(since) })
    }

    /// Ends a run, queues the key again if it was added meanwhile, and returns how long the run took.
    pub(super) fn done(&mut self, key: &Arc<K>, now: Instant) -> Option<Duration> {
        let run = self.running.remove(key)?;
        if self.dirty.contains_key(key) {
            self.again -= 1;
            self.push(Arc::clone(key));
        }
        Some(now.saturating_duration_since(run.since))
    }

    /// Records that the current run of the key failed. Returns `Some(true)` the first time, `None` if the key
    /// is not running.
    pub(super) fn fail_run(&mut self, key: &K) -> Option<bool> {
        self.running.get_mut(key).map(|run| !mem::replace(&mut run.failed, true))
    }

    pub(super) fn is_dirty(&self, key: &K) -> bool {
        self.dirty.contains_key(key)
    }

    /// Drops every key that is not running and every request to run again. Returns the number of cancelled
    /// runs.
    pub(super) fn discard(&mut self) -> usize {
        let discarded = self.dirty.len();
        self.fifo.clear();
        self.dirty.clear();
        self.again = 0;
        discarded
    }

    /// The number of keys in the FIFO.
    pub(super) fn ready(&self) -> usize {
        self.fifo.len()
    }

    /// The number of runs that have not begun: the FIFO, and the keys to be queued again.
    pub(super) fn to_run(&self) -> usize {
        self.fifo.len() + self.again
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// The age of each run. O(running).
    pub(super) fn ages(&self, now: Instant) -> impl Iterator<Item = Duration> {
        self.running.values().map(move |run| now.saturating_duration_since(run.since))
    }

    /// The number of keys that entered the FIFO since the last call, at most its present length.
    pub(super) fn take_pushed(&mut self) -> usize {
        mem::take(&mut self.pushed).min(self.fifo.len())
    }

    fn push(&mut self, key: Arc<K>) {
        self.fifo.push_back(key);
        self.pushed += 1;
    }

    /// Checks what the module documentation says about the three collections. O(keys).
    #[cfg(test)]
    pub(super) fn validate(&self) {
        let both = self.dirty.keys().filter(|key| self.running.contains_key(*key)).count();
        assert_eq!(self.again, both, "`again` counts the keys both dirty and running");
        assert_eq!(self.fifo.len(), self.dirty.len() - both, "every other dirty key is in the FIFO");
        let distinct: std::collections::HashSet<_> = self.fifo.iter().collect();
        assert_eq!(distinct.len(), self.fifo.len(), "no key is in the FIFO twice");
        for key in &self.fifo {
            assert!(self.dirty.contains_key(key) && !self.running.contains_key(key));
        }
    }
}
