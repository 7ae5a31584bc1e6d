//! A persistent hash trie: a map whose clone is one reference count, whose versions share all that did not
//! change, and whose differences cost what changed.
//!
//! The store keeps its objects in one and every index in another. The trie itself knows nothing of objects:
//! it holds thin pointers that know their hash ([`Element`]).
//!
//! # Picture
//!
//! Hash bits are used from the top, so every subtree is one contiguous range of hashes and a walk visits
//! elements in the order of their hashes. Think of a binary tree that halves the range at each level; `B`
//! levels of it are packed into one node (here `B` = 2, four slots):
//!
//! ```text
//!  Trie { root, len }     looking for the hash 10 11 ...
//!           |
//!           v
//!  node, ranges 1011:  [  0_  |  10  |  11  ]     slots 00 and 01 are one range: few elements there
//!                         |       |       '--> leaf
//!                         |       '--> node, ranges 1111:  [ 1000 | 1001 | 1010 | 1011 ]
//!                         '--> leaf                           |      |      |      |
//!                                                           leaf   empty  leaf   leaf
//!                                                                                  |
//!                          .-------------------------------------------------------'
//!                          '-> tags [3f a0 c4 ..]  elements [* * * ..]
//!                              sorted by hash; a tag is the lowest byte of the hash
//! ```
//!
//! A node stores one child per range, not per slot: no pointer is stored twice, so a reference count of one
//! means "mine alone" and such nodes are changed in place. Which slots begin a range is a bit mask that lies
//! in the *parent*, beside the pointer: a look-up reads one line of each node on its way.
//!
//! # Invariants
//!
//! 1. A range is a leaf exactly when it holds at most `N` elements and its parent range holds more than `N`
//!    (a leaf without elements is `Empty`). The shape is therefore a function of the content, never of the
//!    history, and two versions with equal content compare range by range.
//! 2. Only the top [`SHAPED_BITS`] bits shape the trie; a leaf at that depth holds any number of elements.
//! 3. A leaf is sorted by hash. Elements of equal hash have no order of their own, since keys need not be
//!    ordered: they always share a leaf, where they stand together in order of arrival.
//! 4. A node holds exactly one child per range, at least two, and only a range of one slot can be a node.
//! 5. No two elements have the same key.
//!
//! `Trie::validate` checks 1 to 5.
//!
//! # Panics
//!
//! The trie calls its element's `Clone`, `Drop` and `same_key` and the caller's closures. When one of them
//! panics while the trie is being changed, the trie stays memory-safe but its content is unspecified: drop
//! it and go on from a version held elsewhere, which is never affected.

mod build;
mod diff;
mod element;
mod insert;
mod iter;
mod leaf;
mod node;
mod ranges;
mod remains;
mod remove;
mod splice;
mod stack;
#[cfg(test)]
mod tests;
mod update;
#[cfg(test)]
mod validate;
mod walk;

pub(crate) use self::diff::{Diff, Difference};
pub(crate) use self::element::Element;
pub(crate) use self::iter::Iter;
pub(crate) use self::remains::Pieces;
pub(crate) use self::splice::spliced;
pub(crate) use self::stack::Stack;

use self::node::Child;
use self::ranges::slot_of;

/// How many of the hash's bits, from the top, shape the trie: a multiple of every node width in use.
const SHAPED_BITS: u32 = 60;

/// A persistent map of [`Element`]s, found by hash and key.
///
/// `B` is how many bits a node resolves, `N` how many elements a leaf holds before it splits. The defaults
/// favour look-ups; only tests vary them, to reach deep and narrow shapes with few elements.
///
/// Cloning is O(1) and the clone never changes when the original does. Changes cost O(log n): they copy the
/// path to the leaf as far as another version shares it, and work in place below that.
pub(crate) struct Trie<E, const B: u32 = 5, const N: usize = 16> {
    root: Child<E>,
    len: usize,
}

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// An empty trie. Does not allocate.
    pub(crate) fn new() -> Self {
        const { assert!(B >= 1 && B <= 5 && SHAPED_BITS.is_multiple_of(B), "unsupported node width") };
        const { assert!(N >= 1 && N <= leaf::TAGS, "unsupported leaf size") };
        Self { root: Child::Empty, len: 0 }
    }

    /// How many elements there are. O(1).
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none. O(1).
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element of this hash for which `is` holds; `is` need only compare keys, and is called for elements
    /// of exactly this hash alone.
    ///
    /// O(1) but for the cache misses of log32 n nodes; does not allocate. This is the path every read takes.
    #[inline]
    pub(crate) fn get(&self, hash: u64, is: impl Fn(&E) -> bool) -> Option<&E> {
        let mut child = &self.root;
        let mut bits = hash;
        loop {
            match child {
                Child::Node(ranges, node) => {
                    child = node.child(ranges.index::<B>(slot_of::<B>(bits, 0)));
                    bits <<= B;
                }
                Child::Leaf(leaf) => return leaf.find(hash, is).map(|(_, element)| element),
                Child::Empty => return None,
            }
        }
    }

    /// Whether both are the same version: O(1), and false for equal content that was built apart.
    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        self.root.ptr_eq(&other.root)
    }

    /// Where in its leaf an element stands; says nothing of which leaf.
    fn position(&self, hash: u64, is: impl Fn(&E) -> bool) -> Option<usize> {
        let mut child = &self.root;
        let mut depth = 0;
        loop {
            match child {
                Child::Node(ranges, node) => {
                    child = node.child(ranges.index::<B>(slot_of::<B>(hash, depth)));
                    depth += B;
                }
                Child::Leaf(leaf) => return leaf.find(hash, is).map(|(at, _)| at),
                Child::Empty => return None,
            }
        }
    }
}

impl<E, const B: u32, const N: usize> Clone for Trie<E, B, N> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), len: self.len }
    }
}

impl<E: Element, const B: u32, const N: usize> Default for Trie<E, B, N> {
    fn default() -> Self {
        Self::new()
    }
}
