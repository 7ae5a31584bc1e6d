//! The intersection of several index look-ups.

use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;

use super::Hits;
use crate::index::{Ordered as _, Seek, meet};
use crate::object::Obj;

/// An iterator over objects in the order of their keys: [`Hits`], or an [`Intersection`]. Sealed.
pub trait InKeyOrder<'a, T: 'a>: Seek<'a, Obj<T>> {}

/// The objects that are in both `A` and `B`, in the order of their keys. See [`Hits::and`].
#[derive(Clone)]
pub struct Intersection<A, B> {
    a: A,
    b: B,
}

// === impl Hits ===

impl<'a, T> Hits<'a, T> {
    /// The hits that are also in `other`: the intersection of two or more index look-ups, ordered by namespace and
    /// name.
    ///
    /// ```
    /// use kube_informer::index::{self, IndexSet};
    /// use kube_informer::{Obj, Snapshot};
    ///
    /// let mut indexes = IndexSet::new();
    /// let by_namespace = indexes.index(index::namespace());
    /// let by_app = indexes.index(|pod: &(&'static str, &'static str)| pod.0);
    /// let by_node = indexes.index(|pod: &(&'static str, &'static str)| pod.1);
    /// let pods = Snapshot::from_objects(indexes, [
    ///     (("default", "a"), ("web", "node1")),
    ///     (("default", "b"), ("web", "node2")),
    ///     (("default", "c"), ("db", "node1")),
    ///     (("other", "a"), ("web", "node1")),
    /// ]);
    /// let web = pods.by_index(&by_namespace, "default").and(pods.by_index(&by_app, &"web"));
    /// assert!(web.clone().map(Obj::name).eq(["a", "b"]));
    /// let web_on_node1 = web.and(pods.by_index(&by_node, &"node1"));
    /// assert!(web_on_node1.map(Obj::name).eq(["a"]));
    /// ```
    ///
    /// The order of the operands does not matter for speed: n hits with m of a longer list cost O(n log m) in all, and
    /// at most O(n + m). Lazy; no allocation.
    ///
    /// Hits of two snapshots are compared by key: the result has the objects of `self` whose keys are in `other`.
    pub fn and<B: InKeyOrder<'a, T>>(self, other: B) -> Intersection<Self, B> {
        Intersection { a: self, b: other }
    }
}

impl<'a, T> Seek<'a, Obj<T>> for Hits<'a, T> {
    #[inline]
    fn seek(&mut self, to: &Obj<T>) -> Option<&'a Obj<T>> {
        let (slots, objects) = (&mut self.slots, self.objects);
        let is_before = |object: &Obj<T>| object.cmp_key(to) == Ordering::Less;
        objects.get(*slots.skip_before(|slot| objects.get(*slot).is_none_or(is_before))?)
    }
}

impl<'a, T: 'a> InKeyOrder<'a, T> for Hits<'a, T> {}

// === impl Intersection ===

impl<A, B> Intersection<A, B> {
    /// The objects that are also in a further list. Cost and order are those of [`Hits::and`].
    pub fn and<'a, T: 'a, C>(self, other: C) -> Intersection<Self, C>
    where
        A: InKeyOrder<'a, T>,
        B: InKeyOrder<'a, T>,
        C: InKeyOrder<'a, T>,
    {
        Intersection { a: self, b: other }
    }
}

impl<'a, T: 'a, A, B> Iterator for Intersection<A, B>
where
    A: Iterator<Item = &'a Obj<T>> + InKeyOrder<'a, T>,
    B: InKeyOrder<'a, T>,
{
    type Item = &'a Obj<T>;

    fn next(&mut self) -> Option<&'a Obj<T>> {
        let candidate = self.a.next()?;
        meet(&mut self.a, &mut self.b, candidate)
    }

    /// An upper bound. The exact number is known only after iterating.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = |hint: (usize, Option<usize>)| hint.1.unwrap_or(usize::MAX);
        (0, Some(most(self.a.size_hint()).min(most(self.b.size_hint()))))
    }
}

impl<'a, T: 'a, A: InKeyOrder<'a, T>, B: InKeyOrder<'a, T>> Seek<'a, Obj<T>> for Intersection<A, B> {
    fn seek(&mut self, to: &Obj<T>) -> Option<&'a Obj<T>> {
        let candidate = self.a.seek(to)?;
        meet(&mut self.a, &mut self.b, candidate)
    }
}

impl<'a, T: 'a, A: InKeyOrder<'a, T>, B: InKeyOrder<'a, T>> InKeyOrder<'a, T> for Intersection<A, B> {}

impl<'a, T: 'a, A, B> FusedIterator for Intersection<A, B>
where
    A: Iterator<Item = &'a Obj<T>> + InKeyOrder<'a, T>,
    B: InKeyOrder<'a, T>,
{
}

impl<A, B> fmt::Debug for Intersection<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Intersection")
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use crate::index::{Index, IndexSet};
    use crate::iter::Hits;
    use crate::{Obj, Snapshot};

    /// One of every `ONE_IN[k]` objects is under key `k`.
    const ONE_IN: [u32; 6] = [1, 2, 7, 60, 1500, 1_000_000];
    const OBJECTS: u32 = 4000;

    type Keys = BTreeSet<usize>;

    /// Objects with random keys, inserted in another order than that of their names.
    fn random(seed: u64) -> (Snapshot<Keys>, Index<Keys, usize>) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut indexes = IndexSet::new();
        let by = indexes.index(|keys: &Keys| keys.clone());
        let objects = (0..OBJECTS).map(|at| {
            let at = at * 1237 % OBJECTS;
            let keys = (0..ONE_IN.len()).filter(|key| random.random_range(0..ONE_IN[*key]) == 0).collect();
            (("a".repeat(1 + at as usize % 2), format!("n{at:04}")), keys)
        });
        (Snapshot::from_objects(indexes, objects), by)
    }

    /// The keys of objects, which are ordered by namespace and name.
    fn names<'a>(objects: impl Iterator<Item = &'a Obj<Keys>>) -> Vec<String> {
        objects.map(|object| Obj::key(object).to_string()).collect()
    }

    #[test]
    fn what_is_in_two_or_three_lists_is_what_is_in_all_sets() {
        for seed in 0..4 {
            let (snapshot, by) = random(seed);
            let find = |key: usize| -> Hits<'_, Keys> { snapshot.by_index(&by, &key) };
            let all = names(find(0));
            assert!(all.len() == OBJECTS as usize && all.is_sorted());
            let with = |keys: &[usize]| {
                let under = |object: &&Obj<Keys>| keys.iter().all(|key| object.contains(key));
                let mut expected = names(snapshot.iter().filter(under));
                expected.sort();
                expected
            };
            for a in 0..ONE_IN.len() {
                for b in 0..ONE_IN.len() {
                    let both = find(a).and(find(b));
                    assert!(both.size_hint().1 >= Some(both.clone().count()), "{seed}: {a}, {b}");
                    assert_eq!(names(both.clone()), with(&[a, b]), "{seed}: {a}, {b}");
                    for c in 0..ONE_IN.len() {
                        let expected = with(&[a, b, c]);
                        assert_eq!(names(both.clone().and(find(c))), expected, "{seed}: {a}, {b}, {c}");
                        assert_eq!(names(find(c).and(both.clone())), expected, "{seed}: {c}, ({a}, {b})");
                    }
                    // Hits that were consumed before do not appear again.
                    let mut rest = find(a);
                    let taken = names(rest.by_ref().take(70));
                    let left = with(&[a, b]).into_iter().filter(|name| !taken.contains(name));
                    assert!(names(rest.and(find(b))).into_iter().eq(left), "{seed}: {a} behind 70, {b}");
                }
            }
        }
    }

    #[test]
    fn of_two_snapshots_it_is_the_objects_of_the_first() {
        let ((one, by_one), (other, by_other)) = (random(5), random(6));
        let mut found = 0;
        for object in one.by_index(&by_one, &1).and(other.by_index(&by_other, &2)) {
            let there = other.get(Obj::key(object)).unwrap();
            assert!(object.contains(&1) && there.contains(&2) && !Obj::ptr_eq(object, there));
            assert!(Obj::ptr_eq(object, one.get(Obj::key(object)).unwrap()));
            found += 1;
        }
        let expected = one.iter().filter(|object| {
            object.contains(&1) && other.get(Obj::key(object)).is_some_and(|there| there.contains(&2))
        });
        assert_eq!(found, expected.count());
        let mut counted = 0;
        for object in &one {
            counted += usize::from(object.contains(&0));
        }
        assert_eq!(counted, OBJECTS as usize, "a snapshot is walked by reference");
    }
}
