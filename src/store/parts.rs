//! The parts of a scope, as the writer knows them: which namespaces they cover, and what each has reached.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::reach::Reach;
use crate::object::Obj;
use crate::slab::Slab;
use crate::snapshot::Reached;
use crate::version::ResourceVersion;

/// The number of a part, which no later part of the informer has.
pub(crate) type PartId = u32;

/// One list and watch that fills the store.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) id: PartId,
    /// `None` if it covers all namespaces.
    pub(super) namespace: Option<Arc<str>>,
    /// What it has reached; `None` before its first list, and for kinds without versions.
    pub(super) version: Option<ResourceVersion>,
    /// Whether its first list is complete.
    pub(super) listed: bool,
    /// The epoch of its last list.
    pub(super) epoch: u64,
    /// The number of its invalid objects without a name.
    pub(super) nameless: usize,
}

/// All parts that may change what readers see.
#[derive(Default)]
pub(super) struct Parts {
    /// In the order of their numbers.
    parts: Vec<Part>,
    /// Those that cover all namespaces, and those that cover one.
    everywhere: Vec<PartId>,
    within: HashMap<Arc<str>, Vec<PartId>, RandomState>,
    /// How many have not been listed.
    unlisted: usize,
    /// What each has reached, in the same order. Empty if there is one part.
    reach: Reach,
}

/// Whether an object of a part may be one of other parts, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// The part does not cover the namespace of the object.
    Foreign,
    /// No other part does.
    Alone,
    /// The store has to remember which parts have it.
    Shared,
}

// === impl Part ===

impl Part {
    pub(super) fn new(id: PartId, namespace: Option<&str>) -> Self {
        let namespace = namespace.map(Arc::from);
        Self { id, namespace, version: None, listed: false, epoch: 0, nameless: 0 }
    }

    fn reached(&self) -> Reached {
        Reached { namespace: self.namespace.clone(), version: self.version.clone(), epoch: self.epoch }
    }

    /// A cluster-scoped object has no namespace, and a part that names one covers it nevertheless.
    fn covers(&self, namespace: &str) -> bool {
        namespace.is_empty() || self.namespace.as_deref().is_none_or(|mine| mine == namespace)
    }
}

// === impl Parts ===

impl Parts {
    pub(super) fn of(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut all = Self::default();
        for part in parts {
            match &part.namespace {
                None => all.everywhere.push(part.id),
                Some(namespace) => all.within.entry(namespace.clone()).or_default().push(part.id),
            }
            all.unlisted += usize::from(!part.listed);
            all.parts.push(part);
        }
        all.parts.sort_by_key(|part| part.id);
        if !all.is_single() {
            let reached = all.parts.iter().map(Part::reached).enumerate();
            reached.for_each(|(place, reached)| all.reach.set(place, reached));
        }
        all
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter()
    }

    pub(super) fn get(&self, id: PartId) -> Option<&Part> {
        self.parts.get(self.place(id)?)
    }

    /// Changes a part, not its namespace. `None` if it does not exist. O(log parts).
    pub(super) fn change<R>(&mut self, id: PartId, change: impl FnOnce(&mut Part) -> R) -> Option<R> {
        let place = self.place(id)?;
        let is_single = self.is_single();
        let part = self.parts.get_mut(place)?;
        let was_listed = part.listed;
        let result = change(part);
        self.unlisted = self.unlisted + usize::from(!part.listed) - usize::from(!was_listed);
        let is_same = |known: &Reached| known.version == part.version && known.epoch == part.epoch;
        if !is_single && !self.reach.get(place).is_some_and(is_same) {
            self.reach.set(place, part.reached());
        }
        Some(result)
    }

    fn place(&self, id: PartId) -> Option<usize> {
        self.parts.binary_search_by_key(&id, |part| part.id).ok()
    }

    /// The namespaces that parts name, if there are several parts.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        self.within.keys().filter(|_| !self.is_single()).cloned()
    }

    /// Whether there is one part, so that every object is one of it.
    pub(super) fn is_single(&self) -> bool {
        self.parts.len() == 1
    }

    /// O(log parts).
    pub(super) fn share(&self, id: PartId, namespace: &str) -> Share {
        if self.is_single() {
            return Share::Alone;
        }
        if !self.get(id).is_some_and(|part| part.covers(namespace)) {
            return Share::Foreign;
        }
        if self.covering(namespace) > 1 { Share::Shared } else { Share::Alone }
    }

    /// [`share`](Self::share) of the namespace of an object, which is not read if there is one part. O(log parts).
    pub(super) fn share_of<T>(&self, id: PartId, object: &Obj<T>) -> Share {
        if self.is_single() { Share::Alone } else { self.share(id, Obj::namespace(object)) }
    }

    /// How many parts cover a namespace. O(1).
    pub(super) fn covering(&self, namespace: &str) -> usize {
        if namespace.is_empty() {
            return self.parts.len();
        }
        self.everywhere.len() + self.within.get(namespace).map_or(0, Vec::len)
    }

    /// The only part that covers a namespace, if there is exactly one. O(1).
    pub(super) fn only(&self, namespace: &str) -> Option<PartId> {
        match &self.parts[..] {
            [part] => Some(part.id),
            // All parts cover it.
            _ if namespace.is_empty() => None,
            _ => {
                let within = self.within.get(namespace).into_iter().flatten();
                let mut covering = self.everywhere.iter().chain(within);
                covering.next().filter(|_| covering.next().is_none()).copied()
            }
        }
    }

    /// Whether every part has been listed. O(1).
    pub(super) fn are_listed(&self) -> bool {
        self.unlisted == 0
    }

    /// Whether a part has been listed since this epoch began.
    pub(super) fn is_of(&self, id: PartId, epoch: u64) -> bool {
        self.get(id).is_some_and(|part| part.epoch == epoch)
    }

    /// The lowest version that a part has reached; `None` while one has none, or they have no order. O(log parts), except for
    /// the first time in an epoch, and for versions without an order.
    pub(super) fn reached(&mut self, epoch: u64) -> Option<ResourceVersion> {
        if let [part] = &self.parts[..] {
            return part.version.clone().filter(|_| part.epoch == epoch);
        }
        self.reach.enter(epoch);
        self.reach.least()
    }

    /// The highest version that a part has reached; `None` if there is none, or they have no order.
    pub(super) fn most_reached(&self, epoch: u64) -> Option<ResourceVersion> {
        let parts = self.parts.iter().filter(|part| part.epoch == epoch);
        let versions = parts.filter_map(|part| part.version.as_ref()).filter(|version| version.is_ordered());
        versions.max_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal)).cloned()
    }

    /// What each part has reached. Empty if there is one part, which has reached what all have. O(1).
    pub(super) fn all_reached(&self) -> Slab<Arc<Reached>> {
        self.reach.each()
    }
}
