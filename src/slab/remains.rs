//! Freeing a slab in small parts.

use triomphe::Arc;

use super::Slab;
use super::node::{Leaf, Mid, Top};
use crate::free::{Remains, free};

/// The rest of a slab that is being freed: nodes that are shared or were not looked at yet.
pub(crate) struct Pieces<E> {
    tops: Vec<Arc<Top<E>>>,
    mids: Vec<Arc<Mid<E>>>,
    leaves: Vec<Arc<Leaf<E>>>,
}

impl<E: Clone> Slab<E> {
    /// Converts the slab, to be freed one leaf at a time.
    pub(crate) fn into_pieces(self) -> Pieces<E> {
        let is_own = self.root.as_ref().is_some_and(|root| triomphe::ThinArc::strong_count(root) == 1);
        // The clones are owned by the pieces, so that dropping the root frees no child yet.
        let tops = if is_own { self.tops().iter().flatten().cloned().collect() } else { Vec::new() };
        Pieces { tops, mids: Vec::new(), leaves: Vec::new() }
    }
}

impl<E: Send + Sync> Remains for Pieces<E> {
    fn free_some(&mut self) -> bool {
        // A shared node is only released.
        if let Some(leaf) = self.leaves.pop() {
            let objects = Arc::try_unwrap(leaf).ok().into_iter().flat_map(Leaf::into_objects);
            objects.for_each(free);
        } else if let Some(mid) = self.mids.pop() {
            self.leaves.extend(Arc::try_unwrap(mid).ok().into_iter().flat_map(Mid::into_children));
        } else if let Some(top) = self.tops.pop() {
            self.mids.extend(Arc::try_unwrap(top).ok().into_iter().flat_map(Top::into_children));
        } else {
            return false;
        }
        true
    }
}
