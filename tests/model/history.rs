//! The history of the server: its state at every version.
//!
//! A restore from a backup begins another lineage. It shares the versions up to the backup with the previous
//! one, and uses later version numbers again.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::kind::{KINDS, Shown};

/// Namespace and name.
pub(crate) type Key = (String, String);
pub(crate) type State = BTreeMap<Key, Arc<Object>>;
/// The versions of the objects under one key, in order; `None` is a deletion.
pub(crate) type Versions = Vec<(u64, Option<Arc<Object>>)>;

/// One version of one object.
#[derive(Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) key: Key,
    pub(crate) uid: String,
    pub(crate) version: u64,
    pub(crate) group: String,
    /// `None`: the server sends a value that does not decode.
    pub(crate) number: Option<u64>,
    /// Whether the object has a byte that is not UTF-8, in a field that is not kept.
    pub(crate) odd: bool,
}

/// A write.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) at: Instant,
    pub(crate) kind: usize,
    pub(crate) before: Option<Arc<Object>>,
    pub(crate) after: Option<Arc<Object>>,
}

/// The selection of objects that a client lists and watches: a part of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Selection {
    pub(crate) kind: usize,
    pub(crate) namespace: Option<String>,
    pub(crate) group: Option<String>,
}

/// The objects of one kind that an informer caches: those of any part.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) kind: usize,
    pub(crate) parts: Vec<Selection>,
}

#[derive(Clone)]
pub(crate) struct Lineage {
    pub(crate) events: Vec<Event>,
    /// The last version that is shared with the previous lineage.
    forked_at: u64,
    /// By version, beginning with 1.
    states: BTreeMap<u64, [Arc<State>; KINDS]>,
    /// By key.
    objects: [BTreeMap<Key, Versions>; KINDS],
}

// === impl Object ===

impl Object {
    pub(crate) fn shown(&self) -> Shown {
        self.number.map_or(Shown::Invalid, Shown::of)
    }
}

// === impl Selection ===

impl Selection {
    pub(crate) fn has(&self, object: &Object) -> bool {
        self.covers(&object.key.0) && self.group.as_ref().is_none_or(|group| *group == object.group)
    }

    pub(crate) fn covers(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|mine| mine == namespace)
    }
}

// === impl Event ===

impl Event {
    /// Whether a client with this selection sees it.
    pub(crate) fn is_of(&self, selection: &Selection) -> bool {
        let has = |object: &Option<Arc<Object>>| object.as_ref().is_some_and(|object| selection.has(object));
        self.kind == selection.kind && (has(&self.before) || has(&self.after))
    }
}

// === impl Wanted ===

impl From<Selection> for Wanted {
    fn from(part: Selection) -> Self {
        Self { kind: part.kind, parts: vec![part] }
    }
}

// === impl Lineage ===

impl Lineage {
    pub(crate) fn new() -> Self {
        let states = BTreeMap::from([(1, Default::default())]);
        Self { events: Vec::new(), forked_at: 0, states, objects: Default::default() }
    }

    pub(crate) fn forked_at(&self) -> u64 {
        self.forked_at
    }

    pub(crate) fn version(&self) -> u64 {
        *self.states.keys().next_back().expect("there is a first state")
    }

    /// The newest version at that time.
    pub(crate) fn version_at(&self, time: Instant) -> u64 {
        let later = self.events.iter().rev().take_while(|event| event.at > time).last();
        later.map_or(self.version(), |event| event.version - 1)
    }

    pub(crate) fn state(&self, kind: usize, version: u64) -> Option<&Arc<State>> {
        self.states.get(&version).map(|states| &states[kind])
    }

    pub(crate) fn newest(&self, kind: usize) -> &Arc<State> {
        self.state(kind, self.version()).expect("the newest version has a state")
    }

    /// Creates, changes or deletes an object, which makes a new version.
    pub(crate) fn write(&mut self, kind: usize, key: &Key, after: Option<Object>) -> u64 {
        let version = self.version() + 1;
        let mut states = self.states[&(version - 1)].clone();
        let state = Arc::make_mut(&mut states[kind]);
        let before = state.remove(key);
        let after = after.map(|object| Arc::new(Object { version, ..object }));
        state.extend(after.iter().map(|object| (key.clone(), object.clone())));
        self.states.insert(version, states);
        self.objects[kind].entry(key.clone()).or_default().push((version, after.clone()));
        self.events.push(Event { version, at: Instant::now(), kind, before, after });
        version
    }

    /// All versions of the objects of a kind, by key.
    pub(crate) fn objects(&self, kind: usize) -> &BTreeMap<Key, Versions> {
        &self.objects[kind]
    }

    /// The events after a version, up to another.
    pub(crate) fn between(&self, after: u64, up_to: u64) -> &[Event] {
        let at = |version: u64| self.events.partition_point(|event| event.version <= version);
        let (from, to) = (at(after), at(up_to));
        &self.events[from.min(to)..to]
    }

    /// A new history that branches off at this version.
    pub(crate) fn fork(&self, version: u64) -> Self {
        let mut objects = self.objects.clone();
        for versions in objects.iter_mut().flat_map(BTreeMap::values_mut) {
            versions.retain(|(written, _)| *written <= version);
        }
        Self {
            objects,
            events: self.between(0, version).to_vec(),
            forked_at: version,
            states: self
                .states
                .range(..=version)
                .map(|(version, states)| (*version, states.clone()))
                .collect(),
        }
    }
}
