//! Checks of every invariant, for tests and debug builds.

use super::leaf::{Leaf, TAGS, tag_of};
use super::node::Child;
use super::ranges::{Range, slots};
use super::{Element, SHAPED_BITS, Trie};

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// Panics unless every invariant of the module's documentation holds. O(n).
    pub(crate) fn validate(&self) {
        let len = match &self.root {
            Child::Empty => 0,
            Child::Leaf(leaf) => {
                assert!(leaf.len() <= N, "root leaf too large");
                check_leaf(leaf, 0, 0)
            }
            node @ Child::Node(..) => Self::check_node(node, 0, 0),
        };
        assert_eq!(len, self.len, "wrong length");
        assert_eq!(self.iter().count(), len, "iteration loses elements");
    }

    /// Returns the number of elements below. `prefix` is the top `depth` bits of their hashes.
    fn check_node(child: &Child<E>, prefix: u64, depth: u32) -> usize {
        let Child::Node(ranges, node) = child else { unreachable!("called for nodes only") };
        assert!(depth < SHAPED_BITS, "node below the depth limit");
        assert!(ranges.starts_at(0), "first slot is in no range");
        assert!(node.children().len() >= 2, "node of one child");
        assert_eq!(ranges.count(), node.children().len(), "not one child per range");

        let mut slot = 0;
        let mut counts = vec![0; slots::<B>() as usize];
        for child in node.children() {
            let Range { start, len } = ranges.at::<B>(slot);
            assert!(start == slot && len.is_power_of_two() && start.is_multiple_of(len), "range not dyadic");
            let joined = len.ilog2();
            let own = (prefix << B | u64::from(slot)) >> joined;
            counts[slot as usize] = match child {
                Child::Empty => 0,
                Child::Leaf(leaf) => {
                    let bits = depth + B - joined;
                    assert!(leaf.len() <= N || bits == SHAPED_BITS, "leaf too large");
                    check_leaf(leaf, own, bits)
                }
                Child::Node(..) => {
                    assert_eq!(len, 1, "node in a range of several slots");
                    let count = Self::check_node(child, own, depth + B);
                    assert!(count > N, "node that would fit a leaf");
                    count
                }
            };
            slot += len;
        }
        assert_eq!(slot, slots::<B>(), "slots beyond the last range");

        let mut slot = 0;
        while slot < slots::<B>() {
            let Range { start, len } = ranges.at::<B>(slot);
            let parent = start & !(2 * len - 1);
            let together: usize = counts[parent as usize..(parent + 2 * len) as usize].iter().sum();
            assert!(len == slots::<B>() || together > N, "ranges that would fit a leaf");
            slot += len;
        }
        counts.iter().sum()
    }
}

/// Returns the number of elements. `prefix` is the top `bits` bits of their hashes.
fn check_leaf<E: Element>(leaf: &Leaf<E>, prefix: u64, bits: u32) -> usize {
    let slots = leaf.slots();
    assert!(!slots.is_empty(), "leaf of no elements");
    let elements: Vec<&E> = slots.iter().map(|slot| slot.as_ref().expect("hole in a leaf")).collect();
    for (at, element) in elements.iter().enumerate() {
        let hash = element.hash();
        assert!(bits == 0 || hash >> (64 - bits) == prefix, "element in a range not its own");
        assert!(at >= TAGS || leaf.tags()[at] == tag_of(hash), "wrong tag");
        assert!(at == 0 || elements[at - 1].hash() <= hash, "leaf not sorted");
        let same_hash = elements[..at].iter().rev().take_while(|other| other.hash() == hash);
        assert!(!same_hash.into_iter().any(|other| other.same_key(element)), "key twice");
    }
    slots.len()
}
