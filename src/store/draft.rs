//! The next version of a store, before readers see it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::arrivals::Arrivals;
use super::indexers::{Indexed, Indexers};
use super::late::Late;
use super::life::Life;
use super::members::{Grave, Members};
use super::retired::{Retired, World};
use crate::error::DecodeError;
use crate::free::free;
use crate::hash::KeyHasher;
use crate::index::{AnyTable, FoundKey, IndexKeys, Keys, SlotKey, register};
use crate::key::Key;
use crate::object::{Identity, Obj, TooLong};
use crate::objects::ObjectMap;
use crate::reflector::Reuse;
use crate::slab::{Slab, Slot};
use crate::snapshot::{Invalid, Reached, Recent, View};
use crate::source::Meta;
use crate::trie::{Element, Trie};
use crate::version::ResourceVersion;

/// What the writer stores beside a version. Readers do not need it.
#[derive(Clone, Default)]
pub(super) struct Beside {
    /// Index keys of objects that were stored before the index was added.
    pub(super) late: Trie<Late>,
    /// See [`Draft::members`].
    pub(super) members: Trie<Members>,
}

/// The next version, based on the published one. A batch of events, a list, a new index or a new scope
/// makes it.
///
/// It shares everything with the published version, and copies the path to each change once. The writer
/// publishes it atomically. A draft that is dropped instead has no effect, and its memory is freed in parts.
pub(crate) struct Draft<T> {
    pub(super) revision: u64,
    pub(super) epoch: u64,
    pub(super) synced: bool,
    pub(super) resource_version: Option<ResourceVersion>,
    pub(super) objects: ObjectMap<T>,
    /// The keys of all indexes.
    pub(super) keys: Keys,
    /// See [`View::has_unnamespaced`].
    has_unnamespaced: bool,
    /// See [`View::churn`].
    pub(super) churn: u64,
    /// What the change to the published version was.
    recent: Recent,
    /// The slots of the objects that were stored and removed since, up to one more than [`Recent::MOST`].
    touched: Vec<Slot>,
    /// The slots that were vacant before, and the objects that were removed, if the writer wants to know.
    pub(super) added: Option<Vec<Slot>>,
    pub(super) removed: Option<Vec<Obj<T>>>,
    pub(super) tables: Vec<AnyTable>,
    /// Index keys of objects that were stored before the index was added.
    pub(super) late: Trie<Late>,
    pub(super) invalid: Trie<Invalid>,
    pub(super) nameless: usize,
    /// Objects of the published version that are not in this one.
    pub(super) replaced: Vec<Obj<T>>,
    /// Whether the content differs from the published version.
    pub(super) changed: bool,
    /// Which stored objects are reused instead of decoding them again.
    pub(super) reuse: Reuse,
    /// Which parts of the scope have an object, where several could have it. Empty if there is one part.
    pub(super) members: Trie<Members>,
    /// Objects that have left the store since the published version.
    pub(super) graves: Vec<Grave>,
    pub(super) hasher: KeyHasher,
    /// Receives the memory when the draft is dropped. `None` once it is published.
    retired: Option<Arc<Retired<T>>>,
}

impl<T> Draft<T> {
    /// A copy of the published version: O(1) in the number of objects.
    pub(super) fn of(view: &View<T>, beside: Beside, reuse: Reuse, retired: Arc<Retired<T>>) -> Self {
        let Beside { late, members } = beside;
        Self {
            revision: view.revision,
            epoch: view.epoch,
            synced: view.synced,
            resource_version: view.resource_version.clone(),
            objects: view.objects.clone(),
            keys: view.keys.clone(),
            has_unnamespaced: view.has_unnamespaced,
            churn: view.churn,
            recent: view.recent.clone(),
            touched: Vec::new(),
            added: None,
            removed: None,
            tables: view.tables.to_vec(),
            late,
            invalid: view.invalid.clone(),
            nameless: view.nameless,
            replaced: Vec::new(),
            changed: false,
            reuse,
            members,
            graves: Vec::new(),
            hasher: view.hasher.clone(),
            retired: Some(retired),
        }
    }

    /// Returns the version to publish, what is stored beside it, and the objects that it replaces.
    pub(super) fn into_parts(
        mut self,
        store: u64,
        reached: Slab<Arc<Reached>>,
    ) -> (View<T>, Beside, Vec<Obj<T>>) {
        self.retired = None;
        let touched = std::mem::take(&mut self.touched);
        let view = View {
            store,
            revision: self.revision + u64::from(self.changed),
            epoch: self.epoch,
            synced: self.synced,
            resource_version: self.resource_version.take(),
            reached,
            hasher: self.hasher.clone(),
            objects: self.objects.take(),
            keys: std::mem::take(&mut self.keys),
            has_unnamespaced: self.has_unnamespaced,
            churn: self.churn,
            recent: if self.changed { Recent::of(&touched) } else { std::mem::take(&mut self.recent) },
            tables: std::mem::take(&mut self.tables).into(),
            invalid: std::mem::take(&mut self.invalid),
            nameless: self.nameless,
        };
        let beside =
            Beside { late: std::mem::take(&mut self.late), members: std::mem::take(&mut self.members) };
        (view, beside, std::mem::take(&mut self.replaced))
    }

    /// Drops a draft that is equal to the published version, so that there is nothing to free.
    pub(super) fn drop_unchanged(mut self) {
        self.retired = None;
    }

    /// Whether this version of the object, or a newer one, is stored or known to be invalid.
    pub(super) fn holds(&self, meta: &Meta) -> bool {
        let key = meta.key.as_key();
        let hash = self.hasher.object(key);
        let invalid = self.invalid.get(hash, |invalid| invalid.is_of(key));
        let stored = self.objects.get(hash, key);
        self.reuse.covers(meta, invalid, stored)
    }
}

impl Reuse {
    /// Whether a received version can be skipped: it is the stored or invalid one, or that is newer where versions have
    /// an order.
    pub(super) fn covers<T>(self, meta: &Meta, invalid: Option<&Invalid>, stored: Option<&Obj<T>>) -> bool {
        if matches!(self, Self::Nothing | Self::NewEpoch) || meta.resource_version.is_empty() {
            return false;
        }
        let reaches = |order, is_same: &dyn Fn() -> bool| match order {
            Some(Ordering::Equal) => is_same(),
            // Even for another uid: that object was deleted before.
            Some(Ordering::Greater) => self == Self::Unchanged,
            _ => false,
        };
        match (invalid, stored) {
            (Some(invalid), _) => {
                let (held, offered) = (Life::of_invalid(invalid), Life::of(meta));
                reaches(held.cmp_version(&offered), &|| held.is_same_as(&offered))
            }
            (None, Some(stored)) => {
                let order = Obj::cmp_version(stored, &meta.resource_version);
                reaches(order, &|| Obj::has_uid(stored, &meta.uid))
            }
            (None, None) => false,
        }
    }
}

impl<T: Send + Sync + 'static> Draft<T> {
    /// Stores a value. If an index panics, the object stays as it was and is marked as invalid.
    pub(super) fn insert(&mut self, indexers: &Indexers<T>, meta: &Meta, value: T) {
        let key = meta.key.as_key();
        let hash = self.hasher.object(key);
        let (before, slot) = place_of(self.objects.get(hash, key));
        let found = match indexers.keys(self.indexed(), key, &value, before) {
            Ok(found) => found,
            Err(mismatch) => {
                free(value);
                return self.mark_invalid(indexers, DecodeError::of(meta, mismatch));
            }
        };
        let identity = Identity { key, uid: &meta.uid, version: &meta.resource_version };
        match Obj::new(&identity, value) {
            Ok(new) => self.put(indexers, new, (hash, slot), found),
            Err(TooLong) => {
                found.into_iter().for_each(free);
                self.mark_invalid(indexers, DecodeError::too_long(meta));
            }
        }
    }

    pub(super) fn indexed(&self) -> Indexed<'_> {
        Indexed { tables: &self.tables, keys: &self.keys, hasher: &self.hasher }
    }

    /// Stores an object whose index keys are known. It is valid, and so no longer among the invalid ones.
    ///
    /// Nothing else may refer to it yet. Its place is the hash of its key, and the slot of the stored version, if there is one.
    pub(super) fn put(
        &mut self,
        indexers: &Indexers<T>,
        mut new: Obj<T>,
        (hash, slot): (u64, Option<Slot>),
        keys: Vec<FoundKey>,
    ) {
        if !self.invalid.is_empty() {
            let key = Obj::key(&new);
            self.invalid.remove(hash, |invalid| invalid.is_of(key));
        }
        self.has_unnamespaced |= Obj::is_unnamespaced(&new);
        let slot = slot.unwrap_or_else(|| {
            let slot = self.objects.vacant(hash);
            self.added.iter_mut().for_each(|added| added.push(slot));
            slot
        });
        Obj::set_place(&mut new, slot, register(&mut self.keys, keys));
        let old = self.objects.insert(new.clone(), hash);
        self.reindex(indexers, old.as_ref(), Some(&new));
        self.note_change(slot, old);
    }

    /// Removes an object, and its entry among the invalid objects.
    pub(super) fn remove(&mut self, indexers: &Indexers<T>, key: Key<'_>) {
        self.remove_invalid(key, |_| true);
        self.remove_object(indexers, key, |_| true);
    }

    /// Removes an object that the server has deleted, unless the stored one is known to be a later object of
    /// the same name.
    pub(super) fn remove_life(
        &mut self,
        indexers: &Indexers<T>,
        key: Key<'_>,
        uid: Option<&str>,
        version: Option<&ResourceVersion>,
    ) {
        let deleted = Life { uid: uid.unwrap_or_default().into(), version: version.cloned() };
        self.remove_invalid(key, |invalid| deleted.ends(&Life::of_invalid(invalid)));
        self.remove_object(indexers, key, |object| deleted.ends(&Life::of_object(object)));
    }

    pub(super) fn remove_invalid(&mut self, key: Key<'_>, is_meant: impl Fn(&Invalid) -> bool) {
        let hash = self.hasher.object(key);
        self.changed |=
            self.invalid.remove(hash, |invalid| invalid.is_of(key) && is_meant(invalid)).is_some();
    }

    pub(super) fn remove_object(
        &mut self,
        indexers: &Indexers<T>,
        key: Key<'_>,
        is_meant: impl Fn(&Obj<T>) -> bool,
    ) {
        let Some(old) =
            self.objects.get(self.hasher.object(key), key).filter(|object| is_meant(object)).cloned()
        else {
            return;
        };
        let Some(slot) = Obj::slot(&old) else { return };
        // The indexes look their objects up by slot, so it leaves them first.
        self.reindex(indexers, Some(&old), None);
        self.objects.remove(slot);
        self.removed.iter_mut().for_each(|removed| removed.push(old.clone()));
        self.note_change(slot, Some(old));
    }

    /// An object was stored or removed. `old` is no longer stored.
    fn note_change(&mut self, slot: Slot, old: Option<Obj<T>>) {
        if self.touched.len() <= Recent::MOST {
            self.touched.push(slot);
        }
        self.replaced.extend(old);
        self.churn += 1;
        self.changed = true;
    }

    /// Records that the newest version of an object is invalid. The stored version stays, unless it belongs
    /// to an earlier object of the same name, which was deleted.
    pub(super) fn mark_invalid(&mut self, indexers: &Indexers<T>, error: DecodeError) {
        let Some(key) = error.key.clone() else {
            self.nameless += 1;
            self.changed = true;
            return;
        };
        let hash = self.hasher.object(key.as_key());
        self.put_invalid(indexers, Invalid::new(hash, error));
    }

    /// [`mark_invalid`](Self::mark_invalid) for an object with a name.
    pub(super) fn put_invalid(&mut self, indexers: &Indexers<T>, invalid: Invalid) {
        let Some(key) = invalid.error().key.clone() else { return };
        let (key, hash) = (key.as_key(), invalid.hash());
        let stored = self.objects.get(hash, key);
        let new = Life::of_invalid(&invalid);
        let is_older = |held: Life<'_>| {
            self.reuse == Reuse::Unchanged && held.cmp_version(&new) == Some(Ordering::Greater)
        };
        let known = self.invalid.get(hash, |known| known.same_key(&invalid));
        if stored.is_some_and(|stored| is_older(Life::of_object(stored)))
            || known.is_some_and(|known| is_older(Life::of_invalid(known)))
        {
            return;
        }
        let is_over = stored.is_some_and(|stored| !Life::of_object(stored).is_same_as(&new));
        if is_over {
            self.remove_object(indexers, key, |_| true);
        }
        self.invalid.insert(invalid);
        self.changed = true;
    }

    /// Updates every index whose keys differ between two versions of an object. Runs no application code: keys are
    /// compared by address.
    fn reindex(&mut self, indexers: &Indexers<T>, old: Option<&Obj<T>>, new: Option<&Obj<T>>) {
        let late = old
            .filter(|_| !self.late.is_empty())
            .and_then(|old| self.late.remove(self.hasher.stored(old), |late| late.is_of(old)));
        let none = IndexKeys::NONE;
        let later = late.as_ref().map_or(&none, Late::keys);
        let [before, after] = [old, new].map(|object| object.map_or(&none, Obj::index_keys));
        let Self { tables, keys, objects, .. } = self;
        for place in before.iter().chain(later.iter()).filter(|key| !after.contains(*key)) {
            let Some((left, old)) = keys.get(place).cloned().zip(old) else { continue };
            let SlotKey { slot, key } = &left;
            if indexers.at(*slot).remove(&mut tables[*slot as usize], key, objects, old) {
                keys.remove(place);
            }
            // This may be the last owner of the key, whose destructor is application code.
            free(left);
        }
        for place in after.iter().filter(|key| !before.contains(*key) && !later.contains(*key)) {
            if let Some((SlotKey { slot, key }, new)) = keys.get(place).zip(new) {
                indexers.at(*slot).insert(&mut tables[*slot as usize], key, objects, new);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn validate(&self, indexers: &Indexers<T>) {
        self.objects.validate();
        self.invalid.validate();
        for (slot, table) in (0u32..).zip(&self.tables) {
            let keys = |object: &Obj<T>| {
                let hash = self.hasher.stored(object);
                let late = self.late.get(hash, |late| late.is_of(object));
                let places = Obj::index_keys(object)
                    .iter()
                    .chain(late.into_iter().flat_map(|late| late.keys().iter()));
                places.map(|place| self.keys.get(place).cloned().expect("a key in its place")).collect()
            };
            indexers.at(slot).validate(table, slot, &self.objects, &keys);
        }
        self.keys.validate();
        let under = self.tables.iter().map(|table| table.keys()).sum::<usize>();
        assert_eq!(self.keys.iter().count(), under, "a key without an object, or out of its place");
        self.members.validate();
        self.late.validate();
        for late in self.late.iter() {
            let objects = self.objects.of_hash(late.hash());
            assert!(objects.iter().any(|object| late.is_of(object)), "index keys of an object that is gone");
        }
    }
}

/// The index keys and the slot of the stored version of an object.
pub(super) fn place_of<T>(stored: Option<&Obj<T>>) -> (&IndexKeys, Option<Slot>) {
    (stored.map_or(&IndexKeys::NONE, Obj::index_keys), stored.and_then(Obj::slot))
}

/// A dropped draft is freed in parts.
impl<T> Drop for Draft<T> {
    fn drop(&mut self) {
        let Some(retired) = self.retired.take() else { return };
        retired.discard(World {
            tables: std::mem::take(&mut self.tables),
            objects: self.objects.take().into_slab(),
            keys: std::mem::take(&mut self.keys),
            replaced: std::mem::take(&mut self.replaced),
            listed: Arrivals::new(),
            late: std::mem::take(&mut self.late),
            members: std::mem::take(&mut self.members),
            invalid: std::mem::take(&mut self.invalid),
        });
    }
}

impl DecodeError {
    pub(crate) fn projection(meta: &Meta, source: Arc<dyn std::error::Error + Send + Sync>) -> Self {
        Self { source: Some(source), ..Self::of(meta, "its projection failed") }
    }

    pub(super) fn stored<T>(object: &Obj<T>, mismatch: &str) -> Self {
        let uid = Some(Obj::uid(object).into());
        Self { uid, ..Self::new(Some(object.into()), Some(Obj::resource_version(object)), mismatch) }
    }

    pub(super) fn too_long(meta: &Meta) -> Self {
        Self::of(meta, "its metadata is longer than the Kubernetes API allows")
    }

    pub(crate) fn of(meta: &Meta, mismatch: &str) -> Self {
        let (key, version) = (meta.key.clone(), meta.resource_version.clone());
        Self { uid: Some(meta.uid.clone()), ..Self::new(Some(key), Some(version), mismatch) }
    }
}
