//! What one tick has done to one node: its version before and after.

use std::any::Any;
use std::sync::Arc;

use crate::snapshot::Snapshot;

/// A snapshot without its type. A [`Node`](super::Node) knows the type.
pub(super) trait AnySnapshot: Any + Send + Sync {
    fn store(&self) -> u64;

    fn revision(&self) -> u64;
}

/// The versions of a node before and after a tick. The same if the tick has not changed it.
pub(super) struct Step<T> {
    pub(super) old: Arc<Snapshot<T>>,
    pub(super) new: Arc<Snapshot<T>>,
}

/// A [`Step`] without its type.
pub(super) trait AnyStep: Any + Send + Sync {
    /// Whether an object changed.
    fn is_changed(&self) -> bool;

    /// The hashes of the keys of all changed objects, in O(changes).
    fn changed_objects(&self) -> Changed<'_>;

    /// The hashes of the keys of an index under which objects changed, in O(changes). `None` if there was no such index.
    fn changed_keys(&self, slot: u32) -> Option<Changed<'_>>;

    /// For each selector under which objects changed, in O(changes): the places that it may have in its index, as hashes
    /// of buckets. `None` if there was no such index.
    fn changed_selectors(&self, slot: u32) -> Option<Places<'_>>;

    fn snapshot(&self) -> Arc<dyn AnySnapshot>;
}

/// Places of selectors, each as the hashes of its buckets.
pub(super) type Places<'a> = Box<dyn Iterator<Item = Vec<Vec<u64>>> + Send + 'a>;

/// Hashes of keys.
pub(super) type Changed<'a> = Box<dyn Iterator<Item = u64> + Send + 'a>;

// === impl AnySnapshot ===

impl<T: Send + Sync + 'static> AnySnapshot for Snapshot<T> {
    fn store(&self) -> u64 {
        self.store
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

impl dyn AnySnapshot {
    pub(super) fn typed<T: 'static>(&self) -> Option<&Snapshot<T>> {
        (self as &dyn Any).downcast_ref()
    }
}

// === impl AnyStep ===

impl<T: Send + Sync + 'static> AnyStep for Step<T> {
    fn is_changed(&self) -> bool {
        !self.old.objects.ptr_eq(&self.new.objects)
    }

    fn changed_objects(&self) -> Changed<'_> {
        let changes = self.new.differences(&self.old);
        Box::new(changes.filter_map(|(before, after)| Some(self.new.hasher.stored(after.or(before)?))))
    }

    fn changed_keys(&self, slot: u32) -> Option<Changed<'_>> {
        let (old, new) = (self.old.tables.get(slot as usize)?, self.new.tables.get(slot as usize)?);
        let modified = self.new.modified_keys(&self.old, slot).filter_map(|key| new.hash_of(key));
        Some(Box::new(new.changed_since(old).chain(modified)))
    }

    fn changed_selectors(&self, slot: u32) -> Option<Places<'_>> {
        let changed = self.new.changed_selectors(&self.old, slot)?;
        Some(Box::new(changed.map(|selector| selector.place_hashes(&self.new.hasher))))
    }

    fn snapshot(&self) -> Arc<dyn AnySnapshot> {
        self.new.clone()
    }
}

impl dyn AnyStep {
    pub(super) fn typed<T: 'static>(&self) -> Option<&Step<T>> {
        (self as &dyn Any).downcast_ref()
    }
}
