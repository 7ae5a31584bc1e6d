//! Indexes declared one by one on a store that has readers already, and no objects yet.

use super::Writer;
use crate::index::{Index, IndexBy, Indexer};

impl<T: Send + Sync + 'static> Writer<T> {
    /// One more index, before the first list. It is in every view loaded from now on.
    ///
    /// Unlike [`add_index`](Self::add_index) it runs none of the application's code, so a lock may be held.
    pub(crate) fn declare<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        debug_assert!(!self.working.synced && self.working.objects.is_empty(), "the store is in use");
        // More than 2^32 indexes cannot be declared: each is at least a pointer here.
        let slot = self.indexers.len() as u32;
        let indexer: Box<dyn Indexer<T>> = Box::new(index);
        self.working.tables.push(indexer.empty());
        self.indexers.push(indexer);
        self.publish_anew();
        Index::new(slot, self.store)
    }
}
