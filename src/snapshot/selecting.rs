//! Objects whose selector matches given labels.

use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;
use std::vec;

use kube_core::Resource;

use super::{Hits, InKeyOrder, View};
use crate::index::{self, Index, MissingIndex, Ordered as _, Posting, Seek, SelectorKey, Table};
use crate::object::Obj;
use crate::slab::Slot;

/// The objects that select given labels, ordered by namespace and name. See [`View::selecting`].
pub struct Selecting<'a, T> {
    /// Those of the only selector that matches; empty if there are several.
    one: Hits<'a, T>,
    several: vec::IntoIter<&'a Obj<T>>,
}

// === impl View ===

impl<T: Send + Sync + 'static> View<T> {
    /// Returns the objects whose selector matches an object of this namespace with these labels, ordered by namespace
    /// and name, each once. The index is declared by [`index::selector`](crate::index::selector()).
    ///
    /// The namespace is empty for a cluster-scoped object. The labels are any pairs of texts with different names:
    /// a `&BTreeMap<String, String>`, an array, or `pod.metadata.labels.iter().flatten()`.
    /// [`selecting_object`](Self::selecting_object) takes both from an object.
    ///
    /// O(labels) look-ups, and one evaluation of each selector that requires one of the labels, or none; not of the
    /// others. Allocates a list of the labels, and one of the hits if more than one selector matches.
    ///
    /// ```
    /// use kube_informer::index::{self, IndexSet};
    /// use kube_informer::{Obj, Selector, Snapshot};
    ///
    /// let mut indexes = IndexSet::new();
    /// let by_selector = indexes.index(index::selector(|policy: &&str| policy.parse::<Selector>()));
    /// let policies = [("all", ""), ("web", "app in (web,proxy)"), ("old", "app=web,!canary"), ("db", "app=db")];
    /// let policies = Snapshot::from_objects(indexes, policies.map(|(name, text)| (("shop", name), text)));
    ///
    /// let names = |labels: &[(&str, &str)]| {
    ///     let found = policies.selecting(&by_selector, "shop", labels.iter().copied());
    ///     found.map(Obj::name).collect::<Vec<_>>()
    /// };
    /// assert_eq!(names(&[("app", "web")]), ["all", "old", "web"]);
    /// assert_eq!(names(&[("app", "web"), ("canary", "")]), ["all", "web"]);
    /// assert_eq!(names(&[]), ["all"]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the index belongs to another informer, or was added after the snapshot was taken.
    /// [`try_selecting`](Self::try_selecting) returns an error instead.
    #[track_caller]
    pub fn selecting<A: AsRef<str>, B: AsRef<str>>(
        &self,
        index: &Index<T, SelectorKey>,
        namespace: &str,
        labels: impl IntoIterator<Item = (A, B)>,
    ) -> Selecting<'_, T> {
        match self.try_selecting(index, namespace, labels) {
            Ok(found) => found,
            Err(missing) => panic!("{missing}"),
        }
    }

    /// [`selecting`](Self::selecting), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// [`MissingIndex`] if the index belongs to another informer, or was added after the snapshot was taken.
    pub fn try_selecting<A: AsRef<str>, B: AsRef<str>>(
        &self,
        index: &Index<T, SelectorKey>,
        namespace: &str,
        labels: impl IntoIterator<Item = (A, B)>,
    ) -> Result<Selecting<'_, T>, MissingIndex> {
        let table = self.table(index)?;
        let mut labels: Vec<(A, B)> = labels.into_iter().collect();
        labels.sort_unstable_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let value = |name: &str| {
            let at = labels.binary_search_by(|label| label.0.as_ref().cmp(name)).ok()?;
            Some(labels[at].1.as_ref())
        };
        let pairs = labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        Ok(Selecting::of(self, table, namespace, pairs, value))
    }

    /// Returns the objects whose selector matches this object: [`selecting`](Self::selecting) with its namespace and
    /// labels. It is an object of another informer, of any kube type.
    ///
    /// Allocates only if more than one selector matches: a list of the hits.
    ///
    /// # Panics
    ///
    /// Like [`selecting`](Self::selecting).
    #[track_caller]
    pub fn selecting_object<O: Resource>(
        &self,
        index: &Index<T, SelectorKey>,
        object: &Obj<O>,
    ) -> Selecting<'_, T> {
        let table = match self.table(index) {
            Ok(table) => table,
            Err(missing) => panic!("{missing}"),
        };
        let labels = object.meta().labels.as_ref();
        let pairs = labels.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()));
        Selecting::of(self, table, Obj::namespace(object), pairs, |name| {
            labels?.get(name).map(String::as_str)
        })
    }

    /// The selectors in one index of the objects that changed since an older view, in O(changes). What
    /// [`selecting`](Self::selecting) returns for some labels has changed only if one of these matches them. `None` if one
    /// of the views does not have the index.
    pub(crate) fn changed_selectors<'a>(
        &'a self,
        older: &'a Self,
        slot: u32,
    ) -> Option<impl Iterator<Item = &'a SelectorKey> + Send + use<'a, T>>
    where
        T: Send + Sync,
    {
        let table = |view: &'a Self| index::downcast::<SelectorKey>(view.tables.get(slot as usize)?);
        let moved = Table::changed_selectors(table(older)?, table(self)?);
        Some(moved.chain(self.modified_keys(older, slot).filter_map(SelectorKey::of)))
    }
}

// === impl Selecting ===

impl<'a, T> Selecting<'a, T> {
    fn of<'q>(
        view: &'a View<T>,
        table: &'a Table<SelectorKey>,
        namespace: &'q str,
        labels: impl Iterator<Item = (&'q str, &'q str)>,
        value: impl Fn(&str) -> Option<&'q str>,
    ) -> Self {
        let mut first: Option<&Posting<Slot>> = None;
        let mut several: Vec<&Obj<T>> = Vec::new();
        table.selecting(namespace, labels, value, &mut |posting| match first {
            None => first = Some(posting),
            Some(first) => {
                if several.is_empty() {
                    several.extend(Hits::of(Some(first), view));
                }
                several.extend(Hits::of(Some(posting), view));
            }
        });
        if !several.is_empty() {
            first = None;
            // The hits of each selector are in order already, which this sort makes use of.
            several.sort_by(|a, b| a.cmp_key(b));
            // An object may have more than one selector that matches.
            several.dedup_by(|a, b| Obj::ptr_eq(a, b));
        }
        Self { one: Hits::of(first, view), several: several.into_iter() }
    }
}

impl<'a, T> Iterator for Selecting<'a, T> {
    type Item = &'a Obj<T>;

    fn next(&mut self) -> Option<&'a Obj<T>> {
        self.one.next().or_else(|| self.several.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.one.len() + self.several.len();
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for Selecting<'_, T> {}

impl<T> FusedIterator for Selecting<'_, T> {}

/// It can be intersected with other hits: `view.by_index(..).and(view.selecting(..))`.
impl<'a, T: 'a> InKeyOrder<'a, T> for Selecting<'a, T> {}

impl<'a, T> Seek<'a, Obj<T>> for Selecting<'a, T> {
    fn seek(&mut self, to: &Obj<T>) -> Option<&'a Obj<T>> {
        self.one.seek(to).or_else(|| {
            let before = |object: &&Obj<T>| object.cmp_key(to) == Ordering::Less;
            let skipped = self.several.as_slice().partition_point(before);
            self.several.nth(skipped)
        })
    }
}

impl<T> fmt::Debug for Selecting<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selecting({} left)", self.len())
    }
}
