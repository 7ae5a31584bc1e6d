//! Objects that are under a key in each of several indexes.

use std::fmt;
use std::iter::FusedIterator;

use super::Hits;
use crate::index::{Seek, meet};
use crate::object::Obj;

/// Objects in the order of their keys: [`Hits`], and an [`Intersection`] of them. Sealed.
pub trait InKeyOrder<'a, T: 'a>: Seek<'a, Obj<T>> {}

/// The objects that are both in `A` and in `B`, in the order of their keys. See [`Hits::and`].
#[derive(Clone)]
pub struct Intersection<A, B> {
    a: A,
    b: B,
}

// === impl Hits ===

impl<'a, T> Hits<'a, T> {
    /// The hits that `other` has as well: what is under a key in two indexes, or more. Ordered by namespace and
    /// name like the hits themselves.
    ///
    /// ```
    /// use kube_informer::index::{self, IndexSet};
    /// use kube_informer::{Obj, Snapshot};
    ///
    /// let mut indexes = IndexSet::new();
    /// let by_namespace = indexes.index_by(index::namespace());
    /// let by_app = indexes.index(|pod: &(&str, &str)| pod.0);
    /// let by_node = indexes.index(|pod: &(&str, &str)| pod.1);
    /// let pods = Snapshot::from_objects(indexes, [
    ///     (("default", "a"), ("web", "node1")),
    ///     (("default", "b"), ("web", "node2")),
    ///     (("default", "c"), ("db", "node1")),
    ///     (("other", "a"), ("web", "node1")),
    /// ]);
    /// let web = pods.find(&by_namespace, "default").and(pods.find(&by_app, &"web"));
    /// assert!(web.clone().map(Obj::name).eq(["a", "b"]));
    /// let web_on_node1 = web.and(pods.find(&by_node, &"node1"));
    /// assert!(web_on_node1.map(Obj::name).eq(["a"]));
    /// ```
    ///
    /// The order of the operands makes no difference to speed: n hits with m of a longer list cost O(n log m) in
    /// all, and at most O(n + m). Nothing is done before the first object is asked for, and nothing allocated.
    ///
    /// Hits of two snapshots are compared by key: it is the objects of `self`, in their version there, whose
    /// names are in `other`.
    pub fn and<B: InKeyOrder<'a, T>>(self, other: B) -> Intersection<Self, B> {
        Intersection { a: self, b: other }
    }
}

impl<'a, T> Seek<'a, Obj<T>> for Hits<'a, T> {
    #[inline]
    fn seek(&mut self, to: &Obj<T>) -> Option<&'a Obj<T>> {
        self.0.as_mut()?.seek(to)
    }
}

impl<'a, T: 'a> InKeyOrder<'a, T> for Hits<'a, T> {}

// === impl Intersection ===

impl<A, B> Intersection<A, B> {
    /// What is in a further list as well. Costs and order are those of [`Hits::and`].
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

    /// How many there can be at most. Only walking them tells how many there are.
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
