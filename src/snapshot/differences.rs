//! The objects that differ between two views.

use std::slice;
use std::sync::Arc;

use super::View;
use crate::object::Obj;
use crate::slab::Slot;
use crate::trie::{self, Element as _, Trie};

/// What the last change of a view was. So a consumer that is one version behind reads one slot or looks up a few keys, and
/// need not compare two tries.
#[derive(Clone, Default)]
pub(crate) enum Recent {
    #[default]
    Nothing,
    /// One object was stored or removed, once.
    One(Slot),
    /// The hashes of the keys, each once.
    Few(Arc<[u64]>),
    Many,
}

/// The key of an object that was stored or removed, and its slot.
#[derive(Clone, Copy)]
pub(crate) struct Touched {
    hash: u64,
    slot: Option<Slot>,
}

/// The objects that differ between two views: before and after, of which one may be missing. See
/// [`View::differences`].
pub(crate) enum Differences<'a, T> {
    All(Box<trie::Diff<'a, Obj<T>>>),
    Known(Known<'a, T>),
    One(Option<Difference<'a, T>>),
}

/// The objects of some hashes that differ between two views.
pub(crate) struct Known<'a, T> {
    hashes: slice::Iter<'a, u64>,
    old: &'a View<T>,
    new: &'a View<T>,
    /// The hash that is being looked up, and how many of its old and new objects were looked at.
    current: Option<(u64, usize)>,
}

type Difference<'a, T> = (Option<&'a Obj<T>>, Option<&'a Obj<T>>);

impl<T> View<T> {
    /// The objects that differ from those of an older view of the same store, in no particular order. Lazy, O(changes).
    pub(crate) fn differences<'a>(&'a self, older: &'a Self) -> Differences<'a, T> {
        let is_next = self.store == older.store && self.revision == older.revision + 1;
        let known = |hashes: &'a [u64]| {
            Differences::Known(Known { hashes: hashes.iter(), old: older, new: self, current: None })
        };
        match &self.recent {
            Recent::Nothing if is_next => Differences::One(None),
            Recent::One(slot) if is_next => {
                Differences::One(Some((older.slab.get(*slot), self.slab.get(*slot))))
            }
            Recent::Few(hashes) if is_next => known(hashes),
            _ => Differences::All(Box::new(Trie::diff(&older.objects, &self.objects))),
        }
    }
}

impl Recent {
    /// The most changes that are worth noting: each costs four look-ups.
    pub(crate) const MOST: usize = 16;

    /// `touched` may have an object several times, and need not be complete if there are more than
    /// [`MOST`](Self::MOST).
    pub(crate) fn of(touched: &[Touched]) -> Self {
        match *touched {
            [] => Self::Nothing,
            [Touched { slot: Some(slot), .. }] => Self::One(slot),
            _ if touched.len() > Self::MOST => Self::Many,
            _ => {
                let mut hashes: Vec<u64> = touched.iter().map(|touched| touched.hash).collect();
                hashes.sort_unstable();
                hashes.dedup();
                Self::Few(hashes.into())
            }
        }
    }
}

impl Touched {
    pub(crate) fn of<T>(object: &Obj<T>) -> Self {
        Self { hash: object.hash(), slot: Obj::slot(object) }
    }
}

impl<'a, T> Iterator for Differences<'a, T> {
    type Item = Difference<'a, T>;

    fn next(&mut self) -> Option<Difference<'a, T>> {
        match self {
            Self::All(diff) => diff.next().map(|found| (found.old, found.new)),
            Self::Known(known) => known.next(),
            Self::One(found) => found.take(),
        }
    }
}

impl<'a, T> Known<'a, T> {
    fn next(&mut self) -> Option<Difference<'a, T>> {
        loop {
            let (hash, nth) = match self.current.take() {
                Some(current) => current,
                None => (*self.hashes.next()?, 0),
            };
            // The objects of a hash in the old view, then those that are only in the new one.
            let (old, new) = (&self.old.objects, &self.new.objects);
            let before = old.of_hash(hash).nth(nth);
            let found = match before {
                Some(before) => (Some(before), new.get(hash, |after| after.same_key(before))),
                None => {
                    let is_new = |after: &&Obj<T>| old.get(hash, |before| before.same_key(after)).is_none();
                    let seen = nth - old.of_hash(hash).count();
                    (None, new.of_hash(hash).filter(is_new).nth(seen))
                }
            };
            match found {
                (None, None) => continue,
                (Some(before), Some(after)) if Obj::ptr_eq(before, after) => {
                    self.current = Some((hash, nth + 1));
                }
                found => {
                    self.current = Some((hash, nth + 1));
                    return Some(found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::index::IndexKeys;
    use crate::key::Key;
    use crate::object::Identity;
    use crate::version::ResourceVersion;

    fn object(name: &str, hash: u64) -> Obj<()> {
        let version = ResourceVersion::from_number(1);
        let identity = Identity { hash, key: Key { namespace: "", name }, uid: "", version: &version };
        Obj::new(&identity, ()).unwrap()
    }

    /// All keys have one of two hashes.
    #[test]
    fn known_differences_are_those_of_the_tries_even_if_hashes_collide() {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..300 {
            let mut view = View::<()>::empty(0, Vec::new());
            let fill = |view: &mut View<()>, random: &mut StdRng, changes: usize| {
                (0..changes)
                    .map(|_| {
                        let (at, hash) = (random.random_range(0..6), random.random_range(0..2));
                        let mut object = object(&format!("o{at}"), hash);
                        let stored = view.objects.get(hash, |other| other.same_key(&object));
                        let mut slot = stored.and_then(Obj::slot);
                        if random.random_bool(0.6) {
                            let place = slot.unwrap_or_else(|| view.slab.vacant());
                            Obj::set_place(&mut object, place, IndexKeys::NONE);
                            view.slab.set(place, object.clone());
                            view.objects.insert(object);
                            slot = Some(place);
                        } else if let Some(slot) = slot {
                            view.objects.remove(hash, |other| other.same_key(&object));
                            view.slab.remove(slot);
                        }
                        Touched { hash, slot }
                    })
                    .collect::<Vec<_>>()
            };
            fill(&mut view, &mut random, 8);
            let (objects, slab) = (view.objects.clone(), view.slab.clone());
            let mut next = View { revision: 1, objects, slab, ..View::empty(0, Vec::new()) };
            let changes = random.random_range(0..6);
            next.recent = Recent::of(&fill(&mut next, &mut random, changes));
            let differences = next.differences(&view);
            assert!(!matches!(differences, Differences::All(_)));
            let address = |object: Option<&Obj<()>>| object.map(Obj::address);
            let mut known: Vec<_> = differences.map(|(old, new)| (address(old), address(new))).collect();
            let all = Trie::diff(&view.objects, &next.objects);
            let mut all: Vec<_> = all.map(|found| (address(found.old), address(found.new))).collect();
            known.sort_unstable();
            all.sort_unstable();
            assert_eq!(known, all);
        }
    }
}
