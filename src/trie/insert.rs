//! Insertion: into the leaf of the hash, which splits when it is full.

use super::leaf::Leaf;
use super::node::Child;
use super::ranges::slot_of;
use super::{Element, SHAPED_BITS, Trie};

/// What became of an insertion below some child.
enum Put<E> {
    Added,
    Replaced(Option<E>),
    /// The child was a full leaf. These are its elements and the new one; the child is empty and its range
    /// has to be built again.
    Full(Vec<Option<E>>),
}

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// Adds an element and returns the one of the same key that it replaces.
    ///
    /// O(log n); allocates one leaf and what is shared of the path.
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

    /// `depth` is how many bits a node in the place of `child` would find used.
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
