//! The statuses of the parts of a scope, of which a clone is O(1).

use std::fmt;
use std::sync::Arc;

use super::status::PartStatus;
use crate::error::Error;
use crate::slab::{self, Slab, Slot};

/// The status of each part, by its place.
#[derive(Clone, Default)]
pub(super) struct PartStatuses {
    each: Slab<Arc<PartStatus>>,
    len: usize,
    /// How many have an error that blocks their first list.
    blocked: usize,
}

/// All statuses, in the order of their places.
pub(super) struct Iter<'a> {
    each: Option<slab::Iter<'a, Arc<PartStatus>>>,
    left: usize,
}

// === impl PartStatuses ===

impl PartStatuses {
    pub(super) fn get(&self, place: usize) -> Option<&Arc<PartStatus>> {
        self.each.get(Slot::of(place))
    }

    /// Changes a status, or adds the next one. O(log parts).
    pub(super) fn set(&mut self, place: usize, status: Arc<PartStatus>) {
        let is_blocked = |part: &PartStatus| usize::from(part.status.blocked().is_some());
        self.blocked += is_blocked(&status);
        match self.each.set(Slot::of(place), status, None) {
            Some(before) => self.blocked -= is_blocked(&before),
            None => self.len += 1,
        }
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter::of(Some(self))
    }

    /// An error that blocks the first list of a part. O(1) if there is none.
    pub(super) fn blocked(&self) -> Option<&Error> {
        if self.blocked == 0 {
            return None;
        }
        self.iter().find_map(|part| part.status.blocked())
    }
}

impl fmt::Debug for PartStatuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

// === impl Iter ===

impl<'a> Iter<'a> {
    /// No statuses if there are `None`.
    pub(super) fn of(parts: Option<&'a PartStatuses>) -> Self {
        Self { each: parts.map(|parts| parts.each.iter()), left: parts.map_or(0, |parts| parts.len) }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a PartStatus;

    fn next(&mut self) -> Option<&'a PartStatus> {
        let part = self.each.as_mut()?.next()?;
        self.left -= 1;
        Some(part)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}
