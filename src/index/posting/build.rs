//! Building postings from sorted elements.

use super::chunk::Chunk;
use super::node::{FULL, Inner, JOINED, Node};
use super::{ALONE, Form};
#[cfg(test)]
use super::{Ordered, Posting};

#[cfg(test)]
impl<E: Ordered> Posting<E> {
    /// A posting of these elements, which must be in strictly ascending order of their keys. O(n).
    pub(crate) fn from_sorted(elements: Vec<E>) -> Self {
        debug_assert!(
            elements.is_sorted_by(|a, b| a.cmp_key(b) == std::cmp::Ordering::Less),
            "elements not sorted"
        );
        let mut slots: Vec<Option<E>> = elements.into_iter().map(Some).collect();
        Self(Form::new(&mut slots))
    }
}

impl<E> Form<E> {
    /// Moves the elements out of `slots` into the form for their number.
    pub(super) fn new(slots: &mut [Option<E>]) -> Self {
        match slots {
            [] => Self::Few(None),
            [one] => Self::Few(one.take()),
            _ if slots.len() <= ALONE => Self::Chunk(Chunk::new(slots)),
            _ => Self::Tree(tree(slots)),
        }
    }
}

/// A tree, for more elements than fit one chunk. No node is full, so that the first insertions do not split
/// it.
fn tree<E>(slots: &mut [Option<E>]) -> Inner<E> {
    let mut nodes = Vec::new();
    let mut rest = slots;
    for len in parts(rest.len()) {
        let (chunk, others) = rest.split_at_mut(len);
        nodes.push(Node::Chunk(Chunk::new(chunk)));
        rest = others;
    }
    while nodes.len() > FULL {
        let lens = parts(nodes.len());
        let mut below = nodes.into_iter();
        nodes = lens.map(|len| Node::Inner(Inner::new(below.by_ref().take(len).collect()))).collect();
    }
    Inner::new(nodes)
}

/// Divides `len` into as few parts of at most [`JOINED`] as possible, as even as possible.
fn parts(len: usize) -> impl Iterator<Item = usize> {
    let count = len.div_ceil(JOINED);
    (0..count).map(move |i| (i + 1) * len / count - i * len / count)
}
