//! The differences of two short lists of objects.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::index::Ordered as _;
use crate::object::Obj;
use crate::snapshot::Hits;

/// The objects that differ between two lists in the order of their keys. O(objects).
pub(super) struct Merge<'a, T> {
    old: Peekable<Hits<'a, T>>,
    new: Peekable<Hits<'a, T>>,
}

impl<'a, T> Merge<'a, T> {
    pub(super) fn new(old: Hits<'a, T>, new: Hits<'a, T>) -> Self {
        Self { old: old.peekable(), new: new.peekable() }
    }

    /// The number of objects to compare.
    pub(super) fn len(&self) -> usize {
        self.old.len() + self.new.len()
    }
}

impl<'a, T> Iterator for Merge<'a, T> {
    /// An object before and after.
    type Item = (Option<&'a Obj<T>>, Option<&'a Obj<T>>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.old.peek(), self.new.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) if Obj::ptr_eq(old, new) => Ordering::Equal,
                (Some(old), Some(new)) => old.cmp_key(new),
            };
            let old = if order.is_le() { self.old.next() } else { None };
            let new = if order.is_ge() { self.new.next() } else { None };
            match (old, new) {
                (Some(old), Some(new)) if Obj::ptr_eq(old, new) => {}
                found => return Some(found),
            }
        }
    }
}
