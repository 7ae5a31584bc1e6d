//! Iteration over a posting, from both ends.

use std::iter::FusedIterator;
use std::slice;

use super::node::Node;
use super::{Form, Posting};
use crate::trie::Stack;

/// The elements of a posting in the order of their keys. Made by [`Posting::iter`].
pub(crate) struct Iter<'a, E> {
    /// The rest of the chunk at each end. A small posting is completely in `front`.
    pub(super) front: slice::Iter<'a, Option<E>>,
    back: slice::Iter<'a, Option<E>>,
    /// The chunks in between, if there are any.
    pub(super) between: Option<Between<'a, E>>,
}

/// The chunks of a tree that neither end has reached. Each stack would walk the complete tree from its end;
/// `left` stops them where they meet.
pub(super) struct Between<'a, E> {
    pub(super) front: Stack<'a, Node<E>>,
    back: Stack<'a, Node<E>>,
    /// The number of elements in chunks that were not taken yet.
    left: usize,
}

impl<E> Posting<E> {
    /// All elements, in the order of their keys. O(n); for up to 128 elements it is a walk over one slice.
    /// Allocates only in trees of more than six levels.
    pub(crate) fn iter(&self) -> Iter<'_, E> {
        let (slots, tree): (&[Option<E>], _) = match &self.0 {
            Form::Few(None) => (&[], None),
            Form::Few(element) => (slice::from_ref(element), None),
            Form::Chunk(chunk) => (chunk.slots(), None),
            Form::Tree(root) => (&[], Some(root)),
        };
        let between = tree.map(|root| Between {
            front: Stack::new(root.children()),
            back: Stack::new(root.children()),
            left: root.len(),
        });
        Iter { front: slots.iter(), back: [].iter(), between }
    }
}

// === impl Iter ===

impl<E> Iter<'_, E> {
    /// No elements.
    pub(crate) fn nothing() -> Self {
        Self { front: [].iter(), back: [].iter(), between: None }
    }
}

// Not derived, because that would require `E: Clone`. The same applies to the next one.
impl<E> Clone for Iter<'_, E> {
    fn clone(&self) -> Self {
        Self { front: self.front.clone(), back: self.back.clone(), between: self.between.clone() }
    }
}

impl<E> Clone for Between<'_, E> {
    fn clone(&self) -> Self {
        Self { front: self.front.clone(), back: self.back.clone(), left: self.left }
    }
}

impl<'a, E> Iterator for Iter<'a, E> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        loop {
            if let Some(slot) = self.front.next() {
                if slot.is_some() {
                    return slot.as_ref();
                }
            } else if let Some(between) = self.between.take() {
                // By value, so that the ends of the iterator can stay in registers.
                let (chunk, rest) = between.take_first();
                self.front = chunk.iter();
                self.between = rest;
            } else {
                return self.back.next()?.as_ref();
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let between = self.between.as_ref().map_or(0, |between| between.left);
        let left = self.front.len() + between + self.back.len();
        (left, Some(left))
    }

    #[inline]
    fn fold<B, F: FnMut(B, &'a E) -> B>(self, init: B, mut f: F) -> B {
        let Self { front, back, mut between } = self;
        let mut folded = front.flatten().fold(init, &mut f);
        while let Some(chunks) = between {
            let (chunk, rest) = chunks.take_first();
            folded = chunk.iter().flatten().fold(folded, &mut f);
            between = rest;
        }
        back.flatten().fold(folded, f)
    }
}

impl<'a, E> DoubleEndedIterator for Iter<'a, E> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a E> {
        loop {
            if let Some(slot) = self.back.next_back() {
                if slot.is_some() {
                    return slot.as_ref();
                }
            } else if let Some(between) = self.between.take() {
                let (chunk, rest) = between.take_last();
                self.back = chunk.iter();
                self.between = rest;
            } else {
                return self.front.next_back()?.as_ref();
            }
        }
    }
}

impl<E> ExactSizeIterator for Iter<'_, E> {}

impl<E> FusedIterator for Iter<'_, E> {}

// === impl Between ===

impl<'a, E> Between<'a, E> {
    /// The chunk at the front, and the rest.
    #[inline(never)]
    pub(super) fn take_first(mut self) -> (&'a [Option<E>], Option<Self>) {
        let chunk = next_chunk(&mut self.front, |level| level.split_first());
        self.without(chunk)
    }

    /// The chunk at the back, and the rest.
    #[inline(never)]
    fn take_last(mut self) -> (&'a [Option<E>], Option<Self>) {
        let chunk = next_chunk(&mut self.back, |level| level.split_last());
        self.without(chunk)
    }

    fn without(mut self, chunk: &'a [Option<E>]) -> (&'a [Option<E>], Option<Self>) {
        self.left = self.left.saturating_sub(chunk.len());
        let rest = self.left > 0 && !chunk.is_empty();
        (chunk, rest.then_some(self))
    }
}

/// The next chunk of a walk, where `split` takes a node from one end of a level. Empty at the end.
fn next_chunk<'a, E>(
    rest: &mut Stack<'a, Node<E>>,
    split: impl Fn(&'a [Node<E>]) -> Option<(&'a Node<E>, &'a [Node<E>])>,
) -> &'a [Option<E>] {
    while let Some(level) = rest.top() {
        let Some((node, others)) = split(level) else {
            rest.pop();
            continue;
        };
        *level = others;
        match node {
            Node::Chunk(chunk) => return chunk.slots(),
            Node::Inner(inner) => rest.push(inner.children()),
        }
    }
    &[]
}
