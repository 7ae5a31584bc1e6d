//! All objects of one kind with their history: what a list reads and what a watch follows.
//!
//! ```text
//! objects:  key -> newest version               (BTreeMap in etcd's key order, "namespace/name")
//! history:  [rv 7: a added] [rv 9: a modified] [rv 12: b deleted] ...   bounded; a watcher is a cursor into it
//!           ^ floor: who asks for less gets 410
//! ```
//! A watcher has no queue. One that falls behind the history gets 410, as from a real watch cache.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use tokio::sync::watch;

use super::apply::Tracked;
use super::kind::Kind;
use super::object::Version;

/// One write, in the form in which watchers see it.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Arc<str>,
    /// The object after the write; `None` if it was deleted.
    pub(super) new: Option<Arc<Version>>,
    /// The object before the write; `None` if it was created.
    pub(super) old: Option<Arc<Version>>,
}

/// The objects of one kind.
#[derive(Debug)]
pub(super) struct Collection {
    kind: Arc<Kind>,
    objects: BTreeMap<Arc<str>, Arc<Version>>,
    /// The managers of the objects, unless they were written without any.
    managers: HashMap<String, Tracked>,
    history: VecDeque<Change>,
    history_limit: usize,
    /// Watches from an older version get 410.
    watch_floor: u64,
    /// Lists at an older version get 410.
    list_floor: u64,
    closed: bool,
    wake: watch::Sender<u64>,
}

impl Collection {
    pub(super) fn new(kind: Kind, version: u64, history_limit: usize) -> Self {
        Self {
            kind: Arc::new(kind),
            objects: BTreeMap::new(),
            managers: HashMap::new(),
            history: VecDeque::new(),
            history_limit,
            watch_floor: version,
            list_floor: 0,
            closed: false,
            wake: watch::Sender::new(version),
        }
    }

    pub(super) fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    /// Replaces the kind, after a change of its definition. Objects and watchers stay.
    pub(super) fn set_kind(&mut self, kind: Kind) {
        self.kind = Arc::new(kind);
    }

    pub(super) fn get(&self, key: &str) -> Option<&Arc<Version>> {
        self.objects.get(key)
    }

    pub(super) fn tracked(&self, key: &str) -> Option<&Tracked> {
        self.managers.get(key)
    }

    pub(super) fn track(&mut self, key: &str, managers: Tracked) {
        self.managers.insert(key.to_owned(), managers);
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn watch_floor(&self) -> u64 {
        self.watch_floor
    }

    pub(super) fn list_floor(&self) -> u64 {
        self.list_floor
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether there are no watchers any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.wake.receiver_count() == 0
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// Stores `new` (or removes the key), adds the change to the history, and wakes the watchers. O(log n).
    pub(super) fn apply(&mut self, key: &str, version: u64, new: Option<Version>) -> Option<Arc<Version>> {
        let new = new.map(Arc::new);
        let (key, old) = match self.objects.get_key_value(key) {
            Some((key, old)) => (key.clone(), Some(old.clone())),
            None => (Arc::from(key), None),
        };
        match &new {
            Some(new) => self.objects.insert(key.clone(), new.clone()),
            None => {
                self.managers.remove(&*key);
                self.objects.remove(&key)
            }
        };
        self.history.push_back(Change { version, key, new: new.clone(), old });
        while self.history.len() > self.history_limit {
            if let Some(dropped) = self.history.pop_front() {
                self.raise_floors(dropped.version);
            }
        }
        self.wake.send_replace(version);
        new
    }

    /// Drops the history up to and including `version`.
    pub(super) fn compact(&mut self, version: u64) {
        self.raise_floors(version);
        while self.history.front().is_some_and(|change| change.version <= version) {
            self.history.pop_front();
        }
        self.wake.send_modify(|_| {});
    }

    fn raise_floors(&mut self, version: u64) {
        self.watch_floor = self.watch_floor.max(version);
        self.list_floor = self.list_floor.max(version);
    }

    /// There will be no more writes: watchers end after the changes that they have not seen yet.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake.send_modify(|_| {});
    }

    /// The changes after `cursor`, oldest first. O(log history) to find the place.
    pub(super) fn changes_after(&self, cursor: u64) -> impl Iterator<Item = &Change> {
        let from = self.history.partition_point(|change| change.version <= cursor);
        self.history.range(from..)
    }

    /// The keys under `prefix` after `start`, as they were at `version`, in key order. Costs O(changes since `version`
    /// + keys taken). `version` must not be below the list floor.
    pub(super) fn at<'a>(
        &'a self,
        version: u64,
        prefix: &'a str,
        start: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Version>> {
        // The keys that changed since, with their state at `version`: the oldest of several changes has it.
        let mut then: BTreeMap<&str, Option<&Arc<Version>>> = BTreeMap::new();
        for change in self.history.iter().rev().take_while(|change| change.version > version) {
            if change.key.starts_with(prefix) && *change.key >= *start {
                then.insert(&change.key, change.old.as_ref());
            }
        }
        let from = if start > prefix { start } else { prefix };
        let mut now = self
            .objects
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .peekable();
        let mut then = then.into_iter().peekable();
        std::iter::from_fn(move || {
            loop {
                let next_now = now.peek().map(|(key, _)| &***key);
                let next_then = then.peek().map(|(key, _)| *key);
                let overridden = match (next_now, next_then) {
                    (None, None) => return None,
                    (Some(_), None) => false,
                    (None, Some(_)) => true,
                    (Some(now_key), Some(then_key)) => {
                        if now_key == then_key {
                            now.next();
                        }
                        then_key <= now_key
                    }
                };
                if !overridden {
                    return now.next().map(|(_, object)| object);
                }
                if let Some((_, Some(object))) = then.next() {
                    return Some(object);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
