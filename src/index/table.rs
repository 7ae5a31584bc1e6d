//! The table of one index, from a typed key to a posting, and its type-erased form, in which the store keeps
//! indexes of different key types.

use std::any::{Any, TypeId};
use std::cmp::Ordering;
use std::hash::Hash;
use std::sync::Arc;

use equivalent::Equivalent;

use super::IndexBy;
use super::directory::Directory;
use super::keys::{FoundKey, IndexKeys, Keys, SharedKey, SlotKey, typed_key, typed_shared};
use super::multimap::{HashedKey, Multimap, MultimapRemains};
use super::posting::{Ordered as _, Posting};
use super::selector_key::SelectorKey;
use crate::free::Remains;
use crate::hash::KeyHasher;
use crate::key::Key;
use crate::object::Obj;
use crate::objects::ObjectMap;
use crate::slab::Slot;

/// A type-erased table. Only its [`Indexer`] and its handle know the types.
pub(crate) type AnyTable = Arc<dyn ErasedTable>;

/// The interface of a type-erased table.
pub(crate) trait ErasedTable: Any + Send + Sync {
    /// Converts the table to be freed in small parts. `None` if another version shares it.
    fn into_remains(self: Arc<Self>) -> Option<Box<dyn Remains>>;

    /// The hashes of the keys that objects have entered or left since an earlier version of the same table.
    fn changed_since<'a>(&'a self, old: &'a AnyTable) -> Box<dyn Iterator<Item = u64> + Send + 'a>;

    /// The hash of a key of this table.
    fn hash_of(&self, key: &SharedKey) -> Option<u64>;

    /// The number of keys.
    #[cfg(test)]
    fn keys(&self) -> usize;
}

/// The place of an index in a version of the store.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) slot: u32,
    pub(crate) table: &'a AnyTable,
    pub(crate) keys: &'a Keys,
    pub(crate) hasher: &'a KeyHasher,
}

/// One version of an index. The objects of its slots are in the version of the store that it belongs to.
pub(crate) struct Table<K> {
    pub(super) entries: Multimap<K, Slot>,
    /// Only where `K` is [`SelectorKey`]: finds the keys that match given labels.
    directory: Option<Directory>,
}

/// The most keys of the stored version of an object that a new key is compared with.
const COMPARED: usize = 16;

/// The rest of a table that is being freed.
struct TableRemains<K> {
    entries: MultimapRemains<K, Slot>,
    directory: Option<Box<dyn Remains>>,
}

/// The interface that the writer uses to update an index of any key type.
pub(crate) trait Indexer<T>: Send {
    fn empty(&self) -> AnyTable;

    /// Adds the keys of an object to `found`, without duplicates, shared with those already in the table. `before` are
    /// the keys of the stored version of the object, which are often the same. This is the only function here that runs
    /// application code: the closure, and `Hash` and `Eq` of the key. It changes nothing in the table.
    fn keys(&self, at: At<'_>, key: Key<'_>, object: &T, before: &IndexKeys, found: &mut Vec<FoundKey>);

    /// Puts an object of these under a key.
    fn insert(&self, table: &mut AnyTable, key: &SharedKey, objects: &ObjectMap<T>, object: &Obj<T>);

    /// Removes an object from a key. Its slot still has it, or a later version of it. Returns whether it was the last
    /// object of the key.
    fn remove(&self, table: &mut AnyTable, key: &SharedKey, objects: &ObjectMap<T>, object: &Obj<T>) -> bool;

    #[cfg(test)]
    fn validate(
        &self,
        table: &AnyTable,
        slot: u32,
        objects: &ObjectMap<T>,
        keys: &dyn Fn(&Obj<T>) -> Vec<SlotKey>,
    );
}

// === impl Table ===

impl<K: 'static> Table<K> {
    fn new() -> Self {
        let selects = TypeId::of::<K>() == TypeId::of::<SelectorKey>();
        Self { entries: Multimap::new(), directory: selects.then(Directory::new) }
    }
}

impl<K> Table<K> {
    pub(crate) fn find<Q>(&self, hasher: &KeyHasher, query: &Q) -> Option<&Posting<Slot>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = hasher.index_key(query);
        self.entries.get(hash, |key| query.equivalent(key)).map(|entry| &entry.posting)
    }

    /// The hash of a key of this table.
    pub(crate) fn hash_of(key: &SharedKey) -> Option<u64>
    where
        K: Send + Sync + 'static,
    {
        typed_key::<K>(key).map(|key| key.hash)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, usize)> {
        self.entries.iter().map(|entry| (&entry.key.key, entry.posting.len()))
    }
}

impl Table<SelectorKey> {
    /// Calls `found` with the objects under each key that matches these labels in this namespace. `value` looks one of
    /// `labels` up.
    pub(crate) fn selecting<'a, 'q>(
        &'a self,
        namespace: &'q str,
        labels: impl Iterator<Item = (&'q str, &'q str)>,
        value: impl Fn(&str) -> Option<&'q str>,
        found: &mut dyn FnMut(&'a Posting<Slot>),
    ) {
        let Some(directory) = &self.directory else { return };
        directory.visit(namespace, labels, &mut |key| {
            if key.key.matches(namespace, &value)
                && let Some(entry) = self.entries.of(key)
            {
                found(&entry.posting);
            }
        });
    }
}

impl<K> Clone for Table<K> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), directory: self.directory.clone() }
    }
}

impl<K: Send + Sync + 'static> ErasedTable for Table<K> {
    fn into_remains(self: Arc<Self>) -> Option<Box<dyn Remains>> {
        let Self { entries, directory } = Arc::into_inner(self)?;
        let directory = directory.map(|directory| Box::new(directory.into_remains()) as Box<dyn Remains>);
        Some(Box::new(TableRemains { entries: entries.into_remains(), directory }))
    }

    fn changed_since<'a>(&'a self, old: &'a AnyTable) -> Box<dyn Iterator<Item = u64> + Send + 'a> {
        match downcast(old) {
            Some(old) => Box::new(Self::changes(old, self).map(|(hash, _)| hash)),
            None => Box::new(std::iter::empty()),
        }
    }

    fn hash_of(&self, key: &SharedKey) -> Option<u64> {
        Self::hash_of(key)
    }

    #[cfg(test)]
    fn keys(&self) -> usize {
        self.entries.iter().len()
    }
}

// === impl TableRemains ===

impl<K: Send + Sync> Remains for TableRemains<K> {
    fn free_some(&mut self) -> bool {
        self.entries.free_some() || self.directory.as_mut().is_some_and(|directory| directory.free_some())
    }
}

// === impl At ===

impl At<'_> {
    fn hashed<K: Hash>(self, key: K) -> HashedKey<K> {
        HashedKey { hash: self.hasher.index_key(&key), place: None, key }
    }

    /// The place of a key among those of the stored version.
    fn known<K: Eq + 'static>(self, key: &K, before: &IndexKeys) -> Option<Slot> {
        // With more, each index would look at all of them.
        if before.len() > COMPARED {
            return None;
        }
        let is_it = |known: &&SharedKey| typed_key::<K>(known).is_some_and(|known| known.key == *key);
        before.of_index(self.slot, self.keys).find(is_it)?.place()
    }

    /// The key of the table that equals `new`, or `new`.
    fn found<K: Eq + Send + Sync + 'static>(self, new: HashedKey<K>) -> FoundKey {
        let entries = downcast::<K>(self.table).map(|table| &table.entries);
        let known = entries.and_then(|entries| entries.get(new.hash, |key| *key == new.key));
        match known.and_then(|entry| entry.key.place) {
            Some(place) => FoundKey::Known(place),
            None => FoundKey::New(SlotKey { slot: self.slot, key: Arc::new(new) }),
        }
    }
}

// === impl Indexer ===

impl<T, F> Indexer<T> for F
where
    T: Send + Sync + 'static,
    F: IndexBy<T>,
{
    fn empty(&self) -> AnyTable {
        Arc::new(Table::<F::Key>::new())
    }

    fn keys(&self, at: At<'_>, key: Key<'_>, object: &T, before: &IndexKeys, found: &mut Vec<FoundKey>) {
        let (mut first, mut rest) = (None, Vec::new());
        self.index(key, object, &mut |key| match first {
            None => first = Some(key),
            Some(_) => rest.push(at.hashed(key)),
        });
        let Some(first) = first else { return };
        if rest.is_empty() {
            let known = at.known(&first, before).map(FoundKey::Known);
            return found.push(known.unwrap_or_else(|| at.found(at.hashed(first))));
        }
        rest.push(at.hashed(first));
        drop_duplicates(&mut rest);
        found.extend(rest.into_iter().map(|key| at.found(key)));
    }

    fn insert(&self, table: &mut AnyTable, key: &SharedKey, objects: &ObjectMap<T>, object: &Obj<T>) {
        let Some(slot) = Obj::slot(object) else { return };
        let Some((table, typed_key)) = typed::<F::Key>(table, key) else { return };
        if table.entries.insert(typed_key, slot, in_key_order(objects, object))
            && let Some(directory) = &mut table.directory
        {
            directory.add(key);
        }
    }

    fn remove(&self, table: &mut AnyTable, key: &SharedKey, objects: &ObjectMap<T>, object: &Obj<T>) -> bool {
        let Some(slot) = Obj::slot(object) else { return false };
        let Some((table, typed_key)) = typed::<F::Key>(table, key) else { return false };
        let emptied = table.entries.remove(&typed_key, &slot, in_key_order(objects, object));
        if emptied && let Some(directory) = &mut table.directory {
            directory.remove(key);
        }
        emptied
    }

    #[cfg(test)]
    fn validate(
        &self,
        table: &AnyTable,
        slot: u32,
        objects: &ObjectMap<T>,
        keys: &dyn Fn(&Obj<T>) -> Vec<SlotKey>,
    ) {
        let table = downcast::<F::Key>(table).expect("the table is of the index's types");
        let object = |slot: &Slot| objects.at(*slot).expect("an object in each slot of an index");
        table.entries.validate(|a, b| object(a).cmp_key(object(b)));
        if let Some(directory) = &table.directory {
            let keys: Vec<SharedKey> = table.entries.iter().map(|entry| entry.key.clone() as _).collect();
            directory.validate(&keys);
        }
        let mut listed = 0;
        for entry in table.entries.iter() {
            let key: SharedKey = entry.key.clone();
            for object in entry.posting.iter().map(object) {
                let is_it = |mine: &SlotKey| mine.slot == slot && Arc::ptr_eq(&mine.key, &key);
                assert!(keys(object).iter().any(is_it), "foreign key");
                listed += 1;
            }
        }
        let kept = |object: &Obj<T>| keys(object).iter().filter(|key| key.slot == slot).count();
        assert_eq!(listed, objects.iter().map(kept).sum::<usize>(), "an object misses in its posting");
    }
}

/// Casts a table to its type; `None` if the type differs.
pub(crate) fn downcast<K: Send + Sync + 'static>(table: &AnyTable) -> Option<&Table<K>> {
    let table: &dyn Any = &**table;
    table.downcast_ref()
}

/// A table to change and one of its keys, with their types.
type Typed<'a, K> = (&'a mut Table<K>, Arc<HashedKey<K>>);

/// Casts the table, which is copied first if another version shares it, and the key.
fn typed<'a, K: Send + Sync + 'static>(table: &'a mut AnyTable, key: &SharedKey) -> Option<Typed<'a, K>> {
    if Arc::get_mut(table).is_none() {
        *table = Arc::new(downcast::<K>(table)?.clone());
    }
    let own: &mut dyn Any = Arc::get_mut(table)?;
    Some((own.downcast_mut()?, typed_shared(key)?))
}

/// Compares the object of a slot with another one.
pub(crate) fn in_key_order<'a, T>(
    objects: &'a ObjectMap<T>,
    with: &'a Obj<T>,
) -> impl Fn(&Slot) -> Ordering + use<'a, T> {
    let objects = objects.reader();
    move |slot| objects.get(*slot).map_or(Ordering::Less, |object| object.cmp_key(with))
}

/// An object counts once under a key, even if its closure returns the key twice. O(n log n), because the
/// author of an object decides how many keys it has.
fn drop_duplicates<K: Eq>(keys: &mut Vec<HashedKey<K>>) {
    if keys.len() < 2 {
        return;
    }
    keys.sort_by_key(|key| key.hash);
    let mut unique: Vec<HashedKey<K>> = Vec::with_capacity(keys.len());
    for key in keys.drain(..) {
        // Different keys with one hash may alternate, so all earlier keys with that hash are compared.
        let mut run = unique.iter().rev().take_while(|earlier| earlier.hash == key.hash);
        if !run.any(|earlier| earlier.key == key.key) {
            unique.push(key);
        }
    }
    *keys = unique;
}
