//! The indexes of a store, which compute the keys of each object.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::free::free;
use crate::hash::KeyHasher;
use crate::index::{AnyTable, At, FoundKey, IndexKeys, Indexer, Keys};
use crate::key::Key;

/// All indexes of a store, by slot. Their tables are in each version.
pub(super) struct Indexers<T>(Vec<Box<dyn Indexer<T>>>);

/// The indexes of a version of the store, and their keys.
#[derive(Clone, Copy)]
pub(super) struct Indexed<'a> {
    pub(super) tables: &'a [AnyTable],
    pub(super) keys: &'a Keys,
    pub(super) hasher: &'a KeyHasher,
}

impl<T: 'static> Indexers<T> {
    pub(super) fn new(indexers: Vec<Box<dyn Indexer<T>>>) -> Self {
        Self(indexers)
    }

    pub(super) fn empty_tables(&self) -> Vec<AnyTable> {
        self.0.iter().map(|indexer| indexer.empty()).collect()
    }

    /// The slot of the next index.
    pub(super) fn next_slot(&self) -> u32 {
        // No overflow: 2^32 boxed indexes do not fit into memory.
        self.0.len() as u32
    }

    pub(super) fn push(&mut self, indexer: Box<dyn Indexer<T>>) {
        self.0.push(indexer);
    }

    pub(super) fn at(&self, slot: u32) -> &dyn Indexer<T> {
        &*self.0[slot as usize]
    }

    /// The keys of a value in each index. `before` are those of the stored version of the object. Runs the application's
    /// index closures, and the `Hash` and `Eq` of their keys.
    pub(super) fn keys(
        &self,
        world: Indexed<'_>,
        key: Key<'_>,
        value: &T,
        before: &IndexKeys,
    ) -> Result<Vec<FoundKey>, &'static str> {
        let Indexed { tables, keys, hasher } = world;
        let mut found = Vec::with_capacity(self.0.len());
        for (slot, (indexer, table)) in (0u32..).zip(self.0.iter().zip(tables)) {
            let at = At { slot, table, keys, hasher };
            let add = || indexer.keys(at, key, value, before, &mut found);
            if catch_unwind(AssertUnwindSafe(add)).is_err() {
                found.into_iter().for_each(free);
                return Err("an index of it panicked");
            }
        }
        Ok(found)
    }
}
