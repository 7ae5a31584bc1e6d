//! The keys of an index that objects have entered or left, for collections derived from it.
//!
//! A new version of an object with the same keys changes no index;
//! [`View::modified_keys`](crate::View::modified_keys) finds its keys.

use super::directory::Place;
use super::keys::{SharedKey, typed_key};
use super::multimap::Multimap;
use super::posting::Posting;
use super::selector_key::SelectorKey;
use super::table::Table;
use crate::hash::KeyHasher;
use crate::slab::Slot;

impl<K: 'static> Table<K> {
    /// The keys that objects have entered or left between two versions of an index, by hash, in O(changes). With the key
    /// itself if no object has it any more.
    pub(crate) fn changes<'a>(
        old: &'a Self,
        new: &'a Self,
    ) -> impl Iterator<Item = (u64, Option<&'a K>)> + use<'a, K> {
        Multimap::diff(&old.entries, &new.entries).filter_map(|found| match (found.old, found.new) {
            (_, Some(new)) => Some((new.key.hash, None)),
            (Some(old), None) => Some((old.key.hash, Some(&old.key.key))),
            (None, None) => None,
        })
    }

    /// The hashes of all keys.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|entry| entry.key.hash)
    }

    /// The keys of one hash, with their objects.
    pub(crate) fn of_hash(&self, hash: u64) -> impl Iterator<Item = (&K, &Posting<Slot>)> {
        self.entries.of_hash(hash).map(|entry| (&entry.key.key, &entry.posting))
    }
}

impl Table<SelectorKey> {
    /// The selectors that objects have entered or left between two versions, in O(changes).
    pub(crate) fn changed_selectors<'a>(
        old: &'a Self,
        new: &'a Self,
    ) -> impl Iterator<Item = &'a SelectorKey> + use<'a> {
        let changed = Multimap::diff(&old.entries, &new.entries).filter_map(|found| found.new.or(found.old));
        changed.map(|entry| &entry.key.key)
    }
}

impl SelectorKey {
    pub(crate) fn of(key: &SharedKey) -> Option<&Self> {
        typed_key::<Self>(key).map(|key| &key.key)
    }

    /// The places of this selector in a directory, each as the hashes of its buckets. Labels that the selector matches
    /// have a bucket in common with each of its places.
    pub(crate) fn place_hashes(&self, hasher: &KeyHasher) -> Vec<Vec<u64>> {
        let hashes = |place: Place<'_>| place.buckets().map(|bucket| hasher.index_key(&bucket)).collect();
        self.places().map(hashes).collect()
    }
}
