//! Iteration over all elements.

use std::iter::{Flatten, FusedIterator};
use std::slice;

use super::walk::Leaves;
use super::{Element, Trie};

/// The elements of a trie in the order of their hashes: an arbitrary order, but the same for every version
/// and iteration. Made by [`Trie::iter`].
pub(crate) struct Iter<'a, E> {
    leaf: Flatten<slice::Iter<'a, Option<E>>>,
    leaves: Leaves<'a, E>,
    left: usize,
}

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// All elements, in the order of their hashes. O(n); allocates only if colliding hashes make the trie
    /// deeper than one of 2^30 elements.
    pub(crate) fn iter(&self) -> Iter<'_, E> {
        Iter { leaf: [].iter().flatten(), leaves: Leaves::new(slice::from_ref(&self.root)), left: self.len }
    }
}

impl<'a, E> Iterator for Iter<'a, E> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        loop {
            if let Some(element) = self.leaf.next() {
                self.left = self.left.saturating_sub(1);
                return Some(element);
            }
            self.leaf = self.leaves.next()?.iter().flatten();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    fn fold<A, F: FnMut(A, &'a E) -> A>(self, init: A, mut f: F) -> A {
        let first = self.leaf.fold(init, &mut f);
        self.leaves.fold(first, |state, leaf| leaf.iter().flatten().fold(state, &mut f))
    }
}

impl<E> ExactSizeIterator for Iter<'_, E> {}

impl<E> FusedIterator for Iter<'_, E> {}
