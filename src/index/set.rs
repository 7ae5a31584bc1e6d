//! The indexes of one store, declared before it has objects.

use std::fmt;

use super::table::Indexer;
use super::{Index, IndexBy};
use crate::store::next_store;

/// The indexes declared on a builder: [`Builder::indexes`](crate::builder::Builder::indexes).
///
/// A function that declares the indexes of one part of an application takes this in place of a builder, so that unit
/// tests can call it too (`Snapshot::from_objects`, feature `testing`).
pub struct IndexSet<T> {
    indexers: Vec<Box<dyn Indexer<T>>>,
    store: u64,
}

impl<T: Send + Sync + 'static> IndexSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self { indexers: Vec::new(), store: next_store() }
    }

    /// Adds an index and returns its handle. See [`Builder::index`](crate::builder::Builder::index).
    pub fn index<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        // No overflow: 2^32 boxed indexes do not fit into memory.
        let slot = self.indexers.len() as u32;
        self.indexers.push(Box::new(index));
        Index::new(slot, self.store)
    }
}

impl<T> IndexSet<T> {
    /// Returns the store number in the handles, and the indexers.
    pub(crate) fn into_parts(self) -> (u64, Vec<Box<dyn Indexer<T>>>) {
        (self.store, self.indexers)
    }
}

impl<T: Send + Sync + 'static> Default for IndexSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for IndexSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexSet({} indexes)", self.indexers.len())
    }
}
