//! Adding indexes to a store that already has readers, empty or with objects.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::Writer;
use super::draft::Draft;
use super::late::Late;
use crate::error::DecodeError;
use crate::free::free;
use crate::index::{At, Index, IndexBy, IndexKeys, Indexer, register};
use crate::object::Obj;
use crate::reflector::{Reuse, Turn};

/// An index to add to a running store, and the sender that answers the caller with its slot.
pub(crate) struct AddIndex<T> {
    pub(crate) index: Box<dyn Indexer<T>>,
    pub(crate) answer: oneshot::Sender<u32>,
}

impl<T: Send + Sync + 'static> Writer<T> {
    /// Adds an index before the first list. Every view loaded from now on has it.
    ///
    /// Unlike [`add_index`](Self::add_index) it runs no application code, so the caller may hold a lock.
    pub(crate) fn declare<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        let mut draft = self.draft(Reuse::Unchanged);
        debug_assert!(!draft.synced && draft.objects.is_empty(), "the store is in use");
        let slot = self.indexers.next_slot();
        draft.tables.push(index.empty());
        self.indexers.push(Box::new(index));
        self.show(draft);
        Index::new(slot, self.store)
    }

    /// Adds an index and answers the caller, unless it has stopped waiting.
    pub(crate) async fn answer_index(&mut self, index: AddIndex<T>) {
        let AddIndex { index, answer } = index;
        if !answer.is_closed() {
            let slot = self.add_index(index).await;
            let _ = answer.send(slot);
        }
    }

    /// Adds an index over all objects and publishes it. If the index panics for an object, the object is
    /// marked as invalid and is not in the index.
    ///
    /// A cancelled call changes nothing.
    pub(crate) async fn add_index(&mut self, index: Box<dyn Indexer<T>>) -> u32 {
        let slot = self.indexers.next_slot();
        let mut draft = self.draft(Reuse::Unchanged);
        let mut panicked = Vec::new();
        let mut turn = Turn::new();
        draft.tables.push(index.empty());
        for object in draft.objects.clone().iter() {
            let Draft { tables, keys, late, objects, hasher, .. } = &mut draft;
            let table = &mut tables[slot as usize];
            let mut found = Vec::new();
            let at = At { slot, table, keys, hasher };
            let find = || index.keys(at, Obj::key(object), object, &IndexKeys::NONE, &mut found);
            match catch_unwind(AssertUnwindSafe(find)) {
                Ok(()) if found.is_empty() => {}
                Ok(()) => {
                    let new = register(keys, found);
                    let added = new.iter().filter_map(|place| keys.get(place));
                    added.for_each(|key| index.insert(table, &key.key, objects, object));
                    let hash = hasher.stored(object);
                    let earlier = late.get(hash, |late| late.is_of(object));
                    let earlier = earlier.into_iter().flat_map(|late| late.keys().iter());
                    let all = earlier.chain(new.iter()).collect();
                    late.insert(Late::of(object, hash, all));
                }
                Err(_) => {
                    found.into_iter().for_each(free);
                    panicked.push(object.clone());
                }
            }
            // Other tasks may run here; readers do not see the unfinished draft.
            turn.pass().await;
        }
        self.indexers.push(index);
        for object in panicked {
            draft.mark_invalid(&self.indexers, DecodeError::stored(&object, "an index of it panicked"));
        }
        self.show(draft);
        slot
    }
}
