//! The index keys of one object, stored with it, so that removing it from an index runs no application code.
//!
//! All keys of a store are in one array, [`Keys`], and an object has only their places in it: four bytes for each.

use std::any::Any;
use std::sync::Arc;

use triomphe::ThinArc;

use super::multimap::HashedKey;
use crate::fetch::Counted;
use crate::slab::{Slab, Slot};

/// An index key without its type, shared by the posting and the array.
pub(crate) type SharedKey = Arc<dyn AnyKey + Send + Sync>;

/// A key that knows its place in [`Keys`].
pub(crate) trait AnyKey: Any {
    /// `None` before it is in the array.
    fn place(&self) -> Option<Slot>;

    fn set_place(&mut self, place: Slot);
}

/// The keys of a version of a store that objects are under, of all its indexes.
pub(crate) type Keys = Slab<SlotKey>;

/// The places of the keys of one object, in all indexes, in ascending order.
///
/// Most objects have few keys, which need no allocation.
pub(crate) enum IndexKeys {
    /// The rest is `None`.
    Few([Option<Slot>; FEW]),
    Many(ThinArc<(), Slot>),
}

/// A key of the index at `slot`.
#[derive(Clone)]
pub(crate) struct SlotKey {
    pub(crate) slot: u32,
    pub(crate) key: SharedKey,
}

/// A key of an object that is about to be stored.
pub(crate) enum FoundKey {
    /// One of the array.
    Known(Slot),
    New(SlotKey),
}

/// The size of `IndexKeys` is that of two pointers.
const FEW: usize = 3;

// === impl IndexKeys ===

impl IndexKeys {
    pub(crate) const NONE: Self = Self::Few([None; FEW]);

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> {
        let (few, many) = match self {
            Self::Few(few) => (few.as_slice(), [].as_slice()),
            Self::Many(many) => ([].as_slice(), &many.slice),
        };
        few.iter().flatten().chain(many).copied()
    }

    /// O(1).
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.iter().flatten().count(),
            Self::Many(many) => many.slice.len(),
        }
    }

    /// O(log k).
    pub(crate) fn contains(&self, key: Slot) -> bool {
        match self {
            Self::Few(few) => few.contains(&Some(key)),
            Self::Many(many) => is_in(&many.slice, key, |_| ()),
        }
    }

    /// The keys in one index. O(k).
    pub(crate) fn of_index<'a>(&self, slot: u32, keys: &'a Keys) -> impl Iterator<Item = &'a SharedKey> {
        self.iter()
            .filter_map(|place| keys.get(place))
            .filter(move |key| key.slot == slot)
            .map(|key| &key.key)
    }
}

/// Binary search, because the author of an object decides how many keys it has.
fn is_in(sorted: &[Slot], key: Slot, mut step: impl FnMut(Slot)) -> bool {
    let order = |mine: &Slot| {
        step(*mine);
        mine.cmp(&key)
    };
    sorted.binary_search_by(order).is_ok()
}

impl FromIterator<Slot> for IndexKeys {
    fn from_iter<I: IntoIterator<Item = Slot>>(places: I) -> Self {
        let (mut few, mut rest) = ([None; FEW], Vec::new());
        for (at, place) in places.into_iter().enumerate() {
            match few.get_mut(at) {
                Some(free) => *free = Some(place),
                None => rest.push(place),
            }
        }
        if rest.is_empty() {
            return Self::Few(few);
        }
        rest.extend(few.into_iter().flatten());
        rest.sort_unstable();
        Self::Many(ThinArc::from_header_and_slice((), &rest))
    }
}

// === impl SlotKey ===

impl Counted for SlotKey {
    fn count(&self) -> usize {
        Arc::strong_count(&self.key)
    }
}

// === impl AnyKey ===

impl<K: 'static> AnyKey for HashedKey<K> {
    fn place(&self) -> Option<Slot> {
        self.place
    }

    fn set_place(&mut self, place: Slot) {
        self.place = Some(place);
    }
}

/// Casts a key to its type.
pub(super) fn typed_key<K: 'static>(key: &SharedKey) -> Option<&HashedKey<K>> {
    let key: &dyn Any = &**key;
    key.downcast_ref()
}

/// Casts a shared key to its type.
pub(super) fn typed_shared<K: Send + Sync + 'static>(key: &SharedKey) -> Option<Arc<HashedKey<K>>> {
    let key: Arc<dyn Any + Send + Sync> = key.clone();
    key.downcast().ok()
}

// === register ===

/// Puts new keys into the array, and returns the places of all.
pub(crate) fn register(keys: &mut Keys, found: Vec<FoundKey>) -> IndexKeys {
    found
        .into_iter()
        .map(|found| match found {
            FoundKey::Known(place) => place,
            FoundKey::New(mut new) => {
                let place = keys.vacant();
                // Nothing else has a new key.
                if let Some(key) = Arc::get_mut(&mut new.key) {
                    key.set_place(place);
                }
                keys.set(place, new, None);
                place
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(count: usize) -> Vec<Slot> {
        (0..count).map(Slot::of).collect()
    }

    #[test]
    fn keys_are_as_large_as_two_pointers() {
        assert_eq!(size_of::<IndexKeys>(), 2 * size_of::<usize>());
    }

    #[test]
    fn any_number_of_keys_is_kept() {
        for count in 0..10 {
            let mut all = places(count);
            all.reverse();
            let keys: IndexKeys = all.iter().copied().collect();
            let mut kept: Vec<_> = keys.iter().collect();
            kept.sort_unstable();
            assert_eq!(kept, places(count));
            assert!(all.iter().all(|key| keys.contains(*key)));
            assert!(!keys.contains(Slot::of(count)));
        }
    }

    /// The author of an object decides how many index keys it has, so an update must not compare all pairs.
    #[test]
    fn one_of_many_keys_is_found_in_few_steps() {
        const KEYS: usize = 40_000;
        let all = places(KEYS);
        let mut steps = 0;
        for sought in &all {
            assert!(is_in(&all, *sought, |_| steps += 1));
        }
        assert!(steps < KEYS * 20, "{steps} steps for {KEYS} keys");
        assert!(!is_in(&all, Slot::of(KEYS), |_| ()));
    }
}
