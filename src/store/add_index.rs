//! Indexes added to a store that has readers already: before the first object, or among many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Writer;
use super::late::{Late, late_keys};
use super::retired::{Retired, World};
use crate::error::DecodeError;
use crate::index::{AnyTable, Index, IndexBy, Indexer};
use crate::object::Obj;
use crate::reflector::Turn;
use crate::trie::Trie;

/// An index to add to a running store, and who waits for its slot.
pub(crate) struct AddIndex<T> {
    pub(crate) index: Box<dyn Indexer<T>>,
    pub(crate) answer: oneshot::Sender<u32>,
}

/// An index that is not complete. When the caller cancels, it is freed in parts.
struct Half<T> {
    retired: Arc<Retired<T>>,
    table: AnyTable,
    late: Trie<Late>,
}

impl<T> Drop for Half<T> {
    fn drop(&mut self) {
        let (tables, late) = (vec![self.table.clone()], std::mem::take(&mut self.late));
        self.retired.discard(World { tables, late, ..World::default() });
    }
}

impl<T: Send + Sync + 'static> Writer<T> {
    /// One more index, before the first list. It is in every view loaded from now on.
    ///
    /// Unlike [`add_index`](Self::add_index) it runs none of the application's code, so a lock may be held.
    pub(crate) fn declare<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        debug_assert!(!self.working.synced && self.working.objects.is_empty(), "the store is in use");
        let (slot, table) = (self.next_slot(), index.empty());
        self.enlist(Box::new(index), table);
        self.publish_anew();
        Index::new(slot, self.store)
    }

    /// Adds an index, with all objects in it, and shows it to readers. An object that it panics for is marked as invalid,
    /// and not in it.
    ///
    /// Cancelled, nothing has happened.
    pub(crate) async fn add_index(&mut self, index: Box<dyn Indexer<T>>) -> u32 {
        let slot = self.next_slot();
        let mut half =
            Half { retired: self.retired.clone(), table: index.empty(), late: self.working.late.clone() };
        let Half { table, late, .. } = &mut half;
        let mut panicked = Vec::new();
        let mut turn = Turn::new();
        for object in self.working.objects.clone().iter() {
            let find = || index.keys(slot, table, &self.hasher, Obj::key(object), object);
            match catch_unwind(AssertUnwindSafe(find)) {
                Ok(keys) if keys.is_empty() => {}
                Ok(keys) => {
                    keys.iter().for_each(|key| index.insert(table, &key.key, object));
                    late.insert(Late::of(object, late_keys(late, object).iter().cloned().chain(keys)));
                }
                Err(_) => panicked.push(object.clone()),
            }
            // Other tasks have their turn; nobody sees what is half done.
            turn.pass().await;
        }
        let (table, late) = (half.table.clone(), std::mem::take(&mut half.late));
        self.enlist(index, table);
        self.working.late = late;
        for object in panicked {
            self.mark_invalid(DecodeError::stored(&object, "an index of it panicked"));
        }
        self.publish_anew();
        slot
    }

    /// The slot of the next index.
    pub(super) fn next_slot(&self) -> u32 {
        // More than 2^32 indexes cannot be declared: each is at least a pointer here.
        self.indexers.len() as u32
    }

    /// Keeps an index from now on, of which this is the table so far. Nobody sees it before the next publication.
    fn enlist(&mut self, index: Box<dyn Indexer<T>>, table: AnyTable) {
        self.indexers.push(index);
        self.working.tables.push(table);
    }
}
