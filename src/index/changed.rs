//! The keys of an index under which something changed, for collections derived from it.

use super::posting::Posting;
use super::table::Table;
use crate::object::Obj;
use crate::trie::Trie;

impl<T, K> Table<T, K> {
    /// The keys whose objects differ between two versions of an index, by hash, in O(changes). With the key itself if no
    /// object has it any more.
    pub(crate) fn changes<'a>(
        old: &'a Self,
        new: &'a Self,
    ) -> impl Iterator<Item = (u64, Option<&'a K>)> + use<'a, T, K> {
        Trie::diff(&old.0, &new.0).filter_map(|found| match (found.old, found.new) {
            (_, Some(new)) => Some((new.0.key.hash, None)),
            (Some(old), None) => Some((old.0.key.hash, Some(&old.0.key.key))),
            (None, None) => None,
        })
    }

    /// The hashes of all keys.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|entry| entry.0.key.hash)
    }

    /// The keys of one hash, with their objects.
    pub(crate) fn of_hash(&self, hash: u64) -> impl Iterator<Item = (&K, &Posting<Obj<T>>)> {
        self.0.of_hash(hash).map(|entry| (&entry.0.key.key, &entry.0.posting))
    }
}
