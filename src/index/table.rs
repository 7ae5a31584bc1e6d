//! The table of one index, from a typed key to a posting, and its type-erased form, in which the store keeps
//! indexes of different key types.

use std::any::Any;
use std::hash::Hash;
use std::sync::Arc;

use equivalent::Equivalent;

use super::IndexBy;
use super::keys::{SharedKey, SlotKey};
use super::posting::{Ordered, Pieces as PostingPieces, Posting};
use crate::free::{Remains, free};
use crate::hash::KeyHasher;
use crate::key::Key;
use crate::object::Obj;
use crate::trie::{Element, Pieces, Trie};

/// A type-erased table. Only its [`Indexer`] and its handle know the types.
pub(crate) type AnyTable = Arc<dyn ErasedTable>;

/// The interface of a type-erased table.
pub(crate) trait ErasedTable: Any + Send + Sync {
    /// Converts the table to be freed in small parts. `None` if another version shares it.
    fn into_remains(self: Arc<Self>) -> Option<Box<dyn Remains>>;

    /// The hashes of the keys under which the objects differ from those of an earlier version of the same table.
    fn changed_since<'a>(&'a self, old: &'a AnyTable) -> Box<dyn Iterator<Item = u64> + Send + 'a>;
}

/// The rest of a table that is being freed.
struct TableRemains<T, K> {
    entries: Pieces<EntryPtr<T, K>>,
    postings: PostingPieces<Obj<T>>,
}

/// An index key with its hash, which is computed once.
pub(crate) struct HashedKey<K> {
    pub(super) hash: u64,
    pub(super) key: K,
}

/// All objects under one key.
pub(super) struct Entry<T, K> {
    pub(super) key: Arc<HashedKey<K>>,
    pub(super) posting: Posting<Obj<T>>,
}

/// The thin pointer to an [`Entry`] that is stored in the trie.
pub(super) struct EntryPtr<T, K>(pub(super) triomphe::Arc<Entry<T, K>>);

/// One version of an index.
pub(crate) struct Table<T, K>(pub(super) Trie<EntryPtr<T, K>>);

/// The interface that the writer uses to update an index of any key type.
pub(crate) trait Indexer<T>: Send {
    fn empty(&self) -> AnyTable;

    /// The keys of an object, without duplicates, shared with those already in the table. This is the only
    /// function here that runs application code: the closure, and `Hash` and `Eq` of the key. It changes
    /// nothing.
    fn keys(&self, slot: u32, table: &AnyTable, hasher: &KeyHasher, key: Key<'_>, object: &T)
    -> Vec<SlotKey>;

    /// Puts an object under a key, replacing an earlier version of it.
    fn insert(&self, table: &mut AnyTable, key: &SharedKey, object: &Obj<T>);

    /// Removes an object from a key.
    fn remove(&self, table: &mut AnyTable, key: &SharedKey, object: &Obj<T>);

    #[cfg(test)]
    fn validate(
        &self,
        table: &AnyTable,
        slot: u32,
        objects: &Trie<Obj<T>>,
        keys: &dyn Fn(&Obj<T>) -> Vec<SlotKey>,
    );
}

// === impl Table ===

impl<T, K> Table<T, K> {
    pub(crate) fn find<Q>(&self, hasher: &KeyHasher, query: &Q) -> Option<&Posting<Obj<T>>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = hasher.index_key(query);
        self.0.get(hash, |entry| query.equivalent(&entry.0.key.key)).map(|entry| &entry.0.posting)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, usize)> {
        self.0.iter().map(|entry| (&entry.0.key.key, entry.0.posting.len()))
    }
}

impl<T, K> Clone for Table<T, K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + Sync + 'static, K: Send + Sync + 'static> ErasedTable for Table<T, K> {
    fn into_remains(self: Arc<Self>) -> Option<Box<dyn Remains>> {
        let entries = Arc::into_inner(self)?.0.into_pieces();
        Some(Box::new(TableRemains { entries, postings: PostingPieces::new() }))
    }

    fn changed_since<'a>(&'a self, old: &'a AnyTable) -> Box<dyn Iterator<Item = u64> + Send + 'a> {
        match downcast(old) {
            Some(old) => Box::new(Self::changes(old, self).map(|(hash, _)| hash)),
            None => Box::new(std::iter::empty()),
        }
    }
}

// === impl TableRemains ===

impl<T: Send + Sync, K: Send + Sync> Remains for TableRemains<T, K> {
    fn free_some(&mut self) -> bool {
        self.postings.free_some()
            || self.entries.take_some(|EntryPtr(entry)| {
                // A shared entry is only released.
                if let Ok(Entry { key, posting }) = triomphe::Arc::try_unwrap(entry) {
                    self.postings.add(posting);
                    free(key);
                }
            })
    }
}

// === impl EntryPtr ===

impl<T, K> Clone for EntryPtr<T, K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, K> Clone for Entry<T, K> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), posting: self.posting.clone() }
    }
}

impl<T, K> Element for EntryPtr<T, K> {
    #[inline]
    fn hash(&self) -> u64 {
        self.0.key.hash
    }

    fn same_key(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.key, &other.0.key)
    }

    fn ptr_eq(&self, other: &Self) -> bool {
        triomphe::Arc::ptr_eq(&self.0, &other.0)
    }
}

// === impl Indexer ===

impl<T, F> Indexer<T> for F
where
    T: Send + Sync + 'static,
    F: IndexBy<T>,
{
    fn empty(&self) -> AnyTable {
        Arc::new(Table::<T, F::Key>(Trie::new()))
    }

    fn keys(
        &self,
        slot: u32,
        table: &AnyTable,
        hasher: &KeyHasher,
        key: Key<'_>,
        object: &T,
    ) -> Vec<SlotKey> {
        let mut found: Vec<HashedKey<F::Key>> = Vec::new();
        self.index(key, object, &mut |key| found.push(HashedKey { hash: hasher.index_key(&key), key }));
        drop_duplicates(&mut found);
        let table = downcast::<T, F::Key>(table);
        found
            .into_iter()
            .map(|new| {
                let known = table.and_then(|table| table.0.get(new.hash, |entry| entry.0.key.key == new.key));
                let key = known.map_or_else(|| Arc::new(new), |entry| entry.0.key.clone());
                SlotKey { slot, key }
            })
            .collect()
    }

    fn insert(&self, table: &mut AnyTable, key: &SharedKey, object: &Obj<T>) {
        let Some((table, key)) = typed::<T, F::Key>(table, key) else { return };
        let present = table.0.update(
            key.hash,
            |entry| Arc::ptr_eq(&entry.0.key, &key),
            |entry| triomphe::Arc::make_mut(&mut entry.0).posting.insert(object.clone()),
        );
        if present.is_none() {
            let posting = Posting::one(object.clone());
            table.0.insert(EntryPtr(triomphe::Arc::new(Entry { key, posting })));
        }
    }

    fn remove(&self, table: &mut AnyTable, key: &SharedKey, object: &Obj<T>) {
        let Some((table, key)) = typed::<T, F::Key>(table, key) else { return };
        let emptied = table.0.update(
            key.hash,
            |entry| Arc::ptr_eq(&entry.0.key, &key),
            |entry| {
                // The caller removes the entry with its last object, so nothing changes here.
                if entry.0.posting.len() == 1 {
                    return true;
                }
                triomphe::Arc::make_mut(&mut entry.0).posting.remove(|other| other.cmp_key(object));
                false
            },
        );
        if emptied == Some(true) {
            table.0.remove(key.hash, |entry| Arc::ptr_eq(&entry.0.key, &key));
        }
    }

    #[cfg(test)]
    fn validate(
        &self,
        table: &AnyTable,
        slot: u32,
        objects: &Trie<Obj<T>>,
        keys: &dyn Fn(&Obj<T>) -> Vec<SlotKey>,
    ) {
        let table = downcast::<T, F::Key>(table).expect("the table is of the index's types");
        table.0.validate();
        let mut listed = 0;
        for entry in table.0.iter() {
            entry.0.posting.validate();
            assert!(!entry.0.posting.is_empty(), "a key without objects");
            let key: SharedKey = entry.0.key.clone();
            for object in entry.0.posting.iter() {
                let stored = objects.get(object.hash(), |stored| stored.same_key(object));
                assert!(
                    stored.is_some_and(|stored| Obj::ptr_eq(stored, object)),
                    "posting of another version"
                );
                let mine = SlotKey { slot, key: key.clone() };
                assert!(keys(object).iter().any(|key| key.is(&mine)), "foreign key");
                listed += 1;
            }
        }
        let kept = |object: &Obj<T>| keys(object).iter().filter(|key| key.slot == slot).count();
        assert_eq!(listed, objects.iter().map(kept).sum::<usize>(), "an object misses in its posting");
    }
}

/// Casts a table to its type; `None` if the type differs.
pub(crate) fn downcast<T, K>(table: &AnyTable) -> Option<&Table<T, K>>
where
    T: Send + Sync + 'static,
    K: Send + Sync + 'static,
{
    let table: &dyn Any = &**table;
    table.downcast_ref()
}

/// A table to change and one of its keys, with their types.
type Typed<'a, T, K> = (&'a mut Table<T, K>, Arc<HashedKey<K>>);

/// Casts the table, which is copied first if another version shares it, and the key.
fn typed<'a, T, K>(table: &'a mut AnyTable, key: &SharedKey) -> Option<Typed<'a, T, K>>
where
    T: Send + Sync + 'static,
    K: Send + Sync + 'static,
{
    if Arc::get_mut(table).is_none() {
        *table = Arc::new(downcast::<T, K>(table)?.clone());
    }
    let own: &mut dyn Any = Arc::get_mut(table)?;
    Some((own.downcast_mut()?, key.clone().downcast().ok()?))
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
