//! The objects of one version of a store, found by key or by slot.
//!
//! ```text
//!                    .-------- its home leaf ----.
//!                    |                           v
//!  key -> hash ------+-> Places -> slot --> Slab [ * - * * .. | * * - .. ] -> object
//!                                                ^
//!  index -> posting -> slot ---------------------'
//! ```
//!
//! The array ([`Slab`]) is what differs between versions. An update of an object copies one path in it, and changes nothing
//! else: the object stays in its slot.
//!
//! A first list reserves leaves of the array, and the hash of a key chooses one of them as its home: a look-up searches there
//! first, by a tag of one byte for each object. An object whose home is full when it comes, or that comes when there are no
//! homes yet, has the lowest vacant slot, and an entry in the table from hashes to slots ([`places`]), which all versions
//! share. Its home is marked then, so only look-ups with such a home search the table, which is one or two cache misses more.

mod differences;
mod places;
#[cfg(test)]
mod tests;

#[cfg(test)]
use self::differences::Difference;
pub(crate) use self::differences::Differences;
use self::places::{Places, Prefix};
use crate::hash::KeyHasher;
use crate::key::Key;
use crate::object::Obj;
use crate::slab::{self, Marked, Slab, Slot};

/// A persistent map of objects: O(1) clones, which never change when the original does.
pub(crate) struct ObjectMap<T> {
    slab: Slab<Obj<T>>,
    /// The number of leaves that are homes.
    homes: u32,
    /// The objects that are not at home.
    places: Places,
    len: usize,
    hasher: KeyHasher,
}

/// How many objects a home of 16 has on average when they are reserved. Of so many, one in 90 finds its home full.
const AT_HOME: usize = 11;

/// All objects, in the order of their slots.
pub(crate) struct Iter<'a, T> {
    slots: slab::Iter<'a, Obj<T>>,
    left: usize,
}

// === impl ObjectMap ===

impl<T> ObjectMap<T> {
    /// An empty map of keys with this hash function. Does not allocate.
    pub(crate) fn new(hasher: KeyHasher) -> Self {
        Self { slab: Slab::new(), homes: 0, places: Places::default(), len: 0, hasher }
    }

    /// The number of objects. O(1).
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no objects. O(1).
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The object of a key, which has this hash. O(1), does not allocate.
    #[inline]
    pub(crate) fn get(&self, hash: u64, key: Key<'_>) -> Option<&Obj<T>> {
        let objects = self.slab.reader();
        let is_it = |object: &Obj<T>| Obj::is(object, key);
        if let Some(home) = self.home(hash) {
            match objects.find(home, tag(hash), is_it) {
                Ok(found) => return Some(found),
                Err(Marked(false)) => return None,
                Err(Marked(true)) => {}
            }
        }
        self.places.find(Prefix::of(hash), |slot| objects.get(slot).filter(|object| is_it(object)))
    }

    /// The objects of exactly this hash: almost always one or none.
    pub(crate) fn of_hash(&self, hash: u64) -> Vec<&Obj<T>> {
        let mut slots = Vec::new();
        let mut look = |object: &Obj<T>| {
            if self.hash_of(object) == hash {
                slots.push(Obj::slot(object));
            }
        };
        if let Some(home) = self.home(hash) {
            let _ = self.slab.reader().find(home, tag(hash), |object| {
                look(object);
                false
            });
        }
        self.places.find(Prefix::of(hash), |slot| {
            self.slab.get(slot).into_iter().for_each(&mut look);
            None::<()>
        });
        // An entry may be older than the object in its slot.
        slots.sort_unstable();
        slots.dedup();
        slots.into_iter().flatten().filter_map(|slot| self.at(slot)).collect()
    }

    /// The object of a slot. O(1), does not allocate.
    pub(crate) fn at(&self, slot: Slot) -> Option<&Obj<T>> {
        self.slab.get(slot)
    }

    /// Looks up several slots.
    #[inline]
    pub(crate) fn reader(&self) -> slab::Reader<'_, Obj<T>> {
        self.slab.reader()
    }

    /// All objects, in the order of their slots. O(n) in all, does not allocate.
    pub(crate) fn iter(&self) -> Iter<'_, T> {
        Iter { slots: self.slab.iter(), left: self.len }
    }

    /// Whether both have the same objects because they are the same version: O(1). False for equal content of other
    /// versions.
    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        self.slab.ptr_eq(&other.slab)
    }

    /// Gives an empty map homes for about so many objects. O(1).
    pub(crate) fn reserve(&mut self, objects: usize) {
        debug_assert!(self.is_empty(), "only an empty map can be prepared");
        self.homes = u32::try_from(objects.div_ceil(AT_HOME)).unwrap_or_default();
    }

    /// A slot for a new object whose key has this hash.
    pub(crate) fn vacant(&mut self, hash: u64) -> Slot {
        let at_home = self.home(hash).and_then(|home| self.slab.vacant_in(home));
        at_home.unwrap_or_else(|| self.slab.vacant())
    }

    /// Stores an object, whose key has this hash, in its slot, and returns the one that it replaces. O(1) amortized.
    ///
    /// The slot is that of the stored object of the same key, or else a [`vacant`](Self::vacant) one. An object without a slot
    /// is not stored.
    pub(crate) fn insert(&mut self, object: Obj<T>, hash: u64) -> Option<Obj<T>> {
        let slot = Obj::slot(&object)?;
        if self.slab.get(slot).is_some() {
            return self.slab.set(slot, object, None);
        }
        let home = self.home(hash);
        if home != Some(slot.leaf()) {
            if let Some(home) = home {
                self.slab.mark(home);
            }
            let Self { slab, places, hasher, .. } = self;
            places.insert(Prefix::of(hash), slot, |prefix, slot| {
                let stored = slab.get(slot);
                stored.is_some_and(|stored| Prefix::of(hasher.stored(stored)) == prefix)
            });
        }
        self.len += 1;
        self.slab.set(slot, object, Some(tag(hash)))
    }

    /// Removes and returns the object of a slot. O(1).
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Obj<T>> {
        let removed = self.slab.remove(slot)?;
        self.len -= 1;
        Some(removed)
    }

    /// Leaves an empty map.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.hasher.clone()))
    }

    /// The only part that owns objects.
    pub(crate) fn into_slab(self) -> Slab<Obj<T>> {
        self.slab
    }

    /// The leaf in which an object of this hash is searched first; `None` if there are no homes.
    #[inline]
    fn home(&self, hash: u64) -> Option<usize> {
        let home = ((hash >> u32::BITS) * u64::from(self.homes)) >> u32::BITS;
        (self.homes > 0).then_some(home as usize)
    }

    fn hash_of(&self, object: &Obj<T>) -> u64 {
        self.hasher.stored(object)
    }

    /// Panics unless every invariant holds. O(n).
    #[cfg(test)]
    pub(crate) fn validate(&self) {
        self.slab.validate();
        self.places.validate();
        assert_eq!(self.slab.iter().count(), self.len);
        for object in self.iter() {
            let found = self.get(self.hash_of(object), Obj::key(object));
            assert!(
                found.is_some_and(|found| Obj::ptr_eq(found, object)),
                "an object is not found by its key"
            );
            assert!(
                Obj::slot(object).and_then(|slot| self.at(slot)).is_some_and(|at| Obj::ptr_eq(at, object))
            );
        }
    }
}

impl<T> Clone for ObjectMap<T> {
    fn clone(&self) -> Self {
        Self {
            slab: self.slab.clone(),
            homes: self.homes,
            places: self.places.clone(),
            len: self.len,
            hasher: self.hasher.clone(),
        }
    }
}

/// What a leaf shows of a hash. Other bits of it choose the leaf.
#[inline]
fn tag(hash: u64) -> u8 {
    hash as u8
}

// === impl Iter ===

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a Obj<T>;

    #[inline]
    fn next(&mut self) -> Option<&'a Obj<T>> {
        let object = self.slots.next()?;
        self.left -= 1;
        Some(object)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}
