//! Which keys wait, which are being processed, and in what order: the queue without clock, lock or waiting.
//!
//! A key is *dirty* from the moment it is added until it is handed out, and *running* from then until it is
//! done. The two overlap when a key is added while it runs; it then waits for `done`, and has no place among the ready
//! keys. So the ready keys are exactly those that are dirty and not running, each once.

use std::{collections::HashMap, hash::Hash, mem, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::levels::Levels;
use super::priority::{LEVELS, Priority};

/// See the [module](self).
pub(super) struct State<K> {
    levels: Levels<K>,
    dirty: HashMap<Arc<K>, Dirty, RandomState>,
    running: HashMap<Arc<K>, Running, RandomState>,
    /// The number of keys that are both dirty and running.
    again: usize,
    /// Keys that became ready since [`State::take_pushed`] was last called.
    pushed: usize,
}

/// One dirty key.
struct Dirty {
    /// When it was added.
    since: Instant,
    priority: Priority,
    /// Of its place among the ready keys; `None` while it runs.
    ticket: Option<u64>,
}

/// One key handed out.
struct Running {
    since: Instant,
    priority: Priority,
    /// A failure of this run was already counted.
    failed: bool,
}

/// A key that was taken, and how long it had waited.
pub(super) struct Taken<K> {
    pub(super) key: Arc<K>,
    pub(super) priority: Priority,
    pub(super) waited: Duration,
}

// === impl State ===

impl<K: Hash + Eq> State<K> {
    pub(super) fn new() -> Self {
        Self {
            levels: Levels::new(),
            dirty: HashMap::default(),
            running: HashMap::default(),
            again: 0,
            pushed: 0,
        }
    }

    /// Marks the key dirty; false when it already was, and then has the higher priority.
    pub(super) fn add(&mut self, key: Arc<K>, priority: Priority, now: Instant) -> bool {
        if let Some(dirty) = self.dirty.get_mut(&key) {
            if priority > dirty.priority {
                let before = mem::replace(&mut dirty.priority, priority);
                if dirty.ticket.is_some() {
                    self.levels.left(before);
                    self.enter(key, priority);
                }
            }
            return false;
        }
        let running = self.running.contains_key(&key);
        self.dirty.insert(Arc::clone(&key), Dirty { since: now, priority, ticket: None });
        if running {
            self.again += 1;
        } else {
            self.push(key, priority);
        }
        true
    }

    /// Hands out the next key.
    pub(super) fn take(&mut self, now: Instant) -> Option<Taken<K>> {
        let dirty = &self.dirty;
        let key = self.levels.pop(|key, ticket| is_latest(dirty, key, ticket))?;
        let (since, priority) =
            self.dirty.remove(&key).map_or((now, Priority::Normal), |dirty| (dirty.since, dirty.priority));
        self.running.insert(Arc::clone(&key), Running { since: now, priority, failed: false });
        Some(Taken { key, priority, waited: now.saturating_duration_since(since) })
    }

    /// Ends a run, queues the key again if it was added meanwhile, and returns how long the run took.
    pub(super) fn done(&mut self, key: &Arc<K>, now: Instant) -> Option<Duration> {
        let run = self.running.remove(key)?;
        if let Some(dirty) = self.dirty.get(key) {
            self.again -= 1;
            self.push(Arc::clone(key), dirty.priority);
        }
        Some(now.saturating_duration_since(run.since))
    }

    /// The priority with which a key that runs was handed out.
    pub(super) fn priority_of_run(&self, key: &K) -> Option<Priority> {
        self.running.get(key).map(|run| run.priority)
    }

    /// Notes that the present run of the key failed: `Some(true)` the first time, `None` if it is not running.
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
        self.levels.clear();
        self.dirty.clear();
        self.again = 0;
        discarded
    }

    /// The number of ready keys.
    pub(super) fn ready(&self) -> usize {
        self.levels.len()
    }

    /// The number of ready keys per priority.
    pub(super) fn depths(&self) -> [usize; LEVELS] {
        self.levels.depths()
    }

    /// Runs that are still to begin: the ready keys, and those to be queued again.
    pub(super) fn to_run(&self) -> usize {
        self.levels.len() + self.again
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// The age of each run. O(running).
    pub(super) fn ages(&self, now: Instant) -> impl Iterator<Item = Duration> {
        self.running.values().map(move |run| now.saturating_duration_since(run.since))
    }

    /// How many keys became ready since the last call and still are.
    pub(super) fn take_pushed(&mut self) -> usize {
        mem::take(&mut self.pushed).min(self.levels.len())
    }

    fn push(&mut self, key: Arc<K>, priority: Priority) {
        self.enter(key, priority);
        self.pushed += 1;
    }

    /// Gives a dirty key a place among the ready keys.
    fn enter(&mut self, key: Arc<K>, priority: Priority) {
        let dirty = &self.dirty;
        let ticket =
            self.levels.push(Arc::clone(&key), priority, |key, ticket| is_latest(dirty, key, ticket));
        if let Some(dirty) = self.dirty.get_mut(&key) {
            dirty.ticket = Some(ticket);
        }
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.levels.places()
    }

    /// What the module's docs promise about the collections. O(keys).
    #[cfg(test)]
    pub(super) fn validate(&self) {
        let both = self.dirty.keys().filter(|key| self.running.contains_key(*key)).count();
        assert_eq!(self.again, both, "`again` counts the keys both dirty and running");
        let ready = self.levels.valid(|key, ticket| is_latest(&self.dirty, key, ticket));
        assert_eq!(ready.len(), self.levels.len(), "the ready keys are counted");
        assert_eq!(ready.len(), self.dirty.len() - both, "every other dirty key is ready");
        let distinct: std::collections::HashSet<_> = ready.iter().map(|(_, key)| key).collect();
        assert_eq!(distinct.len(), ready.len(), "no key is ready twice");
        for (priority, key) in ready {
            assert!(self.dirty.get(key).is_some_and(|dirty| dirty.priority == priority));
            assert!(!self.running.contains_key(key));
        }
    }
}

/// Whether a place of this ticket is the present one of the key.
fn is_latest<K: Hash + Eq>(dirty: &HashMap<Arc<K>, Dirty, RandomState>, key: &K, ticket: u64) -> bool {
    dirty.get(key).is_some_and(|dirty| dirty.ticket == Some(ticket))
}
