//! A persistent array of objects: O(1) clones, whose versions share all unchanged parts.
//!
//! Each stored object has a slot, which stays the same in all versions of the object, until it leaves the store. So a new
//! version of an object is a change of this array only.
//!
//! # Picture
//!
//! A tree of a fixed height, so that a look-up is three loads without a loop:
//!
//! ```text
//!  Slab { root }
//!          |
//!          v
//!  root  [ * * .. ]                   one pointer for each 16384 slots
//!          |
//!          v
//!  top   [ * * * .. ]  full: 0110..   32 pointers; a bit for each child without a vacant slot
//!          |
//!          v
//!  mid   [ * * * .. ]  full: 1000..   32 pointers
//!          |
//!          v
//!  leaf  [ a - b c - - d e .. ]       16 objects, and a tag for each
//! ```
//!
//! A change copies a leaf, its two ancestors and the root, or changes them in place if no other version shares them. A
//! leaf is small because a copy changes the reference count of each of its objects, which are spread over the memory.
//!
//! An object may have a tag, of one byte, by which it is found in a leaf that is known. A leaf may have a mark, a bit in the
//! node above it: it says to go on elsewhere for what is not found there.
//!
//! The lowest vacant slot is used first, so the tree is as large as the store was at its largest, without the nodes that
//! have become empty.

mod node;
mod remains;
#[cfg(test)]
mod tests;
mod walk;

use std::num::NonZeroU32;

use triomphe::{Arc, ThinArc};

use self::node::{Child, LEAF, Leaf, Node as _, TOP, Top, child_of};
pub(crate) use self::walk::{Diff, Iter};
use crate::fetch::Counted;

/// The place of an object in a [`Slab`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(NonZeroU32);

/// A persistent array with holes.
pub(crate) struct Slab<E> {
    root: Option<ThinArc<(), Child<Top<E>>>>,
    /// No child of the root before this one has a vacant slot.
    vacant_from: usize,
}

/// Whether a leaf is marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marked(pub(crate) bool);

/// The children of the root of a [`Slab`], found once.
pub(crate) struct Reader<'a, E>(&'a [Child<Top<E>>]);

impl<E: Counted> Slab<E> {
    /// An empty slab. Does not allocate.
    pub(crate) fn new() -> Self {
        Self { root: None, vacant_from: 0 }
    }

    /// The object of a slot. O(1), does not allocate.
    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<&E> {
        self.reader().get(slot)
    }

    /// Looks up several slots.
    #[inline]
    pub(crate) fn reader(&self) -> Reader<'_, E> {
        Reader(self.tops())
    }

    /// Whether both are the same version: O(1). False for equal content that was built separately.
    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Some(root), Some(other)) => std::ptr::eq(root.as_ptr(), other.as_ptr()),
            (None, None) => true,
            _ => false,
        }
    }

    fn tops(&self) -> &[Child<Top<E>>] {
        self.root.as_ref().map_or(&[], |root| &root.slice)
    }

    /// A slot of this leaf without an object. O(1).
    pub(crate) fn vacant_in(&self, leaf: usize) -> Option<Slot> {
        let within = self.reader().leaf(leaf).0.map_or(0, |leaf| leaf.vacant());
        (within < LEAF).then(|| Slot::of(leaf * LEAF + within))
    }

    /// The lowest slot without an object. It stays vacant until the next [`set`](Self::set). O(1) amortized.
    pub(crate) fn vacant(&mut self) -> Slot {
        let tops = self.tops();
        let is_full = |top: &Child<Top<E>>| top.as_ref().is_some_and(|top| top.is_full());
        let from = (self.vacant_from..tops.len()).find(|at| !is_full(&tops[*at])).unwrap_or(tops.len());
        let within = tops.get(from).and_then(Option::as_ref).map_or(0, |top| top.vacant());
        self.vacant_from = from;
        Slot::of(from * TOP + within)
    }

    /// Stores an object and returns the one that it replaces. O(1): copies one path, as far as another version shares it.
    ///
    /// A new object is later found by its tag, if it has one ([`Reader::find`]).
    pub(crate) fn set(&mut self, slot: Slot, object: E, tag: Option<u8>) -> Option<E> {
        let at = slot.index();
        self.change(at / TOP, |top| Arc::make_mut(top.get_or_insert_with(Arc::default)).set(at, object, tag))
    }

    /// Marks a leaf, which keeps the mark when it is empty. Copies one path, as far as another version shares it.
    pub(crate) fn mark(&mut self, leaf: usize) {
        if !self.reader().leaf(leaf).1 {
            let at = leaf * LEAF;
            self.change(at / TOP, |top| {
                Arc::make_mut(top.get_or_insert_with(Arc::default)).mark(at);
                None::<()>
            });
        }
    }

    /// Removes and returns the object of a slot. Cost as for [`set`](Self::set); a vacant slot copies nothing.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<E> {
        self.get(slot)?;
        let at = slot.index();
        let removed = self.change(at / TOP, |child| {
            let top = Arc::make_mut(child.as_mut()?);
            let removed = top.remove(at);
            if top.is_empty() {
                *child = None;
            }
            removed
        });
        self.vacant_from = self.vacant_from.min(at / TOP);
        self.trim();
        removed
    }

    /// Lets `f` change a child of the root, which is made longer and copied first if necessary.
    fn change<R>(&mut self, at: usize, f: impl FnOnce(&mut Child<Top<E>>) -> Option<R>) -> Option<R> {
        let is_own = self.root.as_ref().is_some_and(|root| ThinArc::strong_count(root) == 1);
        if !is_own || self.tops().len() <= at {
            self.resize(self.tops().len().max(at + 1));
        }
        self.root.as_mut()?.with_arc_mut(|root| f(Arc::get_mut(root)?.slice_mut().get_mut(at)?))
    }

    /// Copies the root.
    fn resize(&mut self, len: usize) {
        let mut tops = self.tops().to_vec();
        tops.resize_with(len, || None);
        self.root = (len > 0).then(|| ThinArc::from_header_and_iter((), tops.into_iter()));
    }

    /// Removes the children at the end that are empty.
    fn trim(&mut self) {
        let used = self.tops().iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        if used < self.tops().len() {
            self.resize(used);
        }
    }
}

impl<'a, E: Counted> Reader<'a, E> {
    /// The object of a slot. O(1), does not allocate.
    #[inline]
    pub(crate) fn get(self, slot: Slot) -> Option<&'a E> {
        let at = slot.index();
        self.0.get(at / TOP)?.as_ref()?.get(at)
    }

    /// The object of this leaf with this tag for which `is_it` is true, or whether the leaf is [marked](Slab::mark). O(1), does
    /// not allocate.
    #[inline]
    pub(crate) fn find(self, leaf: usize, tag: u8, is_it: impl FnMut(&E) -> bool) -> Result<&'a E, Marked> {
        let (leaf, is_marked) = self.leaf(leaf);
        leaf.and_then(|leaf| leaf.find(tag, is_it)).ok_or(Marked(is_marked))
    }

    /// A leaf, and whether it is marked.
    #[inline]
    fn leaf(self, leaf: usize) -> (Option<&'a Leaf<E>>, bool) {
        let at = leaf * LEAF;
        let mid = self.top(at).and_then(|top| child_of(top, at));
        mid.map_or((None, false), |mid| mid.leaf(at))
    }

    /// The child of the root that has this slot.
    #[inline]
    fn top(self, at: usize) -> Option<&'a Arc<Top<E>>> {
        self.0.get(at / TOP)?.as_ref()
    }

    /// No object has this slot or a later one.
    fn end(self) -> usize {
        self.0.len() * TOP
    }
}

impl<E> Clone for Reader<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Reader<'_, E> {}

impl<E> Clone for Slab<E> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), vacant_from: self.vacant_from }
    }
}

impl<E: Counted> Default for Slab<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    /// The slot of the nth object of an empty slab. No overflow: 2^32 objects do not fit into memory.
    pub(crate) fn of(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The number of the leaf that has it.
    #[inline]
    pub(crate) fn leaf(self) -> usize {
        self.index() / LEAF
    }

    /// A number that is not zero.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }

    /// The slot with this [`number`](Self::number); `None` for zero.
    #[inline]
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }
}

#[cfg(test)]
impl<E: Counted> Slab<E> {
    /// Panics unless every invariant holds. O(n).
    pub(crate) fn validate(&self) {
        assert!(self.root.is_none() || self.tops().last().is_some_and(Option::is_some), "an empty end");
        for (at, top) in self.tops().iter().enumerate() {
            assert!(
                at >= self.vacant_from || top.as_ref().is_some_and(|top| top.is_full()),
                "skips a vacant slot"
            );
            top.iter().for_each(|top| top.validate());
        }
    }
}
