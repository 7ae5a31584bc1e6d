//! Building subtrees and complete tries from sorted elements.

use super::leaf::Leaf;
use super::node::{Child, Node};
use super::ranges::{Range, Ranges, slot_of, slots};
use super::{Element, SHAPED_BITS, Trie};

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    #[cfg(test)]
    /// A trie of these elements, in any order. If several have the same key, the last one is used.
    ///
    /// O(n log n) for the sort, then one allocation per leaf and node: several times faster than inserting
    /// one by one.
    pub(crate) fn from_elements(elements: Vec<E>) -> Self {
        // Sort pairs of hash and element, so that the sort does not read through a pointer at each
        // comparison.
        let mut sorted: Vec<(u64, Option<E>)> = elements.into_iter().map(|e| (e.hash(), Some(e))).collect();
        sorted.sort_by_key(|(hash, _)| *hash);
        for run in sorted.chunk_by_mut(|(a, _), (b, _)| a == b) {
            keep_last(run);
        }
        let mut elements: Vec<Option<E>> =
            sorted.into_iter().map(|(_, e)| e).filter(Option::is_some).collect();
        let len = elements.len();
        let root = match len {
            0 => Child::Empty,
            _ if len <= N => Child::Leaf(Leaf::new(&mut elements)),
            _ => Self::build_node(&mut elements, 0),
        };
        Self { root, len }
    }

    /// Builds a node of more than `N` elements, whose ancestors have used `depth` bits.
    pub(super) fn build_node(elements: &mut [Option<E>], depth: u32) -> Child<E> {
        let mut ranges = Ranges::NONE;
        let mut children = Vec::with_capacity(slots::<B>() as usize);
        let whole = Range { start: 0, len: slots::<B>() };
        Self::build_range(elements, depth, whole, &mut ranges, &mut children);
        Child::Node(ranges, Node::new(children.into_iter()))
    }

    /// Halves `range` until each part is a leaf or a single slot; adds these parts to `ranges` and `out`.
    pub(super) fn build_range(
        elements: &mut [Option<E>],
        depth: u32,
        range: Range,
        ranges: &mut Ranges,
        out: &mut Vec<Child<E>>,
    ) {
        let single = range.len == 1;
        let small = elements.len() <= N || (single && depth + B >= SHAPED_BITS);
        if small || single {
            ranges.add(range.start);
            out.push(match elements {
                [] => Child::Empty,
                _ if small => Child::Leaf(Leaf::new(elements)),
                _ => Self::build_node(elements, depth + B),
            });
            return;
        }
        let len = range.len / 2;
        let middle = range.start + len;
        let (low, high) = elements.split_at_mut(elements.partition_point(|slot| {
            slot.as_ref().is_some_and(|element| slot_of::<B>(element.hash(), depth) < middle)
        }));
        Self::build_range(low, depth, Range { start: range.start, len }, ranges, out);
        Self::build_range(high, depth, Range { start: middle, len }, ranges, out);
    }
}

#[cfg(test)]
/// Among elements of equal hash, drops each one that has a later one with the same key.
fn keep_last<E: Element>(run: &mut [(u64, Option<E>)]) {
    for at in 1..run.len() {
        let (earlier, later) = run.split_at_mut(at);
        let Some(kept) = later.first().and_then(|(_, e)| e.as_ref()) else { continue };
        for (_, slot) in earlier {
            if slot.as_ref().is_some_and(|e| e.same_key(kept)) {
                *slot = None;
            }
        }
    }
}
