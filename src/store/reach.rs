//! What each part of a scope has reached, and all of them together.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::counts::Counts;
use crate::slab::{Slab, Slot};
use crate::snapshot::Reached;
use crate::version::ResourceVersion;

/// What each part has reached, by its place. A version that a part reached before an epoch counts as none in it.
#[derive(Default)]
pub(super) struct Reach {
    epoch: u64,
    each: Slab<Arc<Reached>>,
    /// The versions that have an order.
    ordered: Counts<Ordered>,
    unordered: usize,
    /// The number of parts that have reached no version.
    missing: usize,
}

/// A version that has an order.
struct Ordered(ResourceVersion);

// === impl Reach ===

impl Reach {
    /// O(log parts).
    pub(super) fn set(&mut self, place: usize, reached: Reached) {
        let version = reached.version_in(self.epoch).cloned();
        let before = self.each.set(Slot::of(place), Arc::new(reached), None);
        if let Some(before) = before {
            self.remove(before.version_in(self.epoch));
        }
        self.add(version);
    }

    pub(super) fn get(&self, place: usize) -> Option<&Reached> {
        self.each.get(Slot::of(place)).map(|reached| &**reached)
    }

    /// Compares the versions of this epoch from now on. O(parts) if it is another one.
    pub(super) fn enter(&mut self, epoch: u64) {
        if self.epoch != epoch {
            let each = std::mem::take(&mut self.each);
            *self = Self { epoch, ..Self::default() };
            each.iter().for_each(|reached| self.add(reached.version_in(epoch).cloned()));
            self.each = each;
        }
    }

    /// The lowest version that a part has reached; `None` while one has none, or they have no order. O(log parts),
    /// except for versions without an order.
    pub(super) fn least(&self) -> Option<ResourceVersion> {
        if self.missing > 0 {
            return None;
        }
        if self.unordered == 0 {
            return self.ordered.least().map(|least| least.0.clone());
        }
        let mut versions = self.each.iter().map(|reached| reached.version_in(self.epoch).cloned());
        let first = versions.next()??;
        versions.try_fold(first, |least, version| least.lower(version?))
    }

    /// What each has reached. O(1).
    pub(super) fn each(&self) -> Slab<Arc<Reached>> {
        self.each.clone()
    }

    fn add(&mut self, version: Option<ResourceVersion>) {
        match version {
            None => self.missing += 1,
            Some(version) if version.is_ordered() => self.ordered.add(Ordered(version)),
            Some(_) => self.unordered += 1,
        }
    }

    fn remove(&mut self, version: Option<&ResourceVersion>) {
        match version {
            None => self.missing -= 1,
            Some(version) if version.is_ordered() => self.ordered.remove(&Ordered(version.clone())),
            Some(_) => self.unordered -= 1,
        }
    }
}

// === impl Ordered ===

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version() -> impl Strategy<Value = Option<ResourceVersion>> {
        let text = prop_oneof![
            4 => "[1-9]",
            1 => "1844674407370955161[67]",
            1 => "x[12]",
        ];
        prop::option::weighted(0.9, text.prop_map(|text| ResourceVersion::from(&*text)))
    }

    proptest! {
        #[test]
        fn the_least_is_that_of_all_compared(
            parts in 0_usize..4,
            steps in prop::collection::vec((0_usize..4, version(), 0_u64..3, 0_u64..3), 0..40),
        ) {
            let mut reach = Reach::default();
            let mut model = vec![(None, 0); parts];
            for place in 0..parts {
                reach.set(place, Reached { namespace: None, version: None, epoch: 0 });
            }
            for (place, version, of, epoch) in steps {
                if place < parts {
                    reach.set(place, Reached { namespace: None, version: version.clone(), epoch: of });
                    model[place] = (version, of);
                }
                reach.enter(epoch);
                let mut versions =
                    model.iter().map(|(version, of)| version.clone().filter(|_| *of == epoch));
                let expected = versions.next().flatten().and_then(|first| {
                    versions.try_fold(first, |least, version| least.lower(version?))
                });
                prop_assert_eq!(reach.least(), expected);
                let each: Vec<_> = reach.each().iter().map(|part| (part.version.clone(), part.epoch)).collect();
                prop_assert_eq!(&each, &model);
            }
        }
    }
}
