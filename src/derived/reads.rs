//! The reads of a transform, which are recorded.

use std::cell::RefCell;
use std::fmt;
use std::hash::Hash;

use equivalent::Equivalent;
use kube_core::Resource;

use super::Node;
use super::read::{Part, Read};
use super::tick::Tick;
use crate::index::{BucketRef, Index, SelectorKey};
use crate::key::{AsKey, Key};
use crate::object::Obj;
use crate::snapshot::{Hits, Selecting, Snapshot};

/// The other collections, as a transform reads them.
///
/// Every read is recorded, also one that finds nothing, and the input is recomputed when what was read changes: an object
/// that appears under a key, changes or goes, or another set of objects under an index key. All reads of one tick are of
/// the same moment.
///
/// # Panics
///
/// All reads panic if the node belongs to another graph, or comes after the node that reads it. As any panic of a
/// transform, this keeps the last value and is counted.
pub struct Reads<'a> {
    tick: &'a Tick,
    made: RefCell<Vec<Read>>,
}

impl<'a> Reads<'a> {
    pub(super) fn new(tick: &'a Tick) -> Self {
        Self { tick, made: RefCell::default() }
    }

    /// Returns the object of a collection with this key, as [`View::get`](crate::View::get). O(1).
    ///
    /// Depends on this object only.
    #[track_caller]
    pub fn get<T: Send + Sync + 'static>(&self, node: Node<T>, key: impl AsKey) -> Option<&'a Obj<T>> {
        let (view, key) = (self.view(node), key.as_key());
        let exactly = |key: Key<'_>| {
            let hash = view.hasher.object(key);
            self.record(Read { node: node.id, part: Part::Object, hash });
            view.objects.get(hash, key)
        };
        let found = exactly(key);
        // The object may be cluster-scoped.
        if found.is_some() || key.namespace.is_empty() {
            found
        } else {
            exactly(Key { namespace: "", ..key })
        }
    }

    /// Returns the objects of a collection under an index key, as [`View::by_index`](crate::View::by_index). O(1).
    ///
    /// Depends on the objects under this key only.
    ///
    /// # Panics
    ///
    /// If the index is not one of this collection.
    #[track_caller]
    pub fn by_index<T, K, Q>(&self, node: Node<T>, index: &Index<T, K>, key: &Q) -> Hits<'a, T>
    where
        T: Send + Sync + 'static,
        K: Send + Sync + 'static,
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let view = self.view(node);
        let hits = view.by_index(index, key);
        let hash = view.hasher.index_key(key);
        self.record(Read { node: node.id, part: Part::Index(index.slot), hash });
        hits
    }

    /// Returns the objects of a collection whose selector matches this object, as
    /// [`View::selecting_object`](crate::View::selecting_object).
    ///
    /// Depends on the selectors that may match: those that require one of its labels, or none. `O` is the input of the
    /// transform, or another object that it has read.
    ///
    /// # Panics
    ///
    /// If the index is not one of this collection.
    #[track_caller]
    pub fn selecting_object<T, O>(
        &self,
        node: Node<T>,
        index: &Index<T, SelectorKey>,
        object: &Obj<O>,
    ) -> Selecting<'a, T>
    where
        T: Send + Sync + 'static,
        O: Resource,
    {
        let labels = object.meta().labels.iter().flatten();
        let pairs = labels.map(|(name, value)| (name.as_str(), value.as_str()));
        let found = self.view(node).selecting_object(index, object);
        self.record_selecting(node, index, Obj::namespace(object), pairs);
        found
    }

    /// Returns the objects of a collection whose selector matches these labels, as
    /// [`View::selecting`](crate::View::selecting).
    ///
    /// Depends on the selectors that may match: those that require one of the labels, or none.
    ///
    /// # Panics
    ///
    /// If the index is not one of this collection.
    #[track_caller]
    pub fn selecting<T, A, B>(
        &self,
        node: Node<T>,
        index: &Index<T, SelectorKey>,
        namespace: &str,
        labels: impl IntoIterator<Item = (A, B)>,
    ) -> Selecting<'a, T>
    where
        T: Send + Sync + 'static,
        A: AsRef<str>,
        B: AsRef<str>,
    {
        let labels: Vec<(A, B)> = labels.into_iter().collect();
        let pairs = || labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let found = self.view(node).selecting(index, namespace, pairs());
        self.record_selecting(node, index, namespace, pairs());
        found
    }

    #[track_caller]
    fn record_selecting<'q, T: Send + Sync + 'static>(
        &self,
        node: Node<T>,
        index: &Index<T, SelectorKey>,
        namespace: &'q str,
        labels: impl Iterator<Item = (&'q str, &'q str)>,
    ) {
        let hasher = &self.view(node).hasher;
        for bucket in BucketRef::of_object(namespace, labels) {
            let (part, hash) = (Part::Selectors(index.slot), hasher.index_key(&bucket));
            self.record(Read { node: node.id, part, hash });
        }
    }

    /// Returns the whole collection.
    ///
    /// Depends on every object: each change of the collection recomputes the input that has called this. For collections
    /// that are small or rarely change.
    #[track_caller]
    pub fn scan<T: Send + Sync + 'static>(&self, node: Node<T>) -> &'a Snapshot<T> {
        let view = self.view(node);
        self.record(Read { node: node.id, part: Part::All, hash: 0 });
        view
    }

    #[track_caller]
    fn view<T: Send + Sync + 'static>(&self, node: Node<T>) -> &'a Snapshot<T> {
        match self.tick.typed(node) {
            Some(step) => &step.new,
            None => panic!("the node belongs to another graph, or comes after the one that reads it"),
        }
    }

    fn record(&self, read: Read) {
        self.made.borrow_mut().push(read);
    }

    /// What was read, each once and in order.
    pub(super) fn into_made(self) -> Vec<Read> {
        let mut made = self.made.into_inner();
        made.sort_unstable();
        made.dedup();
        made
    }
}

impl fmt::Debug for Reads<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reads({} made)", self.made.borrow().len())
    }
}
