//! Insertion into the leaf of the hash, which splits if it is full.

use super::leaf::Leaf;
use super::node::Child;
use super::ranges::slot_of;
use super::{Element, SHAPED_BITS, Trie};

/// The result of an insertion below a child.
enum Put<E> {
    Added,
    Replaced(Option<E>),
    /// The child was a full leaf. These are its elements and the new one; the child is now empty, and its
    /// range must be rebuilt.
    Full(Vec<Option<E>>),
}

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// Inserts an element and returns the one with the same key that it replaces.
    ///
    /// O(log n); allocates one leaf and copies the shared part of the path.
    pub(crate) fn insert(&mut self, element: E) -> Option<E> {
        match Self::put(&mut self.root, 0, element) {
            Put::Added => self.len += 1,
            Put::Replaced(old) => return old,
            Put::Full(mut elements) => {
                self.root = Self::build_node(&mut elements, 0);
                self.len += 1;
            }
        }
        None
    }

    /// `depth` is the number of bits that the ancestors of a node in the place of `child` have used.
    fn put(child: &mut Child<E>, depth: u32, element: E) -> Put<E> {
        match child {
            Child::Empty => {
                *child = Child::Leaf(Leaf::new(&mut [Some(element)]));
                Put::Added
            }
            Child::Leaf(leaf) => {
                let hash = element.hash();
                if let Some((at, _)) = leaf.find(hash, |other| other.same_key(&element)) {
                    return Put::Replaced(leaf.replace(at, element));
                }
                let at = leaf.place_of(hash);
                if leaf.len() < N || depth >= SHAPED_BITS {
                    leaf.insert(at, element);
                    return Put::Added;
                }
                let mut elements = Vec::with_capacity(leaf.len() + 1);
                if let Child::Leaf(leaf) = child.take() {
                    leaf.drain_into(&mut elements);
                }
                elements.insert(at, Some(element));
                Put::Full(elements)
            }
            Child::Node(ranges, node) => {
                let slot = slot_of::<B>(element.hash(), depth);
                let at = ranges.index::<B>(slot);
                let range = ranges.at::<B>(slot);
                // A leaf that spans several slots splits within this node.
                let below = if range.len > 1 { depth } else { depth + B };
                let put = node.change(|children| match Self::put(&mut children[at], below, element) {
                    Put::Full(mut elements) if range.len == 1 => {
                        children[at] = Self::build_node(&mut elements, depth + B);
                        Put::Added
                    }
                    put => put,
                });
                let Put::Full(mut elements) = put else { return put };
                ranges.remove(range.start);
                let mut children = Vec::new();
                Self::build_range(&mut elements, depth, range, ranges, &mut children);
                node.splice(at, 1, children.into_iter());
                Put::Added
            }
        }
    }
}
