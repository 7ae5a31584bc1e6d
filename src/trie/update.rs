//! Changing an element in place.

use super::node::Child;
use super::ranges::slot_of;
use super::{Element, Trie};

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// Lets `f` change the element of this hash for which `is` is true, and returns what `f` returns.
    ///
    /// `f` may put another element in its place, or change it in place if it is not shared, but the key and
    /// so the hash must stay the same. O(log n); copies the shared part of the path, only if there is such an
    /// element. Other versions do not change.
    pub(crate) fn update<R>(
        &mut self,
        hash: u64,
        is: impl Fn(&E) -> bool,
        f: impl FnOnce(&mut E) -> R,
    ) -> Option<R> {
        let at = self.position(hash, is)?;
        Self::change(&mut self.root, 0, hash, at, |element| {
            let result = f(element);
            debug_assert_eq!(element.hash(), hash, "update must keep the key");
            result
        })
    }

    fn change<R>(
        child: &mut Child<E>,
        depth: u32,
        hash: u64,
        at: usize,
        f: impl FnOnce(&mut E) -> R,
    ) -> Option<R> {
        match child {
            Child::Empty => None,
            Child::Leaf(leaf) => leaf.change(at, f),
            Child::Node(ranges, node) => {
                let index = ranges.index::<B>(slot_of::<B>(hash, depth));
                node.change(|children| Self::change(&mut children[index], depth + B, hash, at, f))
            }
        }
    }
}
