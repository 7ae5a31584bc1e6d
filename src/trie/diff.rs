//! The differences of two versions, in O(changes).
//!
//! Both tries are walked side by side. If both have the same pointer for a range, nothing below it differs,
//! and it is skipped. If one has a wider range than the other, it has a leaf or nothing there: its few
//! elements are merged, in hash order, with all elements of the other in that range. The other has more
//! elements than fit a leaf only if that many have changed, so this also costs O(changes).

use std::cmp::Ordering;
use std::iter::FusedIterator;
use std::slice;

use super::node::{Child, Node};
use super::ranges::{Range, Ranges, slots};
use super::walk::Leaves;
use super::{Element, Trie};

/// A key whose element differs between two versions: in one of them only, or another allocation in each.
pub(crate) struct Difference<'a, E> {
    /// The element in the old version; `None` if the key was added.
    pub(crate) old: Option<&'a E>,
    /// The element in the new version; `None` if the key was removed.
    pub(crate) new: Option<&'a E>,
}

/// The differences of two versions, computed lazily. Made by [`Trie::diff`].
pub(crate) struct Diff<'a, E, const B: u32 = 5> {
    /// Pairs of nodes being compared, the deepest last.
    levels: Vec<Level<'a, E>>,
    /// The range that is being compared element by element.
    merge: Merge<'a, E>,
}

/// Adjacent children of one node.
type Children<'a, E> = &'a [Child<E>];

/// Two nodes of the same range, compared up to `slot`.
struct Level<'a, E> {
    old: Side<'a, E>,
    new: Side<'a, E>,
    slot: u32,
}

struct Side<'a, E> {
    ranges: Ranges,
    children: Children<'a, E>,
}

/// Two runs of elements in hash order that cover the same range of hashes.
struct Merge<'a, E> {
    old: Run<'a, E>,
    new: Run<'a, E>,
    collision: Collision<'a, E>,
}

/// The remaining elements below some children.
struct Run<'a, E> {
    leaf: &'a [Option<E>],
    leaves: Option<Leaves<'a, E>>,
}

/// All elements of one hash on both sides. They have no order, so each is searched among all elements of the
/// other side.
struct Collision<'a, E> {
    old: &'a [Option<E>],
    new: &'a [Option<E>],
    /// The number of processed elements of `old`, then of `new`.
    at: usize,
}

impl<E: Element, const B: u32, const N: usize> Trie<E, B, N> {
    /// The changes from `old` to `new`, in hash order, each key once.
    ///
    /// Lazy: keeps the current path, but no list of changes. O(changes) if one version was made from the
    /// other, so that they share unchanged parts; otherwise O(n), still correct. Elements are equal exactly
    /// if their pointers are.
    pub(crate) fn diff<'a>(old: &'a Self, new: &'a Self) -> Diff<'a, E, B> {
        let mut diff = Diff { levels: Vec::new(), merge: Merge::new(&[], &[]) };
        diff.compare(slice::from_ref(&old.root), slice::from_ref(&new.root));
        diff
    }
}

// === impl Diff ===

impl<'a, E: Element, const B: u32> Diff<'a, E, B> {
    /// Makes the differences within one range come next. At least one side has a single child for the range.
    fn compare(&mut self, old: Children<'a, E>, new: Children<'a, E>) {
        match (old, new) {
            ([a], [b]) if a.ptr_eq(b) => {}
            ([Child::Node(ranges, node)], [Child::Node(new_ranges, new_node)]) => {
                self.levels.push(Level {
                    old: Side::new(*ranges, node),
                    new: Side::new(*new_ranges, new_node),
                    slot: 0,
                });
            }
            _ => self.merge = Merge::new(old, new),
        }
    }
}

impl<'a, E: Element, const B: u32> Iterator for Diff<'a, E, B> {
    type Item = Difference<'a, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(difference) = self.merge.next() {
                return Some(difference);
            }
            match self.levels.last_mut()?.next::<B>() {
                Some((old, new)) => self.compare(old, new),
                None => {
                    self.levels.pop();
                }
            }
        }
    }
}

impl<E: Element, const B: u32> FusedIterator for Diff<'_, E, B> {}

// === impl Level ===

impl<'a, E> Level<'a, E> {
    /// The children of the next range, as wide as the wider side's.
    fn next<const B: u32>(&mut self) -> Option<(Children<'a, E>, Children<'a, E>)> {
        if self.slot == slots::<B>() {
            return None;
        }
        let (old, new) = (self.old.ranges.at::<B>(self.slot), self.new.ranges.at::<B>(self.slot));
        let wider = if old.len >= new.len { old } else { new };
        self.slot += wider.len;
        Some((self.old.take(wider), self.new.take(wider)))
    }
}

impl<'a, E> Side<'a, E> {
    fn new(ranges: Ranges, node: &'a Node<E>) -> Self {
        Self { ranges, children: node.children() }
    }

    fn take(&mut self, range: Range) -> Children<'a, E> {
        let (taken, rest) = self.children.split_at(self.ranges.count_in(range));
        self.children = rest;
        taken
    }
}

// === impl Merge ===

impl<'a, E: Element> Merge<'a, E> {
    fn new(old: Children<'a, E>, new: Children<'a, E>) -> Self {
        let collision = Collision { old: &[], new: &[], at: 0 };
        Self { old: Run::new(old), new: Run::new(new), collision }
    }

    fn next(&mut self) -> Option<Difference<'a, E>> {
        loop {
            if let Some(difference) = self.collision.next() {
                return Some(difference);
            }
            match (self.old.peek(), self.new.peek()) {
                (None, None) => return None,
                (old, None) => return self.old.pop(old, |old| (old, None)),
                (None, new) => return self.new.pop(new, |new| (None, new)),
                (Some(old), Some(new)) => match old.hash().cmp(&new.hash()) {
                    Ordering::Less => return self.old.pop(Some(old), |old| (old, None)),
                    Ordering::Greater => return self.new.pop(Some(new), |new| (None, new)),
                    Ordering::Equal => {
                        let hash = old.hash();
                        self.collision =
                            Collision { old: self.old.take_hash(hash), new: self.new.take_hash(hash), at: 0 };
                    }
                },
            }
        }
    }
}

impl<'a, E: Element> Run<'a, E> {
    fn new(children: Children<'a, E>) -> Self {
        Self { leaf: &[], leaves: (!children.is_empty()).then(|| Leaves::new(children)) }
    }

    /// The next element, if any.
    fn peek(&mut self) -> Option<&'a E> {
        loop {
            match self.leaf.split_first() {
                Some((Some(element), _)) => return Some(element),
                Some((None, rest)) => self.leaf = rest,
                None => self.leaf = self.leaves.as_mut()?.next()?,
            }
        }
    }

    /// Advances past the peeked element and returns it as a difference.
    fn pop(
        &mut self,
        peeked: Option<&'a E>,
        sides: impl FnOnce(Option<&'a E>) -> (Option<&'a E>, Option<&'a E>),
    ) -> Option<Difference<'a, E>> {
        self.leaf = self.leaf.get(1..).unwrap_or_default();
        let (old, new) = sides(peeked);
        Some(Difference { old, new })
    }

    /// Advances past all elements with the hash of the peeked one. They are all in one leaf.
    fn take_hash(&mut self, hash: u64) -> &'a [Option<E>] {
        let same = self.leaf.iter().take_while(|slot| slot.as_ref().is_some_and(|e| e.hash() == hash));
        let (taken, rest) = self.leaf.split_at(same.count());
        self.leaf = rest;
        taken
    }
}

// === impl Collision ===

impl<'a, E: Element> Collision<'a, E> {
    fn next(&mut self) -> Option<Difference<'a, E>> {
        while let Some(slot) = self.old.get(self.at) {
            let guess = self.new.get(self.at);
            self.at += 1;
            let Some(old) = slot else { continue };
            // Unchanged elements mostly have the same position on both sides.
            if guess.is_some_and(|guess| guess.as_ref().is_some_and(|new| old.ptr_eq(new))) {
                continue;
            }
            let new = self.new.iter().flatten().find(|new| old.ptr_eq(new) || old.same_key(new));
            if !new.is_some_and(|new| old.ptr_eq(new)) {
                return Some(Difference { old: Some(old), new });
            }
        }
        while let Some(slot) = self.new.get(self.at - self.old.len()) {
            let guess = self.old.get(self.at - self.old.len());
            self.at += 1;
            let Some(new) = slot else { continue };
            if guess.is_some_and(|guess| guess.as_ref().is_some_and(|old| old.ptr_eq(new))) {
                continue;
            }
            if !self.old.iter().flatten().any(|old| old.same_key(new)) {
                return Some(Difference { old: None, new: Some(new) });
            }
        }
        None
    }
}
