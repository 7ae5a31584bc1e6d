//! Removal from a leaf; ranges that became small are then merged.

use super::leaf::Leaf;
use super::node::{Child, Node};
use super::ranges::{Ranges, slot_of, slots};
use super::{Element, Trie};

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// Removes and returns the element of this hash for which `is` is true.
    ///
    /// O(log n); an absent key copies nothing and leaves the trie pointer-equal to its other versions.
    pub(crate) fn remove(&mut self, hash: u64, is: impl Fn(&E) -> bool) -> Option<E> {
        let at = self.position(hash, is)?;
        let removed = Self::cut(&mut self.root, 0, hash, at)?;
        self.len -= 1;
        Some(removed)
    }

    /// Removes the element at `at` from the leaf of `hash`, and restores the shape on the way back.
    fn cut(child: &mut Child<E>, depth: u32, hash: u64, at: usize) -> Option<E> {
        match child {
            Child::Empty => None,
            Child::Leaf(leaf) => {
                let removed = leaf.remove(at);
                if leaf.len() == 0 {
                    *child = Child::Empty;
                }
                removed
            }
            Child::Node(ranges, node) => {
                let slot = slot_of::<B>(hash, depth);
                let index = ranges.index::<B>(slot);
                let removed = node.change(|children| Self::cut(&mut children[index], depth + B, hash, at));
                if let Some(only) = Self::merge(ranges, node, slot) {
                    *child = only;
                }
                removed
            }
        }
    }

    /// Merges the range around `slot` with its sibling while both together fit one leaf; again if the sibling
    /// of the merged range is small too. Returns the remaining child if it replaces the complete node.
    fn merge(ranges: &mut Ranges, node: &mut Node<E>, slot: u32) -> Option<Child<E>> {
        loop {
            let range = ranges.at::<B>(slot);
            if range.len == slots::<B>() {
                return Some(node.change(|children| children[0].take()));
            }
            let sibling = range.start ^ range.len;
            if !ranges.starts_at(sibling) || ranges.at::<B>(sibling).len != range.len {
                return None;
            }
            let low = ranges.index::<B>(range.start.min(sibling));
            let together = size(node.child(low))? + size(node.child(low + 1))?;
            if together > N {
                return None;
            }
            let merged = node.change(|children| {
                let mut elements = Vec::with_capacity(together);
                for child in &mut children[low..low + 2] {
                    if let Child::Leaf(leaf) = child.take() {
                        leaf.drain_into(&mut elements);
                    }
                }
                if elements.is_empty() { Child::Empty } else { Child::Leaf(Leaf::new(&mut elements)) }
            });
            node.splice(low, 2, std::iter::once(merged));
            ranges.remove(range.start.max(sibling));
        }
    }
}

/// The number of elements of a child; `None` for a node.
fn size<E>(child: &Child<E>) -> Option<usize> {
    match child {
        Child::Empty => Some(0),
        Child::Leaf(leaf) => Some(leaf.len()),
        Child::Node(..) => None,
    }
}
