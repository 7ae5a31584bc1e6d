//! Freeing a trie in small parts.

use super::node::Child;
use super::{Element, Trie};
use crate::free::{Remains, free};

/// The rest of a trie that is being freed: children of nodes that no other version shares.
pub(crate) struct Pieces<E>(Vec<Child<E>>);

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// Converts the trie, to be freed one leaf at a time.
    pub(crate) fn into_pieces(self) -> Pieces<E> {
        Pieces(vec![self.root])
    }
}

impl<E> Pieces<E> {
    /// Passes the elements of one unshared leaf to `take`, or releases a shared child. Returns false if
    /// nothing was left.
    pub(crate) fn take_some(&mut self, take: impl FnMut(E)) -> bool {
        match self.0.pop() {
            None => return false,
            Some(Child::Empty) => {}
            Some(Child::Leaf(leaf)) => leaf.into_unshared(take),
            Some(Child::Node(_, node)) => node.into_unshared(&mut self.0),
        }
        true
    }
}

impl<E: Send + Sync> Remains for Pieces<E> {
    fn free_some(&mut self) -> bool {
        self.take_some(free)
    }
}
