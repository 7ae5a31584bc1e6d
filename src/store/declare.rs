//! Indexes declared one by one on a store that has readers already, and no objects yet.

use super::Writer;
use crate::index::{AnyTable, Index, IndexBy, Indexer};

impl<T: Send + Sync + 'static> Writer<T> {
    /// One more index, before the first list. It is in every view loaded from now on.
    ///
    /// Unlike [`add_index`](Self::add_index) it runs none of the application's code, so a lock may be held.
    pub(crate) fn declare<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        debug_assert!(!self.working.synced && self.working.objects.is_empty(), "the store is in use");
        let table = index.empty();
        let handle = self.enlist(index, table);
        self.publish_anew();
        handle
    }

    /// The slot of the next index.
    pub(super) fn next_slot(&self) -> u32 {
        // More than 2^32 indexes cannot be declared: each is at least a pointer here.
        self.indexers.len() as u32
    }

    /// Keeps an index from now on, of which this is the table so far. Nobody sees it before the next publication.
    pub(super) fn enlist<X: IndexBy<T>>(&mut self, index: X, table: AnyTable) -> Index<T, X::Key> {
        let handle = Index::new(self.next_slot(), self.store);
        self.indexers.push(Box::new(index));
        self.working.tables.push(table);
        handle
    }
}
