//! Iteration over a posting, from both ends.

use std::iter::FusedIterator;
use std::slice;

use super::node::Node;
use super::{Form, Ordered, Posting};
use crate::trie::Stack;

/// The elements of a posting in the order of their keys. Made by [`Posting::iter`].
pub(crate) struct Iter<'a, E> {
    /// What is left of the chunk at the front, and the tree beyond it.
    front: slice::Iter<'a, Option<E>>,
    front_rest: Option<Stack<'a, Node<E>>>,
    /// The same from the back. Both ends walk all of the posting; `left` keeps them from passing each other.
    back: slice::Iter<'a, Option<E>>,
    back_rest: Option<Stack<'a, Node<E>>>,
    left: usize,
}

impl<E: Ordered> Posting<E> {
    /// All elements, in the order of their keys. O(n); for up to 128 elements it is a walk over one slice.
    /// Allocates only in trees of more than six levels.
    pub(crate) fn iter(&self) -> Iter<'_, E> {
        let (slots, nodes) = match &self.0 {
            Form::Few(element) => (slice::from_ref(element), None),
            Form::Chunk(chunk) => (chunk.slots(), None),
            Form::Tree(root) => (Default::default(), Some(root.children())),
        };
        Iter {
            front: slots.iter(),
            front_rest: nodes.map(Stack::new),
            back: slots.iter(),
            back_rest: nodes.map(Stack::new),
            left: self.len(),
        }
    }
}

// Not derived: that would ask for `E: Clone`.
impl<E> Clone for Iter<'_, E> {
    fn clone(&self) -> Self {
        Self {
            front: self.front.clone(),
            front_rest: self.front_rest.clone(),
            back: self.back.clone(),
            back_rest: self.back_rest.clone(),
            left: self.left,
        }
    }
}

impl<'a, E> Iterator for Iter<'a, E> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        self.left = self.left.checked_sub(1)?;
        loop {
            match self.front.next() {
                Some(Some(element)) => return Some(element),
                Some(None) => {}
                None => self.front = next_chunk(self.front_rest.as_mut()?)?.iter(),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, E> DoubleEndedIterator for Iter<'a, E> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a E> {
        self.left = self.left.checked_sub(1)?;
        loop {
            match self.back.next_back() {
                Some(Some(element)) => return Some(element),
                Some(None) => {}
                None => self.back = last_chunk(self.back_rest.as_mut()?)?.iter(),
            }
        }
    }
}

impl<E> ExactSizeIterator for Iter<'_, E> {}

impl<E> FusedIterator for Iter<'_, E> {}

fn next_chunk<'a, E>(rest: &mut Stack<'a, Node<E>>) -> Option<&'a [Option<E>]> {
    loop {
        let level = rest.top()?;
        let Some((node, others)) = level.split_first() else {
            rest.pop();
            continue;
        };
        *level = others;
        match node {
            Node::Chunk(chunk) => return Some(chunk.slots()),
            Node::Inner(inner) => rest.push(inner.children()),
        }
    }
}

fn last_chunk<'a, E>(rest: &mut Stack<'a, Node<E>>) -> Option<&'a [Option<E>]> {
    loop {
        let level = rest.top()?;
        let Some((node, others)) = level.split_last() else {
            rest.pop();
            continue;
        };
        *level = others;
        match node {
            Node::Chunk(chunk) => return Some(chunk.slots()),
            Node::Inner(inner) => rest.push(inner.children()),
        }
    }
}
