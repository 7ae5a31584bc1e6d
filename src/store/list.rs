//! A list that is being collected, beside the store.
//!
//! Other parts of the scope publish while a list is collected. So it changes nothing: it notes which stored objects were
//! listed, and keeps the values of the others, decoded and projected, until they are merged into the newest version.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::arrivals::Arrivals;
use super::life::Life;
use super::retired::{Retired, World};
use crate::error::DecodeError;
use crate::hash::KeyHasher;
use crate::key::Key;
use crate::object::{Identity, Obj, TooLong};
use crate::reflector::Reuse;
use crate::slab::Slot;
use crate::snapshot::{Invalid, View};
use crate::source::Meta;
use crate::trie::Trie;
use crate::version::ResourceVersion;

/// An incomplete list. It is a separate value that neither readers nor the writer see until
/// [`Writer::commit`](super::Writer::commit). Dropping it aborts the list in O(1); its memory is freed later, in parts.
pub(crate) struct List<T> {
    /// The version that was published when the list began.
    pub(super) base: Arc<View<T>>,
    /// The slots of the objects of `base` that were listed.
    named: HashSet<Slot, RandomState>,
    /// The listed objects that are not stored in this version, without index keys.
    pub(super) values: Arrivals<T>,
    /// The listed objects that are invalid.
    pub(super) invalid: Trie<Invalid>,
    pub(super) nameless: usize,
    pub(super) reuse: Reuse,
    /// While it exists, the writer forgets no object that has left.
    pub(super) open: Option<Arc<()>>,
    /// Receives the memory.
    retired: Arc<Retired<T>>,
}

// === impl List ===

impl<T> List<T> {
    /// Allocates for `expected` listed objects that are stored.
    pub(super) fn new(
        base: Arc<View<T>>,
        reuse: Reuse,
        expected: usize,
        open: Option<Arc<()>>,
        retired: Arc<Retired<T>>,
    ) -> Self {
        Self {
            named: HashSet::with_capacity_and_hasher(expected.min(base.len()), RandomState::default()),
            base,
            values: Arrivals::new(),
            invalid: Trie::new(),
            nameless: 0,
            reuse,
            open,
            retired,
        }
    }

    /// Whether objects were listed that were stored when the list began.
    pub(super) fn names_any(&self) -> bool {
        !self.named.is_empty()
    }

    /// Whether a stored object was listed. Other parts may have brought a later version of it since the list began, or have
    /// removed it and brought it again.
    pub(super) fn names(&self, object: &Obj<T>) -> bool {
        let is_named = |known: &Obj<T>| Obj::slot(known).is_some_and(|slot| self.named.contains(&slot));
        let known = match Obj::slot(object).and_then(|slot| self.base.objects.at(slot)) {
            Some(known) if Obj::ptr_eq(known, object) => return is_named(known),
            Some(known) if Obj::same_key(known, object) => Some(known),
            // It was stored again since, in another slot.
            _ => self.base.objects.same_key(object),
        };
        known.is_some_and(|known| Obj::same_uid(known, object) && is_named(known))
    }

    /// About how many objects were listed.
    pub(super) fn len(&self) -> usize {
        self.named.len() + self.values.len()
    }

    /// Marks the list as the first of a new epoch.
    pub(crate) fn begin_epoch(&mut self) {
        self.reuse = Reuse::NewEpoch;
    }

    /// Whether this version of the object, or a newer one, is stored, was listed, or is known to be invalid. Also
    /// records that the object still exists.
    pub(super) fn holds(&mut self, meta: &Meta) -> bool {
        let key = meta.key.as_key();
        let hash = self.hasher().object(key);
        self.name(hash, key, &meta.uid);
        let stored = self.listed(hash, key).or_else(|| self.base.objects.get(hash, key));
        let is_invalid = |invalid: &Invalid| invalid.is_of(key);
        let known = self.base.invalid.get(hash, is_invalid).or_else(|| self.invalid.get(hash, is_invalid));
        let holds = self.reuse.covers(meta, known, stored);
        if let Some(known) = known.filter(|_| holds).cloned() {
            self.invalid.insert(known);
        }
        holds
    }

    pub(super) fn insert(&mut self, meta: &Meta, value: T) {
        let key = meta.key.as_key();
        let hash = self.hasher().object(key);
        let identity = Identity { key, uid: &meta.uid, version: &meta.resource_version };
        match Obj::new(&identity, value) {
            Ok(new) => {
                self.invalid.remove(hash, |invalid| invalid.is_of(key));
                let old = self.values.insert(hash, new);
                self.discard(old);
            }
            Err(TooLong) => self.mark_invalid(DecodeError::too_long(meta)),
        }
    }

    /// The projection excludes a listed object: it counts as not listed.
    pub(super) fn leave_out(&mut self, key: Key<'_>) {
        self.remove(key, |_| true);
    }

    /// Removes an object that was listed before and has been deleted meanwhile.
    pub(super) fn delete(&mut self, key: Key<'_>, uid: Option<&str>, version: Option<&ResourceVersion>) {
        let deleted = Life { uid: uid.unwrap_or_default().into(), version: version.cloned() };
        self.remove(key, |life| deleted.ends(&life));
    }

    fn remove(&mut self, key: Key<'_>, is_meant: impl Fn(Life<'_>) -> bool) {
        let hash = self.hasher().object(key);
        self.invalid.remove(hash, |invalid| invalid.is_of(key) && is_meant(Life::of_invalid(invalid)));
        let is_object = |object: &Obj<T>| Obj::is(object, key) && is_meant(Life::of_object(object));
        let old = self.values.remove(hash, is_object);
        self.discard(old);
        let is_listed = self.listed(hash, key).is_some()
            || self.invalid.get(hash, |invalid| invalid.is_of(key)).is_some();
        // The stored object may be a later one of the same name, which another part has brought, or one of another epoch.
        if !is_listed && let Some(stored) = self.base.objects.get(hash, key) {
            Obj::slot(stored).map(|slot| self.named.remove(&slot));
        }
    }

    /// Records that the newest version of an object is invalid. A listed version of it stays, unless it belongs to an
    /// earlier object of the same name.
    pub(super) fn mark_invalid(&mut self, error: DecodeError) {
        let Some(key) = error.key.clone() else {
            self.nameless += 1;
            return;
        };
        let key = key.as_key();
        let hash = self.hasher().object(key);
        self.name(hash, key, error.uid().unwrap_or_default());
        let invalid = Invalid::new(hash, error);
        let new = Life::of_invalid(&invalid);
        let is_older = |known: &Life<'_>| {
            self.reuse == Reuse::Unchanged && known.cmp_version(&new) == Some(std::cmp::Ordering::Greater)
        };
        let listed = self.listed(hash, key).map(Life::of_object);
        let known = self.invalid.get(hash, |known| known.is_of(key)).map(Life::of_invalid);
        if listed.as_ref().is_some_and(is_older) || known.as_ref().is_some_and(is_older) {
            return;
        }
        if listed.is_some_and(|listed| !listed.is_same_as(&new)) {
            let old = self.values.remove(hash, |object| Obj::is(object, key));
            self.discard(old);
        }
        self.invalid.insert(invalid);
    }

    /// Records that a stored object still exists; not an object of the same name, which another part has brought.
    fn name(&mut self, hash: u64, key: Key<'_>, uid: &str) {
        let is_it = |object: &&Obj<T>| uid.is_empty() || Obj::has_uid(object, uid);
        let stored = self.base.objects.get(hash, key).filter(is_it);
        self.named.extend(stored.and_then(Obj::slot));
    }

    fn listed(&self, hash: u64, key: Key<'_>) -> Option<&Obj<T>> {
        self.values.get(hash, |object| Obj::is(object, key))
    }

    fn hasher(&self) -> &KeyHasher {
        &self.base.hasher
    }

    fn discard(&self, object: Option<Obj<T>>) {
        if let Some(object) = object {
            self.retired.discard(World { replaced: vec![object], ..World::default() });
        }
    }
}

/// A list that is dropped, or its rest, is freed in parts.
impl<T> Drop for List<T> {
    fn drop(&mut self) {
        let (listed, invalid) = (std::mem::take(&mut self.values), std::mem::take(&mut self.invalid));
        self.retired.discard(World { listed, invalid, ..World::default() });
    }
}
