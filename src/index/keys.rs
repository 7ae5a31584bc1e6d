//! The index keys of one object, stored with it, so that removing it from an index runs no application code.

use std::any::Any;
use std::cmp::Ordering;
use std::sync::Arc;

/// An index key without its type, shared by the posting and all objects under it.
pub(crate) type SharedKey = Arc<dyn Any + Send + Sync>;

/// The keys of one object in all indexes.
///
/// Most objects have one key or none, which needs no allocation.
#[derive(Clone)]
pub(crate) enum IndexKeys {
    None,
    One(SlotKey),
    /// Sorted for binary search, because the author of an object decides how many keys it has.
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

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, SlotKey> {
        self.as_slice().iter()
    }

    /// The keys in one index. O(log k), and O(1) for each of them.
    pub(crate) fn of_index(&self, slot: u32) -> impl Iterator<Item = &SharedKey> {
        let keys = self.as_slice();
        let from = keys.partition_point(|key| key.slot < slot);
        keys[from..].iter().take_while(move |key| key.slot == slot).map(|key| &key.key)
    }

    /// O(log k).
    pub(crate) fn contains(&self, key: &SlotKey) -> bool {
        self.find(|mine| mine.place().cmp(&key.place()))
    }

    /// Whether `order` returns `Equal` for one of the keys. It compares a key with the one to find.
    fn find(&self, order: impl FnMut(&SlotKey) -> Ordering) -> bool {
        self.as_slice().binary_search_by(order).is_ok()
    }
}

impl From<Vec<SlotKey>> for IndexKeys {
    fn from(mut keys: Vec<SlotKey>) -> Self {
        match keys.len() {
            0 => Self::None,
            1 => keys.pop().map_or(Self::None, Self::One),
            _ => {
                keys.sort_unstable_by_key(SlotKey::place);
                Self::Many(keys.into())
            }
        }
    }
}

impl SlotKey {
    /// An arbitrary order, stable while the key exists. Keys are shared, so equal keys of one index have the
    /// same address.
    fn place(&self) -> (u32, usize) {
        (self.slot, Arc::as_ptr(&self.key).cast::<()>() as usize)
    }

    #[cfg(test)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The author of an object decides how many index keys it has, so an update must not compare all pairs.
    #[test]
    fn one_of_many_keys_is_found_in_few_steps() {
        const KEYS: u64 = 40_000;
        let all: Vec<SlotKey> =
            (0..KEYS).map(|key| SlotKey { slot: key as u32 % 2, key: Arc::new(key) }).collect();
        let keys = IndexKeys::from(all.clone());
        let mut steps = 0;
        for sought in &all {
            assert!(keys.contains(sought));
            assert!(keys.find(|mine| {
                steps += 1;
                mine.place().cmp(&sought.place())
            }));
        }
        assert!(steps < KEYS * 20, "{steps} steps for {KEYS} keys");
        assert!(
            !keys.contains(&SlotKey { slot: 0, key: Arc::new(0_u64) }),
            "equal, and of another index entry"
        );
        assert!(!keys.contains(&SlotKey { slot: all[0].slot + 2, ..all[0].clone() }), "of another index");
    }
}
