//! A persistent map from hashed keys to postings: the entries of an index, and the directory of its selectors.

use std::cmp::Ordering;
use std::sync::Arc;

use super::posting::{Pieces as PostingPieces, Posting};
use crate::fetch::Counted;
use crate::free::{Remains, free};
use crate::slab::Slot;
use crate::trie::{Element, Pieces, Trie};

/// A key with its hash, which is computed once.
pub(super) struct HashedKey<K> {
    pub(super) hash: u64,
    /// Where it is among all keys of the store; `None` if it is not a key of objects, or not yet.
    pub(super) place: Option<Slot>,
    pub(super) key: K,
}

/// All elements under one key.
pub(super) struct Entry<K, E> {
    pub(super) key: Arc<HashedKey<K>>,
    pub(super) posting: Posting<E>,
}

/// The thin pointer to an [`Entry`] that is stored in the trie.
pub(super) struct EntryPtr<K, E>(triomphe::Arc<Entry<K, E>>);

/// One version of the map. Cloning it is O(1); both share everything until one of them changes.
pub(super) struct Multimap<K, E>(Trie<EntryPtr<K, E>>);

/// The rest of a map that is being freed.
pub(super) struct MultimapRemains<K, E> {
    entries: Pieces<EntryPtr<K, E>>,
    postings: PostingPieces<E>,
}

/// A key that has other elements in one version than in another.
pub(super) struct Differing<'a, K, E> {
    pub(super) old: Option<&'a Entry<K, E>>,
    pub(super) new: Option<&'a Entry<K, E>>,
}

// === impl Multimap ===

impl<K, E: Clone> Multimap<K, E> {
    pub(super) fn new() -> Self {
        Self(Trie::new())
    }

    pub(super) fn get(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<&Entry<K, E>> {
        self.0.get(hash, |entry| is(&entry.0.key.key)).map(|entry| &*entry.0)
    }

    /// The entry of exactly this key, which was found in a version of this map.
    pub(super) fn of(&self, key: &Arc<HashedKey<K>>) -> Option<&Entry<K, E>> {
        self.0.get(key.hash, |entry| Arc::ptr_eq(&entry.0.key, key)).map(|entry| &*entry.0)
    }

    /// The entries of one hash.
    pub(super) fn of_hash(&self, hash: u64) -> impl Iterator<Item = &Entry<K, E>> {
        self.0.of_hash(hash).map(|entry| &*entry.0)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Entry<K, E>> {
        self.0.iter().map(|entry| &*entry.0)
    }

    /// The keys that have other elements in one version than in another.
    pub(super) fn diff<'a>(old: &'a Self, new: &'a Self) -> impl Iterator<Item = Differing<'a, K, E>> {
        let entry = |entry: Option<&'a EntryPtr<K, E>>| entry.map(|entry| &*entry.0);
        Trie::diff(&old.0, &new.0)
            .map(move |found| Differing { old: entry(found.old), new: entry(found.new) })
    }

    /// Puts an element under a key. `order` compares the key of an element with that of this one. Returns whether the key
    /// is new.
    pub(super) fn insert(
        &mut self,
        key: Arc<HashedKey<K>>,
        element: E,
        order: impl Fn(&E) -> Ordering,
    ) -> bool {
        let present = self.0.update(
            key.hash,
            |entry| Arc::ptr_eq(&entry.0.key, &key),
            |entry| triomphe::Arc::make_mut(&mut entry.0).posting.put(element.clone(), order),
        );
        if present.is_none() {
            let posting = Posting::one(element);
            self.0.insert(EntryPtr(triomphe::Arc::new(Entry { key, posting })));
        }
        present.is_none()
    }

    /// Removes an element from a key that has it. `order` compares the key of an element with that of this one. Returns
    /// whether it was the last one: then the key is removed too.
    pub(super) fn remove(
        &mut self,
        key: &Arc<HashedKey<K>>,
        element: &E,
        order: impl Fn(&E) -> Ordering,
    ) -> bool
    where
        E: PartialEq,
    {
        let emptied = self.0.update(
            key.hash,
            |entry| Arc::ptr_eq(&entry.0.key, key),
            |entry| {
                // The entry is removed with its last element, so nothing changes here.
                if entry.0.posting.len() == 1 {
                    return true;
                }
                triomphe::Arc::make_mut(&mut entry.0).posting.remove(element, order);
                false
            },
        );
        if emptied == Some(true) {
            self.0.remove(key.hash, |entry| Arc::ptr_eq(&entry.0.key, key));
        }
        emptied == Some(true)
    }

    pub(super) fn into_remains(self) -> MultimapRemains<K, E> {
        MultimapRemains { entries: self.0.into_pieces(), postings: PostingPieces::new() }
    }

    #[cfg(test)]
    pub(super) fn validate(&self, cmp: impl Fn(&E, &E) -> Ordering) {
        self.0.validate();
        for entry in self.iter() {
            entry.posting.validate(&cmp);
            assert!(!entry.posting.is_empty(), "a key without elements");
        }
    }
}

impl<K, E> Clone for Multimap<K, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

// === impl MultimapRemains ===

impl<K: Send + Sync, E: Send + Sync + Clone> Remains for MultimapRemains<K, E> {
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

impl<K, E> Clone for EntryPtr<K, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, E: Clone> Clone for Entry<K, E> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), posting: self.posting.clone() }
    }
}

impl<K, E> Counted for EntryPtr<K, E> {
    #[inline]
    fn count(&self) -> usize {
        triomphe::Arc::strong_count(&self.0)
    }
}

impl<K, E> Element for EntryPtr<K, E> {
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
