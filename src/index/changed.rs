//! The keys of an index under which something changed, for collections derived from it.

use super::directory::Place;
use super::multimap::Multimap;
use super::posting::Posting;
use super::selector_key::SelectorKey;
use super::table::Table;
use crate::hash::KeyHasher;
use crate::object::Obj;

impl<T, K> Table<T, K> {
    /// The keys whose objects differ between two versions of an index, by hash, in O(changes). With the key itself if no
    /// object has it any more.
    pub(crate) fn changes<'a>(
        old: &'a Self,
        new: &'a Self,
    ) -> impl Iterator<Item = (u64, Option<&'a K>)> + use<'a, T, K> {
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
    pub(crate) fn of_hash(&self, hash: u64) -> impl Iterator<Item = (&K, &Posting<Obj<T>>)> {
        self.entries.of_hash(hash).map(|entry| (&entry.key.key, &entry.posting))
    }
}

impl<T> Table<T, SelectorKey> {
    /// The selectors whose objects differ between two versions; so do those of which an object has another version. What
    /// labels find has changed only if one of these matches them. O(changes).
    pub(crate) fn changed_selectors<'a>(
        old: &'a Self,
        new: &'a Self,
    ) -> impl Iterator<Item = &'a SelectorKey> + use<'a, T> {
        let changed = Multimap::diff(&old.entries, &new.entries).filter_map(|found| found.new.or(found.old));
        changed.map(|entry| &entry.key.key)
    }

    /// The places of these selectors in a directory, each as the hashes of its buckets. Labels that a selector matches
    /// have a bucket in common with each of its places.
    pub(crate) fn changed_places<'a>(
        old: &'a Self,
        new: &'a Self,
        hasher: &'a KeyHasher,
    ) -> impl Iterator<Item = Vec<Vec<u64>>> + use<'a, T> {
        let hashes = |place: Place<'_>| place.buckets().map(|bucket| hasher.index_key(&bucket)).collect();
        Self::changed_selectors(old, new).map(move |selector| selector.places().map(hashes).collect())
    }
}
