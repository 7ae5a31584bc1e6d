//! All elements of one hash.

use std::cell::Cell;

use super::{Element, Trie};

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// The elements of exactly this hash: almost always one or none. O(1) each, for those that there are.
    pub(crate) fn of_hash(&self, hash: u64) -> impl Iterator<Item = &E> {
        (0_usize..).map_while(move |nth| {
            let seen = Cell::new(0);
            self.get(hash, |_| seen.replace(seen.get() + 1) == nth)
        })
    }
}
