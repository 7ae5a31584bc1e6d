//! A persistent hash trie: a map with O(1) clones, whose versions share all unchanged parts, and whose
//! differences cost O(changes).
//!
//! The store has one trie for each index, for its invalid objects, and for what it keeps beside them. The trie is generic over
//! its elements, which are thin pointers with a hash ([`Element`]).
//!
//! # Picture
//!
//! Hash bits are used from the top, so every subtree is one contiguous range of hashes and a walk visits
//! elements in the order of their hashes. It is a binary tree that halves the range at each level, with `B`
//! levels packed into one node (here `B` = 2, four slots):
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
//! means that the node is not shared and can be changed in place. The bit mask of the slots that begin a
//! range is stored in the *parent*, beside the pointer, so a look-up reads one cache line of each node.
//!
//! # Invariants
//!
//! 1. A range is a leaf exactly when it holds at most `N` elements and its parent range holds more than `N`
//!    (a leaf without elements is `Empty`). So the shape depends on the content and not on the history, and
//!    two versions with equal content compare range by range.
//! 2. Only the top [`SHAPED_BITS`] bits shape the trie; a leaf at that depth holds any number of elements.
//! 3. A leaf is sorted by hash. Elements of equal hash have no defined order, since keys need not be ordered.
//!    They always share a leaf, where they are adjacent in order of insertion.
//! 4. A node holds exactly one child per range, at least two, and only a range of one slot can be a node.
//! 5. No two elements have the same key.
//!
//! `Trie::validate` checks 1 to 5.
//!
//! # Panics
//!
//! The trie calls its element's `Clone`, `Drop` and `same_key` and the caller's closures. If one of them
//! panics while the trie is being changed, the trie stays memory-safe but its content is unspecified: drop it
//! and continue from another version, which is not affected.

mod build;
mod diff;
mod element;
mod insert;
mod iter;
mod leaf;
mod node;
mod of_hash;
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

pub(crate) use self::element::Element;
pub(crate) use self::remains::Pieces;
pub(crate) use self::splice::spliced;
pub(crate) use self::stack::Stack;

use self::node::Child;
use self::ranges::slot_of;

/// The number of top bits of the hash that shape the trie: a multiple of every node width in use.
const SHAPED_BITS: u32 = 60;

/// A persistent map of [`Element`]s, found by hash and key.
///
/// `B` is the number of bits that a node resolves, `N` the most elements of a leaf before it splits. The
/// defaults favour look-ups; only tests use others, to reach deep and narrow shapes with few elements.
///
/// Cloning is O(1) and the clone never changes when the original does. Changes cost O(log n): they copy the
/// part of the path that another version shares, and work in place below it.
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

    /// The number of elements. O(1).
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements. O(1).
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element of this hash for which `is` is true. `is` only has to compare keys: it is called only for
    /// elements of exactly this hash.
    ///
    /// O(1), apart from the cache misses of log32 n nodes; does not allocate. Every read uses this function.
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

    /// Whether both are the same version: O(1). False for equal content that was built separately.
    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        self.root.ptr_eq(&other.root)
    }

    /// The position of an element within its leaf.
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
