//! Freeing a trie in small parts.

use super::node::Child;
use super::{Element, Trie};
use crate::free::{Remains, free};

/// The rest of a trie that is being freed: what no other version shared when its parent was released.
pub(crate) struct Pieces<E>(Vec<Child<E>>);

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// Converts the trie, to be freed one leaf at a time. Does not allocate if another version shares it.
    pub(crate) fn into_pieces(self) -> Pieces<E> {
        Pieces(if self.root.is_unshared() { vec![self.root] } else { Vec::new() })
    }
}

impl<E: Element> Pieces<E> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

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

impl<E: Element + Send + Sync> Remains for Pieces<E> {
    fn free_some(&mut self) -> bool {
        self.take_some(free)
    }
}
