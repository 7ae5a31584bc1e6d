//! Leaves: a few elements sorted by hash, found by comparing sixteen tags at once.

use triomphe::{Arc, ThinArc};
use wide::u8x16;

use super::{Element, spliced};
use crate::fetch::{Counted, fetch};

/// The number of elements that have a tag. Only a leaf at the depth limit has more elements.
pub(super) const TAGS: usize = 16;

type Tags = [u8; TAGS];

/// One to `N` elements (any number at the depth limit), sorted by hash, in exactly as many slots.
///
/// The tag of an element is the lowest byte of its hash, which does not affect the shape of the trie. Slots
/// are optional, at no cost in size, so that an unshared leaf can be rebuilt by moving its elements: no
/// reference count is touched. Except during such a move, every slot is filled.
pub(super) struct Leaf<E>(ThinArc<Tags, Option<E>>);

impl<E> Leaf<E> {
    pub(super) fn slots(&self) -> &[Option<E>] {
        &self.0.slice
    }

    pub(super) fn len(&self) -> usize {
        self.0.slice.len()
    }

    /// The reference count.
    pub(super) fn count(&self) -> usize {
        ThinArc::strong_count(&self.0)
    }

    pub(super) fn ptr_eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.as_ptr(), other.0.as_ptr())
    }

    pub(super) fn tags(&self) -> &Tags {
        &self.0.header.header
    }

    /// Calls `f` if no other version shares this leaf.
    fn if_unshared<R>(&mut self, f: impl FnOnce(&mut [Option<E>]) -> R) -> Option<R> {
        self.0.with_arc_mut(|arc| Arc::get_mut(arc).map(|own| f(own.slice_mut())))
    }
}

impl<E: Element> Leaf<E> {
    /// Moves the elements out of `from`, which must be sorted and completely filled.
    pub(super) fn new(from: &mut [Option<E>]) -> Self {
        let mut tags = [0; TAGS];
        for (tag, element) in tags.iter_mut().zip(from.iter().flatten()) {
            *tag = tag_of(element.hash());
        }
        Self(ThinArc::from_header_and_iter(tags, from.iter_mut().map(Option::take)))
    }

    /// Passes the elements to `take` if no other version shares this leaf, then releases the leaf.
    pub(super) fn into_unshared(mut self, take: impl FnMut(E)) {
        if self.count() == 1 {
            self.fetch_elements();
        }
        self.if_unshared(|slots| slots.iter_mut().filter_map(Option::take).for_each(take));
    }

    /// The element of this hash for which `is` is true, and its position.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl Fn(&E) -> bool) -> Option<(usize, &E)> {
        let slots = &self.0.slice;
        let mut candidates = matches(self.tags(), tag_of(hash));
        while candidates != 0 {
            let at = candidates.trailing_zeros() as usize;
            // Tags without an element are zero and may match; such a match ends the search.
            let Some(Some(element)) = slots.get(at) else { break };
            if element.hash() == hash && is(element) {
                return Some((at, element));
            }
            candidates &= candidates - 1;
        }
        if slots.len() > TAGS { self.find_untagged(hash, is) } else { None }
    }

    #[cold]
    fn find_untagged(&self, hash: u64, is: impl Fn(&E) -> bool) -> Option<(usize, &E)> {
        let untagged = self.0.slice.iter().enumerate().skip(TAGS);
        untagged
            .filter_map(|(at, slot)| Some((at, slot.as_ref()?)))
            .find(|(_, element)| element.hash() == hash && is(element))
    }

    /// The position for a new element of this hash, after those of the same hash.
    pub(super) fn place_of(&self, hash: u64) -> usize {
        self.slots().partition_point(|slot| slot.as_ref().is_some_and(|e| e.hash() <= hash))
    }

    pub(super) fn insert(&mut self, at: usize, element: E) {
        let mut tags = *self.tags();
        if at < TAGS {
            tags.copy_within(at..TAGS - 1, at + 1);
            tags[at] = tag_of(element.hash());
        }
        self.rebuild(tags, at, 0, Some(element));
    }

    /// Removes the element at `at`. If the leaf is then empty, the caller replaces it with `Empty`.
    pub(super) fn remove(&mut self, at: usize) -> Option<E> {
        let mut tags = *self.tags();
        if at < TAGS {
            tags.copy_within(at + 1.., at);
            let next = self.0.slice.get(TAGS).and_then(Option::as_ref);
            tags[TAGS - 1] = next.map_or(0, |element| tag_of(element.hash()));
        }
        let element = match self.if_unshared(|slots| slots[at].take()) {
            Some(own) => own,
            None => self.0.slice[at].clone(),
        };
        self.rebuild(tags, at, 1, None);
        element
    }

    /// Replaces the element at `at`, which has the same hash, and returns the old one.
    pub(super) fn replace(&mut self, at: usize, element: E) -> Option<E> {
        let mut element = Some(element);
        if let Some(old) = self.if_unshared(|slots| std::mem::replace(&mut slots[at], element.take())) {
            return old;
        }
        let old = self.0.slice[at].clone();
        self.rebuild(*self.tags(), at, 1, element);
        old
    }

    /// Lets `f` change the element at `at`, in a copy of the leaf if another version shares it.
    pub(super) fn change<R>(&mut self, at: usize, f: impl FnOnce(&mut E) -> R) -> Option<R> {
        if ThinArc::strong_count(&self.0) != 1 {
            self.fetch_elements();
            self.0 = ThinArc::from_header_and_iter(*self.tags(), self.0.slice.iter().cloned());
        }
        self.if_unshared(|slots| slots[at].as_mut().map(f)).flatten()
    }

    /// Moves the elements to the end of `out`, or clones them if another version shares the leaf.
    pub(super) fn drain_into(mut self, out: &mut Vec<Option<E>>) {
        if self.if_unshared(|slots| out.extend(slots.iter_mut().map(Option::take))).is_none() {
            out.extend_from_slice(self.slots());
        }
    }

    /// Before all elements are cloned or released.
    fn fetch_elements(&self) {
        fetch(self.slots().iter().flatten().map(Counted::count));
    }

    /// Rebuilds the leaf, with `cut` slots from `at` on replaced by `put`.
    fn rebuild(&mut self, tags: Tags, at: usize, cut: usize, put: Option<E>) {
        let len = self.len();
        let mut put = put;
        let moved = self.if_unshared(|slots| {
            let elements = spliced(len, at, cut, put.take(), |i| slots[i].take());
            Self(ThinArc::from_header_and_iter(tags, elements))
        });
        *self = match moved {
            Some(leaf) => leaf,
            None => {
                self.fetch_elements();
                let slots = self.slots();
                let elements = spliced(len, at, cut, put, |i| slots[i].clone());
                Self(ThinArc::from_header_and_iter(tags, elements))
            }
        };
    }
}

impl<E> Clone for Leaf<E> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[inline]
pub(super) fn tag_of(hash: u64) -> u8 {
    hash as u8
}

/// A bit for each tag that equals `tag`.
#[inline]
fn matches(tags: &Tags, tag: u8) -> u32 {
    u8x16::new(*tags).simd_eq(u8x16::splat(tag)).to_bitmask()
}
