//! Finds the selectors that may match given labels.
//!
//! A selector is in the buckets of one label that it requires, so that only objects with that label meet it:
//!
//! | the selector requires | it is in the buckets |
//! |---|---|
//! | `app=web`, or `app in (web, proxy)` | `app=web`, or `app=web` and `app=proxy` |
//! | only that a label exists (`app`, `size>3`) | `app` |
//! | no label (`!app`, `app!=web`, or nothing) | the one of all objects |
//!
//! Of several labels with values, it takes the one with the fewest selectors in its fullest bucket at that moment: the
//! most selective one. So a label that all selectors have in common fills no bucket. Each namespace has buckets of its
//! own, and so have the selectors of all namespaces.
//!
//! Removal looks in every bucket that the selector could be in, which is linear in its requirements, like insertion.
//! Recording the choice would need a key that changes after it is shared.

mod bucket;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::Arc;

use equivalent::Equivalent;

pub(crate) use self::bucket::{Bucket, BucketRef, Place};
use super::keys::{SharedKey, typed_shared};
use super::multimap::{HashedKey, Multimap, MultimapRemains};
use super::posting::Posting;
use super::selector_key::SelectorKey;
use crate::hash::KeyHasher;

/// The selectors of one index, by the labels that they require. One version of it.
#[derive(Clone)]
pub(super) struct Directory {
    buckets: Multimap<Bucket, KeyPtr>,
    /// The number of selectors in buckets of one namespace, and of those in buckets of all namespaces. Most indexes have
    /// only one sort, and need not look for the other.
    scopes: [usize; 2],
    hasher: KeyHasher,
}

/// A selector in a bucket. The table has one pointer for each selector, so they are compared by address.
#[derive(Clone)]
struct KeyPtr(Arc<HashedKey<SelectorKey>>);

// === impl Directory ===

impl Directory {
    pub(super) fn new() -> Self {
        Self { buckets: Multimap::new(), scopes: [0; 2], hasher: KeyHasher::new() }
    }

    /// Adds a selector that is new in the table. O(requirements).
    pub(super) fn add(&mut self, key: &SharedKey) {
        let Some(key) = KeyPtr::of(key) else { return };
        let fullest = |place: Place<'_>| place.buckets().map(|bucket| self.len(bucket)).max();
        let best = key.0.key.places().min_by_key(|place| (place.rank(), fullest(*place), place.width()));
        if let Some(place) = best {
            self.scopes[place.scope()] += 1;
        }
        for bucket in best.iter().flat_map(Place::buckets) {
            let hash = self.hasher.index_key(&bucket);
            let known =
                self.buckets.get(hash, |known| bucket.equivalent(known)).map(|entry| entry.key.clone());
            let bucket =
                known.unwrap_or_else(|| Arc::new(HashedKey { hash, place: None, key: bucket.to_bucket() }));
            self.buckets.insert(bucket, key.clone(), |other| other.cmp(&key));
        }
    }

    /// Removes a selector that left the table. O(requirements).
    pub(super) fn remove(&mut self, key: &SharedKey) {
        let Some(key) = KeyPtr::of(key) else { return };
        if let Some(place) = key.0.key.places().next() {
            let selectors = &mut self.scopes[place.scope()];
            *selectors = selectors.saturating_sub(1);
        }
        for bucket in key.0.key.places().flat_map(|place| place.buckets()) {
            let entry = self.find(bucket).filter(|entry| entry.1.contains(&key, |other| other.cmp(&key)));
            if let Some(bucket) = entry.map(|(bucket, _)| bucket.clone()) {
                self.buckets.remove(&bucket, &key, |other| other.cmp(&key));
            }
        }
    }

    /// Calls `visit` once with each selector that may match these labels in this namespace. No allocation.
    pub(super) fn visit<'a, 'q>(
        &'a self,
        namespace: &'q str,
        labels: impl Iterator<Item = (&'q str, &'q str)>,
        visit: &mut dyn FnMut(&'a Arc<HashedKey<SelectorKey>>),
    ) {
        for bucket in BucketRef::of_object(namespace, labels).filter(|bucket| self.scopes[bucket.scope()] > 0)
        {
            let selectors = self.find(bucket).into_iter().flat_map(|(_, selectors)| selectors.iter());
            selectors.for_each(|key| visit(&key.0));
        }
    }

    pub(super) fn into_remains(self) -> MultimapRemains<Bucket, impl Clone + Send + Sync> {
        self.buckets.into_remains()
    }

    fn len(&self, bucket: BucketRef<'_>) -> usize {
        self.find(bucket).map_or(0, |(_, selectors)| selectors.len())
    }

    fn find(&self, bucket: BucketRef<'_>) -> Option<(&Arc<HashedKey<Bucket>>, &Posting<KeyPtr>)> {
        let entry = self.buckets.get(self.hasher.index_key(&bucket), |known| bucket.equivalent(known))?;
        Some((&entry.key, &entry.posting))
    }

    /// Checks that exactly these keys are here, each in all buckets of one place.
    #[cfg(test)]
    pub(super) fn validate(&self, keys: &[SharedKey]) {
        self.buckets.validate(KeyPtr::cmp);
        let scopes = keys.iter().filter_map(KeyPtr::of);
        let scopes = scopes.filter_map(|key| key.0.key.places().next().map(|place| place.scope()));
        let all = scopes.clone().filter(|scope| *scope == 1).count();
        assert_eq!(self.scopes, [scopes.count() - all, all]);
        let mut expected = 0;
        for key in keys.iter().filter_map(KeyPtr::of) {
            let holds = |bucket: BucketRef<'_>| {
                self.find(bucket).is_some_and(|(_, held)| held.contains(&key, |other| other.cmp(&key)))
            };
            let mut buckets: Vec<_> = key.0.key.places().flat_map(|place| place.buckets()).collect();
            buckets.sort();
            buckets.dedup();
            let count = buckets.into_iter().filter(|bucket| holds(*bucket)).count();
            let whole = |place: Place<'_>| place.width() == count && place.buckets().all(holds);
            assert!(count == 0 || key.0.key.places().any(whole), "{:?} is in a part of a place", key.0.key);
            assert_eq!(count == 0, key.0.key.selector().is_none(), "{:?}", key.0.key);
            expected += count;
        }
        let held: usize = self.buckets.iter().map(|entry| entry.posting.len()).sum();
        assert_eq!(held, expected, "a selector that left the table is in a bucket");
    }
}

// === impl KeyPtr ===

impl PartialEq for KeyPtr {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl KeyPtr {
    fn of(key: &SharedKey) -> Option<Self> {
        typed_shared(key).map(Self)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        Arc::as_ptr(&self.0).cmp(&Arc::as_ptr(&other.0))
    }
}
