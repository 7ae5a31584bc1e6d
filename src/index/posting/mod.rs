//! Postings: the objects under one index key, in the order of their own keys.
//!
//! The elements are [slots](crate::slab::Slot), whose objects the caller looks up, so each change is given the order.
//!
//! Most index keys have one object, some a few, and a few have thousands (all of a namespace). A posting
//! therefore has one of three forms, each with O(1) clone and length:
//!
//! ```text
//!  none or one     no allocation beside the element
//!  chunk           [ a b c .. ]                      up to 128 elements in one allocation: a slice to a reader
//!  tree            [ * * * .. ]                      above: chunks of up to 64 elements under inner nodes
//!                    | '-> [ q r s .. ]              of up to 64 children, all chunks at one depth
//!                    '-> [ a b c .. ]
//! ```
//!
//! A change copies one chunk and the nodes above it, or changes them in place if no other version shares
//! them. A posting becomes a tree above 128 elements and a chunk again below 96, so that one that sits at the
//! limit is not rebuilt at every change.
//!
//! # Panics
//!
//! As for the trie: if an element's `cmp_key`, `Clone` or `Drop` or the caller's closure panics in the middle
//! of a change, the posting stays memory-safe but its content is unspecified. Drop it; other versions are not
//! affected.

mod build;
mod chunk;
mod insert;
mod iter;
mod node;
mod remains;
mod remove;
mod seek;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod validate;

use std::cmp::Ordering;

pub(crate) use self::iter::Iter;
pub(crate) use self::remains::Pieces;
pub(crate) use self::seek::{Seek, meet};

use self::chunk::Chunk;
use self::node::Inner;

/// A shared pointer to a value with a key.
pub(crate) trait Ordered: Clone {
    /// Compares the keys: a total order.
    fn cmp_key(&self, other: &Self) -> Ordering;

    /// Whether both are the same allocation, hence the same key and the same content.
    fn ptr_eq(&self, other: &Self) -> bool;
}

/// The most elements of a posting that is one chunk.
const ALONE: usize = 128;

/// A tree of fewer elements becomes one chunk.
const TREE: usize = 96;

/// A persistent set of elements in the order of their keys.
///
/// `E` should be small and have a niche, so that `Option<E>` is no larger. The key of an element must not change while
/// it is in a posting. Cloning is O(1) and the clone never changes when the original does.
pub(crate) struct Posting<E>(Form<E>);

enum Form<E> {
    /// None or one.
    Few(Option<E>),
    /// 2 to [`ALONE`].
    Chunk(Chunk<E>),
    /// At least [`TREE`].
    Tree(Inner<E>),
}

impl<E: Clone> Posting<E> {
    /// An empty posting. Does not allocate.
    pub(crate) fn new() -> Self {
        Self(Form::Few(None))
    }

    /// A posting of one element. Does not allocate.
    pub(crate) fn one(element: E) -> Self {
        Self(Form::Few(Some(element)))
    }

    /// The number of elements. O(1).
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Few(element) => usize::from(element.is_some()),
            Form::Chunk(chunk) => chunk.len(),
            Form::Tree(root) => root.len(),
        }
    }

    #[cfg(test)]
    /// Whether there are no elements. O(1).
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has this element. `order` compares the key of an element with that of this one. O(log n), does not
    /// allocate. In a chunk it compares elements, which is faster than to look at the keys of a few.
    pub(crate) fn contains(&self, element: &E, order: impl Fn(&E) -> Ordering) -> bool
    where
        E: PartialEq,
    {
        match &self.0 {
            Form::Few(one) => one.as_ref() == Some(element),
            Form::Chunk(chunk) => chunk.slots().iter().any(|slot| slot.as_ref() == Some(element)),
            Form::Tree(root) => root.get(&order).is_some(),
        }
    }

    #[cfg(test)]
    /// The element of the lowest key. O(log n).
    pub(crate) fn first(&self) -> Option<&E> {
        match &self.0 {
            Form::Few(element) => element.as_ref(),
            Form::Chunk(chunk) => chunk.first(),
            Form::Tree(root) => root.first(),
        }
    }

    #[cfg(test)]
    /// The element of the highest key. O(log n).
    pub(crate) fn last(&self) -> Option<&E> {
        match &self.0 {
            Form::Few(element) => element.as_ref(),
            Form::Chunk(chunk) => chunk.last(),
            Form::Tree(root) => root.last(),
        }
    }
}

impl<E: Clone> Clone for Posting<E> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Form::Few(element) => Form::Few(element.clone()),
            Form::Chunk(chunk) => Form::Chunk(chunk.clone()),
            Form::Tree(root) => Form::Tree(root.clone()),
        })
    }
}

impl<E: Clone> Default for Posting<E> {
    fn default() -> Self {
        Self::new()
    }
}
