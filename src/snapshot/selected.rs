//! Objects that match a label selector.

use std::fmt;
use std::iter::FusedIterator;

use super::{Hits, InKeyOrder, Intersection, Objects, View};
use crate::metadata::Labels;
use crate::object::Obj;
use crate::selector::Selector;

/// The objects of `I` that match a selector, in the order of `I`. See [`View::select`].
#[derive(Clone)]
pub struct Selected<'s, I> {
    objects: I,
    selector: &'s Selector,
}

// === impl View ===

impl<T: Labels> View<T> {
    /// Iterates over the objects whose labels match the selector, in no particular order: those that a list request
    /// with this `labelSelector` returns.
    ///
    /// Lazy, O(n) in all, no allocation. If an index narrows the candidates down, [`by_index`](Self::by_index) and
    /// [`Hits::select`] are faster. This needs the labels, so it exists for kube types, and for every other type that
    /// stores [`Labels`].
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::Pod;
    /// use kube_informer::index::{self, IndexSet};
    /// use kube_informer::{Selector, Snapshot};
    /// # let pod = |name: &str, app: &str| Pod {
    /// #     metadata: kube_core::ObjectMeta {
    /// #         name: Some(name.to_owned()),
    /// #         labels: Some([("app".to_owned(), app.to_owned())].into()),
    /// #         ..Default::default()
    /// #     },
    /// #     ..Default::default()
    /// # };
    ///
    /// let mut indexes = IndexSet::new();
    /// let by_namespace = indexes.index(index::namespace());
    /// let pods = [(("default", "a"), pod("a", "web")), (("default", "b"), pod("b", "db")), (("other", "a"), pod("a", "web"))];
    /// let pods = Snapshot::from_objects(indexes, pods);
    ///
    /// let selector: Selector = "app in (web,proxy)".parse()?;
    /// assert_eq!(pods.select(&selector).count(), 2);
    /// // By namespace and label at once.
    /// assert_eq!(pods.by_index(&by_namespace, "default").select(&selector).count(), 1);
    /// # Ok::<(), kube_informer::error::InvalidSelector>(())
    /// ```
    pub fn select<'s>(&'s self, selector: &'s Selector) -> Selected<'s, Objects<'s, T>> {
        Selected { objects: self.iter(), selector }
    }
}

// === impl Hits ===

impl<'a, T: Labels> Hits<'a, T> {
    /// The hits whose labels match the selector, ordered by namespace and name. See [`View::select`].
    pub fn select(self, selector: &Selector) -> Selected<'_, Self> {
        Selected { objects: self, selector }
    }
}

// === impl Intersection ===

impl<A, B> Intersection<A, B> {
    /// The objects whose labels match the selector, ordered by namespace and name. See [`View::select`].
    pub fn select<'a, T: Labels + 'a>(self, selector: &Selector) -> Selected<'_, Self>
    where
        A: InKeyOrder<'a, T>,
        B: InKeyOrder<'a, T>,
    {
        Selected { objects: self, selector }
    }
}

// === impl Selected ===

impl<'a, T: Labels + 'a, I: Iterator<Item = &'a Obj<T>>> Iterator for Selected<'_, I> {
    type Item = &'a Obj<T>;

    fn next(&mut self) -> Option<&'a Obj<T>> {
        self.objects.find(|object| self.selector.selects(&***object))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.objects.size_hint().1)
    }

    fn fold<R, F: FnMut(R, &'a Obj<T>) -> R>(self, init: R, f: F) -> R {
        self.objects.filter(|object| self.selector.selects(&***object)).fold(init, f)
    }
}

impl<'a, T: Labels + 'a, I: FusedIterator<Item = &'a Obj<T>>> FusedIterator for Selected<'_, I> {}

impl<I> fmt::Debug for Selected<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selected({})", self.selector)
    }
}
