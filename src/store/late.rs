//! Index keys of objects that were stored before the index was added.
//!
//! An object contains its index keys, so that removing it runs no application code. The keys of a later index
//! cannot be added to the object; they are stored beside it until the object changes.

use crate::fetch::Counted;
use crate::index::IndexKeys;
use crate::object::Obj;
use crate::trie::Element;

/// The keys of one object in indexes that were added after it.
#[derive(Clone)]
pub(super) struct Late(triomphe::Arc<LateKeys>);

struct LateKeys {
    /// The hash of the object.
    hash: u64,
    /// The address of the object.
    object: usize,
    keys: IndexKeys,
}

// === impl Late ===

impl Late {
    pub(super) fn of<T>(object: &Obj<T>, hash: u64, keys: IndexKeys) -> Self {
        Self(triomphe::Arc::new(LateKeys { hash, object: Obj::address(object), keys }))
    }

    pub(super) fn keys(&self) -> &IndexKeys {
        &self.0.keys
    }

    pub(super) fn is_of<T>(&self, object: &Obj<T>) -> bool {
        self.0.object == Obj::address(object)
    }
}

impl Counted for Late {
    #[inline]
    fn count(&self) -> usize {
        triomphe::Arc::strong_count(&self.0)
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
