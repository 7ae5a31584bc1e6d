//! Chunks: sorted elements in one allocation of exactly their size.

use std::cmp::Ordering;

use triomphe::{Arc, ThinArc};

use crate::trie::spliced;

/// Elements in the order of their keys. Slots are optional, at no cost in size, so that an unshared chunk can
/// be rebuilt by moving its elements: no reference count is touched. Except during such a move, every slot is
/// filled.
pub(super) struct Chunk<E>(ThinArc<(), Option<E>>);

impl<E> Chunk<E> {
    /// Moves the elements out of `from`, which must be sorted and completely filled.
    pub(super) fn new(from: &mut [Option<E>]) -> Self {
        Self(ThinArc::from_header_and_iter((), from.iter_mut().map(Option::take)))
    }

    pub(super) fn slots(&self) -> &[Option<E>] {
        &self.0.slice
    }

    pub(super) fn len(&self) -> usize {
        self.0.slice.len()
    }

    pub(super) fn first(&self) -> Option<&E> {
        self.slots().first()?.as_ref()
    }

    pub(super) fn last(&self) -> Option<&E> {
        self.slots().last()?.as_ref()
    }

    pub(super) fn get(&self, order: &impl Fn(&E) -> Ordering) -> Option<&E> {
        self.slots().get(self.search(order).ok()?)?.as_ref()
    }

    /// The position of the element, or where it would be inserted.
    pub(super) fn search(&self, order: &impl Fn(&E) -> Ordering) -> Result<usize, usize> {
        let order = |slot: &Option<E>| slot.as_ref().map_or(Ordering::Less, order);
        let Some((last, before)) = self.slots().split_last() else { return Err(0) };
        // A list arrives in the order of the keys.
        match order(last) {
            Ordering::Less => Err(before.len() + 1),
            Ordering::Equal => Ok(before.len()),
            Ordering::Greater => before.binary_search_by(order),
        }
    }

    /// Calls `f` if no other version shares this chunk.
    fn if_unshared<R>(&mut self, f: impl FnOnce(&mut [Option<E>]) -> R) -> Option<R> {
        self.0.with_arc_mut(|arc| Arc::get_mut(arc).map(|own| f(own.slice_mut())))
    }
}

impl<E: Clone> Chunk<E> {
    pub(super) fn insert(&mut self, at: usize, element: E) {
        self.rebuild(at, 0, Some(element));
    }

    /// Replaces the element at `at`, which has the same key, and returns the old one.
    pub(super) fn replace(&mut self, at: usize, element: E) -> Option<E> {
        let mut element = Some(element);
        if let Some(old) = self.if_unshared(|slots| std::mem::replace(&mut slots[at], element.take())) {
            return old;
        }
        let old = self.slots()[at].clone();
        self.rebuild(at, 1, element);
        old
    }

    /// Removes the element at `at`.
    pub(super) fn remove(&mut self, at: usize) -> Option<E> {
        let element = match self.if_unshared(|slots| slots[at].take()) {
            Some(own) => own,
            None => self.slots()[at].clone(),
        };
        self.rebuild(at, 1, None);
        element
    }

    /// Rebuilds the chunk, with `cut` slots from `at` on replaced by `put`.
    fn rebuild(&mut self, at: usize, cut: usize, put: Option<E>) {
        let len = self.len();
        let mut put = put;
        let moved = self.if_unshared(|slots| {
            let elements = spliced(len, at, cut, put.take(), |i| slots[i].take());
            Self(ThinArc::from_header_and_iter((), elements))
        });
        *self = match moved {
            Some(chunk) => chunk,
            None => {
                let slots = self.slots();
                let elements = spliced(len, at, cut, put, |i| slots[i].clone());
                Self(ThinArc::from_header_and_iter((), elements))
            }
        };
    }
}

impl<E> Clone for Chunk<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
