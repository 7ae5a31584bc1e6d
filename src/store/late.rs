//! Indexes that come when there are objects already.
//!
//! An object carries its index keys, so that taking it out calls nobody's code. Those of an index that comes later
//! cannot be added to it; they are kept beside the objects, for as long as these do not change.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Writer;
use super::retired::{Retired, World};
use crate::error::DecodeError;
use crate::index::{AnyTable, Index, IndexBy, IndexKeys, Indexer, SlotKey};
use crate::object::Obj;
use crate::reflector::Turn;
use crate::trie::{Element, Trie};

/// The keys of one object in indexes that came after it.
#[derive(Clone)]
pub(super) struct Late(triomphe::Arc<LateKeys>);

struct LateKeys {
    /// The object's, which spreads well.
    hash: u64,
    /// Where the object lies.
    object: usize,
    keys: IndexKeys,
}

impl<T: Send + Sync + 'static> Writer<T> {
    /// Adds an index, with all objects in it, and shows it to readers. An object that it panics for is marked as invalid,
    /// and not in it.
    ///
    /// Cancelled, nothing has happened.
    pub(crate) async fn add_index<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
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
        let handle = self.enlist(index, table);
        self.working.late = late;
        for object in panicked {
            self.mark_invalid(DecodeError::stored(&object, "an index of it panicked"));
        }
        self.publish_anew();
        handle
    }
}

/// An index that is not complete. Cancelled, it is not freed all at once.
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

/// The keys that were found for an object after it was stored.
pub(super) fn late_keys<'a, T>(late: &'a Trie<Late>, object: &Obj<T>) -> &'a [SlotKey] {
    late.get(object.hash(), |late| late.is_of(object)).map_or(&[], Late::keys)
}

// === impl Late ===

impl Late {
    fn of<T>(object: &Obj<T>, keys: impl Iterator<Item = SlotKey>) -> Self {
        let keys = keys.collect::<Vec<_>>().into();
        Self(triomphe::Arc::new(LateKeys { hash: object.hash(), object: Obj::address(object), keys }))
    }

    pub(super) fn keys(&self) -> &[SlotKey] {
        self.0.keys.as_slice()
    }

    pub(super) fn is_of<T>(&self, object: &Obj<T>) -> bool {
        self.0.object == Obj::address(object)
    }
}

impl Element for Late {
    fn hash(&self) -> u64 {
        self.0.hash
    }

    fn same_key(&self, other: &Self) -> bool {
        self.0.object == other.0.object
    }

    fn ptr_eq(&self, other: &Self) -> bool {
        triomphe::Arc::ptr_eq(&self.0, &other.0)
    }
}
