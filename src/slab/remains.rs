//! Freeing a slab in small parts.

use triomphe::Arc;

use super::Slab;
use super::node::{Inner, Leaf, Mid, Top};
use crate::fetch::Counted;
use crate::free::{Remains, free};

/// The rest of a slab that is being freed: what no other version shared when its parent was released.
pub(crate) struct Pieces<E> {
    tops: Vec<Arc<Top<E>>>,
    mids: Vec<Arc<Mid<E>>>,
    leaves: Vec<Arc<Leaf<E>>>,
}

impl<E: Counted> Slab<E> {
    /// Converts the slab, to be freed one leaf at a time. Does not allocate if another version shares it.
    pub(crate) fn into_pieces(mut self) -> Pieces<E> {
        let mut tops = Vec::new();
        if let Some(root) = &mut self.root {
            root.with_arc_mut(|root| {
                let own = Arc::get_mut(root).into_iter().flat_map(|root| root.slice_mut());
                tops.extend(own.filter_map(|top| top.take_if(|top| top.is_unique())));
            });
        }
        Pieces { tops, mids: Vec::new(), leaves: Vec::new() }
    }
}

impl<E> Pieces<E> {
    pub(crate) fn is_empty(&self) -> bool {
        self.tops.is_empty() && self.mids.is_empty() && self.leaves.is_empty()
    }
}

impl<E: Counted + Send + Sync> Remains for Pieces<E> {
    fn free_some(&mut self) -> bool {
        if let Some(mut leaf) = self.leaves.pop() {
            Arc::get_mut(&mut leaf).into_iter().flat_map(Leaf::take).for_each(free);
        } else if let Some(mut mid) = self.mids.pop() {
            self.leaves.extend(Arc::get_mut(&mut mid).into_iter().flat_map(Inner::take_unshared));
        } else if let Some(mut top) = self.tops.pop() {
            self.mids.extend(Arc::get_mut(&mut top).into_iter().flat_map(Inner::take_unshared));
        } else {
            return false;
        }
        true
    }
}
