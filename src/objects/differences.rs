//! The objects that differ between two versions.

use std::slice;

use super::ObjectMap;
use crate::object::Obj;
use crate::slab::{self, Slot};

/// An object before and after, of which one may be missing.
pub(crate) type Difference<'a, T> = (Option<&'a Obj<T>>, Option<&'a Obj<T>>);

/// The objects that differ between two versions, each key once, in no particular order.
pub(crate) struct Differences<'a, T> {
    old: &'a ObjectMap<T>,
    new: &'a ObjectMap<T>,
    slots: Slots<'a, T>,
    /// The new object of the last slot, if that had an object of another key before.
    second: Option<&'a Obj<T>>,
}

/// Slots of which some may have changed, each with its objects.
enum Slots<'a, T> {
    /// One object was stored or removed, once.
    One(Option<Slot>),
    Few(slice::Iter<'a, Slot>),
    All(slab::Diff<'a, Obj<T>>),
}

impl<T> ObjectMap<T> {
    /// Compares two versions. Lazy, O(changes), if one was made from the other; otherwise O(n), still correct.
    pub(crate) fn differences<'a>(old: &'a Self, new: &'a Self) -> Differences<'a, T> {
        let slots = Slots::All(slab::Slab::diff(&old.slab, &new.slab));
        Differences { old, new, slots, second: None }
    }

    /// [`differences`](Self::differences), if all changes are in these slots, each of which comes once.
    pub(crate) fn differences_in<'a>(old: &'a Self, new: &'a Self, slots: &'a [Slot]) -> Differences<'a, T> {
        Differences { old, new, slots: Slots::Few(slots.iter()), second: None }
    }

    /// [`differences`](Self::differences), if there is only one change, in this slot.
    pub(crate) fn difference_at<'a>(old: &'a Self, new: &'a Self, slot: Option<Slot>) -> Differences<'a, T> {
        Differences { old, new, slots: Slots::One(slot), second: None }
    }
}

impl<'a, T> Iterator for Differences<'a, T> {
    type Item = Difference<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<Difference<'a, T>> {
        if let Slots::One(slot) = &mut self.slots {
            let slot = slot.take()?;
            return Some((self.old.at(slot), self.new.at(slot)));
        }
        loop {
            if let Some(added) = self.second.take().and_then(|object| self.added(object)) {
                return Some(added);
            }
            let (before, after) = match &mut self.slots {
                Slots::One(_) => return None,
                Slots::Few(slots) => {
                    let slot = *slots.next()?;
                    (self.old.at(slot), self.new.at(slot))
                }
                Slots::All(diff) => diff.next()?,
            };
            match (before, after) {
                (None, None) => {}
                (Some(before), Some(after)) if Obj::ptr_eq(before, after) => {}
                (Some(before), Some(after)) if Obj::same_key(before, after) => {
                    return Some((Some(before), Some(after)));
                }
                // The object was removed, and may have been stored again in another slot.
                (Some(before), after) => {
                    self.second = after;
                    return Some((Some(before), self.new.same_key(before)));
                }
                (None, Some(after)) => {
                    if let Some(added) = self.added(after) {
                        return Some(added);
                    }
                }
            }
        }
    }
}

impl<'a, T> Differences<'a, T> {
    /// `None` if the old version has the object in another slot, which has changed, too.
    fn added(&self, object: &'a Obj<T>) -> Option<Difference<'a, T>> {
        self.old.same_key(object).is_none().then_some((None, Some(object)))
    }
}

impl<T> ObjectMap<T> {
    /// The object with the key of another one.
    pub(crate) fn same_key(&self, object: &Obj<T>) -> Option<&Obj<T>> {
        if self.is_empty() { None } else { self.get(self.hash_of(object), Obj::key(object)) }
    }
}
