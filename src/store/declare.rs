//! Indexes declared one by one on a store that has readers already, and no objects yet.

use super::Writer;
use crate::index::Indexer;
use crate::snapshot::View;
use crate::trie::Trie;

impl<T: Send + Sync + 'static> Writer<T> {
    /// One more index, before the first list. Returns its slot.
    ///
    /// Views loaded from now on have it; those loaded before lack it, as they would a late one.
    pub(crate) fn declare(&mut self, indexer: Box<dyn Indexer<T>>) -> u32 {
        debug_assert!(!self.working.synced && self.working.objects.is_empty(), "the store is in use");
        // More than 2^32 indexes cannot be declared: each is at least a pointer here.
        let slot = self.indexers.len() as u32;
        self.working.tables.push(indexer.empty());
        self.indexers.push(indexer);
        self.publisher.begin_anew(View {
            store: self.store,
            revision: self.working.revision,
            epoch: self.working.epoch,
            synced: false,
            resource_version: None,
            hasher: self.hasher.clone(),
            objects: Trie::new(),
            tables: self.working.tables.as_slice().into(),
            bad: Trie::new(),
            nameless: 0,
        });
        slot
    }

    /// Tells this store's index handles from another's.
    pub(crate) fn store(&self) -> u64 {
        self.store
    }
}
