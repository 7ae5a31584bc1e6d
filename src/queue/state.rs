//! Which keys wait, which are being worked on, and in what order: the queue without clock, lock or waiting.
//!
//! A key is *dirty* from the moment it is added until it is handed out, and *running* from then until it is
//! done. The two overlap when a key is added while it runs; it then waits for `done`, not in the FIFO. So the
//! FIFO holds exactly the keys that are dirty and not running, each once.

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
    /// With the time each was added.
    dirty: HashMap<Arc<K>, Instant, RandomState>,
    running: HashMap<Arc<K>, Running, RandomState>,
    /// How many keys are both dirty and running.
    again: usize,
    /// Keys put into the FIFO since [`State::take_pushed`] last asked.
    pushed: usize,
}

/// One key handed out.
struct Running {
    since: Instant,
    /// A failure of this run was already counted.
    failed: bool,
}

/// A key handed out, and how long it had waited.
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

    /// Marks the key dirty; false when it already was.
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

    /// Hands out the key that became ready first.
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

    /// Notes that the present run of the key failed: `Some(true)` the first time, `None` if it is not running.
    pub(super) fn fail_run(&mut self, key: &K) -> Option<bool> {
        self.running.get_mut(key).map(|run| !mem::replace(&mut run.failed, true))
    }

    pub(super) fn is_dirty(&self, key: &K) -> bool {
        self.dirty.contains_key(key)
    }

    /// Drops every key that is not running and every wish to run again; returns how many runs that cancels.
    pub(super) fn discard(&mut self) -> usize {
        let discarded = self.dirty.len();
        self.fifo.clear();
        self.dirty.clear();
        self.again = 0;
        discarded
    }

    /// Keys in the FIFO.
    pub(super) fn ready(&self) -> usize {
        self.fifo.len()
    }

    /// Runs that are still to begin: the FIFO, and the keys to be queued again.
    pub(super) fn to_run(&self) -> usize {
        self.fifo.len() + self.again
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// How long each run has lasted. O(running).
    pub(super) fn ages(&self, now: Instant) -> impl Iterator<Item = Duration> {
        self.running.values().map(move |run| now.saturating_duration_since(run.since))
    }

    /// How many keys entered the FIFO since the last call and are still in it.
    pub(super) fn take_pushed(&mut self) -> usize {
        mem::take(&mut self.pushed).min(self.fifo.len())
    }

    fn push(&mut self, key: Arc<K>) {
        self.fifo.push_back(key);
        self.pushed += 1;
    }

    /// What the module's docs promise about the three collections. O(keys).
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
