//! The index keys of one object, stored with it: taking an object out of an index calls nobody's code.

use std::any::Any;
use std::sync::Arc;

/// An index key, shared by the posting and all objects under it, its type erased.
pub(crate) type SharedKey = Arc<dyn Any + Send + Sync>;

/// Which postings of which index an object is in.
///
/// Most objects have one key in one index, or none; these need no allocation of their own.
#[derive(Clone)]
pub(crate) enum IndexKeys {
    None,
    One(SlotKey),
    /// In order of the slots.
    Many(Box<[SlotKey]>),
}

/// A key of the index at `slot`.
#[derive(Clone)]
pub(crate) struct SlotKey {
    pub(crate) slot: u32,
    pub(crate) key: SharedKey,
}

impl IndexKeys {
    pub(crate) fn as_slice(&self) -> &[SlotKey] {
        match self {
            Self::None => &[],
            Self::One(key) => std::slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }

    pub(crate) fn contains(&self, key: &SlotKey) -> bool {
        self.as_slice().iter().any(|mine| mine.is(key))
    }
}

impl From<Vec<SlotKey>> for IndexKeys {
    fn from(mut keys: Vec<SlotKey>) -> Self {
        match keys.len() {
            0 => Self::None,
            1 => keys.pop().map_or(Self::None, Self::One),
            _ => Self::Many(keys.into()),
        }
    }
}

impl SlotKey {
    /// Keys are shared, so the same key of the same index is the same allocation.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.slot == other.slot && Arc::ptr_eq(&self.key, &other.key)
    }
}
