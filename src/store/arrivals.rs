//! The objects of a list, in the order in which they arrived.

use hashbrown::HashTable;

use crate::free::{Remains, free};
use crate::object::Obj;

/// Listed objects, each key once, found by hash.
pub(super) struct Arrivals<T> {
    /// `None` where an object was removed.
    objects: Vec<Option<Obj<T>>>,
    places: HashTable<Place>,
}

/// Where an object is.
#[derive(Clone, Copy)]
struct Place {
    /// The upper half of its hash.
    prefix: u32,
    at: u32,
}

// === impl Arrivals ===

impl<T> Arrivals<T> {
    /// Does not allocate.
    pub(super) fn new() -> Self {
        Self { objects: Vec::new(), places: HashTable::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The object of this hash for which `is` is true. O(1).
    pub(super) fn get(&self, hash: u64, is: impl Fn(&Obj<T>) -> bool) -> Option<&Obj<T>> {
        let prefix = Place::prefix(hash);
        let place =
            self.places.find(Place::spread(prefix), |place| is_at(&self.objects, *place, prefix, &is))?;
        self.objects.get(place.at as usize)?.as_ref()
    }

    /// Adds an object of this hash, or puts it in the place of the one with the same key, which it returns. O(1) amortized.
    pub(super) fn insert(&mut self, hash: u64, object: Obj<T>) -> Option<Obj<T>> {
        let prefix = Place::prefix(hash);
        let is_same =
            |place: &Place| is_at(&self.objects, *place, prefix, |other| Obj::same_key(other, &object));
        if let Some(place) = self.places.find(Place::spread(prefix), is_same).copied() {
            return self.objects.get_mut(place.at as usize)?.replace(object);
        }
        // No overflow: 2^32 objects do not fit into memory.
        let place = Place { prefix, at: self.objects.len() as u32 };
        self.places.insert_unique(Place::spread(prefix), place, |place| Place::spread(place.prefix));
        self.objects.push(Some(object));
        None
    }

    /// Removes and returns the object of this hash for which `is` is true. O(1).
    pub(super) fn remove(&mut self, hash: u64, is: impl Fn(&Obj<T>) -> bool) -> Option<Obj<T>> {
        let prefix = Place::prefix(hash);
        let Self { objects, places } = self;
        let is_it = |place: &Place| is_at(objects, *place, prefix, &is);
        let (place, _) = places.find_entry(Place::spread(prefix), is_it).ok()?.remove();
        objects.get_mut(place.at as usize)?.take()
    }

    /// The objects in the order in which they arrived; `None` where one was removed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Option<Obj<T>>> {
        self.objects.iter_mut()
    }
}

/// Whether a place is one of such a hash, and of an object for which `is` is true.
fn is_at<T>(objects: &[Option<Obj<T>>], place: Place, prefix: u32, is: impl Fn(&Obj<T>) -> bool) -> bool {
    place.prefix == prefix && matches!(objects.get(place.at as usize), Some(Some(object)) if is(object))
}

impl<T> Default for Arrivals<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + Sync> Remains for Arrivals<T> {
    fn free_some(&mut self) -> bool {
        self.objects.pop().map(free).is_some()
    }
}

// === impl Place ===

impl Place {
    fn prefix(hash: u64) -> u32 {
        (hash >> u32::BITS) as u32
    }

    /// The hash that the table uses: it looks at the upper and at the lower bits.
    fn spread(prefix: u32) -> u64 {
        u64::from(prefix).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::key::Key;
    use crate::object::Identity;

    /// Few hashes, so that different keys have the same one, or the same upper half.
    fn object(number: u8, value: u32) -> (u64, Obj<u32>) {
        let hash = u64::from(number % 3) << 62 | u64::from(number % 2);
        let name = number.to_string();
        let identity = Identity { key: Key { namespace: "", name: &name }, uid: "", version: &"1".into() };
        (hash, Obj::new(&identity, value).unwrap())
    }

    proptest! {
        #[test]
        fn arrivals_are_a_map_in_the_order_of_arrival(
            steps in proptest::collection::vec((any::<bool>(), 0..40u8, any::<u32>()), 0..200),
        ) {
            let (mut arrivals, mut model) = (Arrivals::<u32>::new(), BTreeMap::<u8, (usize, u32)>::new());
            for (at, (removes, number, value)) in steps.into_iter().enumerate() {
                let (hash, new) = object(number, value);
                if removes {
                    let removed = arrivals.remove(hash, |old| Obj::same_key(old, &new));
                    prop_assert_eq!(removed.map(|old| *old), model.remove(&number).map(|(_, value)| value));
                } else {
                    let first = model.get(&number).map_or(at, |(first, _)| *first);
                    let old = model.insert(number, (first, value)).map(|(_, value)| value);
                    prop_assert_eq!(arrivals.insert(hash, new).map(|old| *old), old);
                }
                prop_assert_eq!(arrivals.len(), model.len());
            }
            for number in 0..40 {
                let (hash, sought) = object(number, 0);
                let found = arrivals.get(hash, |object| Obj::same_key(object, &sought)).map(|found| **found);
                prop_assert_eq!(found, model.get(&number).map(|(_, value)| *value));
            }
            let mut expected: Vec<(usize, u32)> = model.values().copied().collect();
            expected.sort_unstable();
            let order: Vec<u32> = arrivals.iter_mut().flatten().map(|object| **object).collect();
            prop_assert_eq!(order, expected.iter().map(|(_, value)| *value).collect::<Vec<_>>());
        }
    }
}
