//! Freeing a trie in small parts.

use super::node::Child;
use super::{Element, Trie};
use crate::free::{Remains, free};

/// What is left of a trie that is being freed: children of nodes that no other version shares.
pub(crate) struct Pieces<E>(Vec<Child<E>>);

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// The trie, to be freed a leaf at a time.
    pub(crate) fn into_pieces(self) -> Pieces<E> {
        Pieces(vec![self.root])
    }
}

impl<E> Pieces<E> {
    /// Hands the elements of one leaf to `take`, those that no other version has; lets go of what is shared. `false`
    /// when nothing was left.
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
