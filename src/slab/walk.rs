//! All objects of a slab, and the slots that differ between two versions.

use triomphe::Arc;

use super::node::{LEAF, Leaf, MID, TOP, child_of};
use super::{Reader, Slab};
use crate::fetch::Counted;

/// All objects, in the order of their slots.
pub(crate) struct Iter<'a, E> {
    slab: Reader<'a, E>,
    /// The first slot of the next leaf.
    at: usize,
    leaf: std::slice::Iter<'a, Option<E>>,
}

/// The slots below nodes that two versions do not share, with their objects. Some of these may be the same.
pub(crate) struct Diff<'a, E> {
    old: Reader<'a, E>,
    new: Reader<'a, E>,
    /// The first slot of the next leaves.
    at: usize,
    leaves: [Option<&'a Leaf<E>>; 2],
    /// The next slot of these leaves.
    within: usize,
}

impl<E: Counted> Slab<E> {
    /// All objects. O(n) in all, does not allocate.
    pub(crate) fn iter(&self) -> Iter<'_, E> {
        Iter { slab: self.reader(), at: 0, leaf: [].iter() }
    }

    /// Compares two versions. Lazy, O(changes) if one was made from the other.
    pub(crate) fn diff<'a>(old: &'a Self, new: &'a Self) -> Diff<'a, E> {
        Diff { old: old.reader(), new: new.reader(), at: 0, leaves: [None; 2], within: LEAF }
    }
}

// === impl Iter ===

impl<'a, E: Counted> Iterator for Iter<'a, E> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        loop {
            if let Some(object) = self.leaf.by_ref().flatten().next() {
                return Some(object);
            }
            self.leaf = self.next_leaf()?.iter();
        }
    }
}

impl<'a, E: Counted> Iter<'a, E> {
    fn next_leaf(&mut self) -> Option<&'a [Option<E>]> {
        while self.at < self.slab.end() {
            let at = self.at;
            let Some(top) = self.slab.top(at) else {
                self.at = after(at, TOP);
                continue;
            };
            let Some(mid) = child_of(top, at) else {
                self.at = after(at, MID);
                continue;
            };
            self.at = after(at, LEAF);
            if let Some(leaf) = child_of(mid, at) {
                return Some(leaf.objects());
            }
        }
        None
    }
}

// === impl Diff ===

impl<'a, E: Counted> Iterator for Diff<'a, E> {
    type Item = (Option<&'a E>, Option<&'a E>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.within == LEAF {
            self.leaves = self.next_leaves()?;
            self.within = 0;
        }
        let [old, new] = self.leaves.map(|leaf| leaf?.objects().get(self.within)?.as_ref());
        self.within += 1;
        Some((old, new))
    }
}

impl<'a, E: Counted> Diff<'a, E> {
    fn next_leaves(&mut self) -> Option<[Option<&'a Leaf<E>>; 2]> {
        let end = self.old.end().max(self.new.end());
        while self.at < end {
            let at = self.at;
            let tops = [self.old, self.new].map(|slab| slab.top(at));
            if is_same(tops) {
                self.at = after(at, TOP);
                continue;
            }
            let mids = tops.map(|top| child_of(top?, at));
            if is_same(mids) {
                self.at = after(at, MID);
                continue;
            }
            self.at = after(at, LEAF);
            let leaves = mids.map(|mid| child_of(mid?, at));
            if !is_same(leaves) {
                return Some(leaves.map(|leaf| leaf.map(|leaf| &**leaf)));
            }
        }
        None
    }
}

/// Whether two nodes are one allocation, or both missing.
fn is_same<N>([old, new]: [Option<&Arc<N>>; 2]) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        (None, None) => true,
        _ => false,
    }
}

/// The first slot after the node of this many slots.
fn after(at: usize, slots: usize) -> usize {
    (at / slots + 1) * slots
}
