//! The objects that differ between two views.

use std::sync::Arc;

use super::View;
use crate::objects::{Differences, ObjectMap};
use crate::slab::Slot;

/// What the last change of a view was. So a consumer that is one version behind reads a few slots, and need not compare two
/// arrays.
#[derive(Clone, Default)]
pub(crate) enum Recent {
    #[default]
    Nothing,
    /// One object was stored or removed, once.
    One(Slot),
    /// Each slot once.
    Few(Arc<[Slot]>),
    Many,
}

impl<T> View<T> {
    /// The objects that differ from those of an older view of the same store, each key once, in no particular order. Lazy,
    /// O(changes).
    pub(crate) fn differences<'a>(&'a self, older: &'a Self) -> Differences<'a, T> {
        let (old, new) = (&older.objects, &self.objects);
        let is_next = self.store == older.store && self.revision == older.revision + 1;
        match &self.recent {
            Recent::Nothing if is_next => ObjectMap::difference_at(old, new, None),
            Recent::One(slot) if is_next => ObjectMap::difference_at(old, new, Some(*slot)),
            Recent::Few(slots) if is_next => ObjectMap::differences_in(old, new, slots),
            _ => ObjectMap::differences(old, new),
        }
    }
}

impl Recent {
    /// The most changes that are worth noting.
    pub(crate) const MOST: usize = 16;

    /// `touched` may have a slot several times, and need not be complete if there are more than [`MOST`](Self::MOST).
    pub(crate) fn of(touched: &[Slot]) -> Self {
        match *touched {
            [] => Self::Nothing,
            [slot] => Self::One(slot),
            _ if touched.len() > Self::MOST => Self::Many,
            _ => {
                let mut slots = touched.to_vec();
                slots.sort_unstable();
                slots.dedup();
                Self::Few(slots.into())
            }
        }
    }
}
