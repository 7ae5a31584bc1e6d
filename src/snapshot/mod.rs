//! A consistent, immutable view of everything an informer has cached.

mod differences;
mod intersection;
mod modified;
mod reached;
mod selected;
mod selecting;

use std::fmt;
use std::hash::Hash;
use std::iter::FusedIterator;
use std::ops::Deref;
use std::sync::Arc;

use equivalent::Equivalent;

pub(crate) use self::differences::Recent;
pub use self::intersection::{InKeyOrder, Intersection};
pub(crate) use self::reached::Reached;
pub use self::selected::Selected;
pub use self::selecting::Selecting;
use crate::error::DecodeError;
use crate::fetch::Counted;
use crate::hash::KeyHasher;
use crate::index::{self, AnyTable, Index, MissingIndex, Posting, PostingIter, Table};
use crate::key::{AsKey, Key};
use crate::object::Obj;
use crate::objects::{self, ObjectMap};
use crate::slab::{self, Slab, Slot};
use crate::trie::{Element, Trie};
use crate::version::ResourceVersion;

/// The state of an informer at one moment. It never changes.
///
/// It dereferences to [`View`], which has the reads. Cloning copies a pointer. A held snapshot keeps in memory the old
/// versions of the objects that changed since, and nothing else. It does not keep the informer running, and stays
/// valid after the informer has stopped.
pub struct Snapshot<T>(pub(crate) Arc<View<T>>);

/// The objects and every index of an informer, at one moment.
///
/// All reads of one view agree. No read blocks, or runs code of the application, except `Hash` and `Eq` of the key to
/// look up. None allocates, except [`selecting`](Self::selecting), a list of what it reads.
pub struct View<T> {
    pub(crate) store: u64,
    pub(crate) revision: u64,
    /// resourceVersions are comparable within one epoch.
    pub(crate) epoch: u64,
    pub(crate) synced: bool,
    pub(crate) resource_version: Option<ResourceVersion>,
    /// What each part of the scope has reached. Empty if there is one part.
    pub(crate) reached: Slab<Arc<Reached>>,
    pub(crate) hasher: KeyHasher,
    pub(crate) objects: ObjectMap<T>,
    /// The keys of all indexes.
    pub(crate) keys: index::Keys,
    /// Whether an object without a namespace was stored up to this view.
    pub(crate) has_unnamespaced: bool,
    /// The number of objects that were stored and removed up to this view. Two views differ by at most as many objects.
    pub(crate) churn: u64,
    /// What the change to this revision was.
    pub(crate) recent: Recent,
    pub(crate) tables: Box<[AnyTable]>,
    pub(crate) invalid: Trie<Invalid>,
    /// The number of invalid objects without a name.
    pub(crate) nameless: usize,
}

/// An object whose newest version could not be stored.
#[derive(Clone)]
pub(crate) struct Invalid(triomphe::Arc<(u64, DecodeError)>);

/// The objects under one index key, ordered by object key. See [`View::by_index`].
pub struct Hits<'a, T> {
    slots: PostingIter<'a, Slot>,
    objects: slab::Reader<'a, Obj<T>>,
}

/// All objects, in no particular order. See [`View::iter`].
pub struct Objects<'a, T>(objects::Iter<'a, T>);

// === impl View ===

impl<T> View<T> {
    /// The view of a new store.
    pub(crate) fn empty(store: u64, tables: Vec<AnyTable>) -> Self {
        let hasher = KeyHasher::new();
        Self {
            store,
            revision: 0,
            epoch: 0,
            synced: false,
            resource_version: None,
            reached: Slab::new(),
            objects: ObjectMap::new(hasher.clone()),
            hasher,
            keys: Slab::new(),
            has_unnamespaced: false,
            churn: 0,
            recent: Recent::default(),
            tables: tables.into(),
            invalid: Trie::new(),
            nameless: 0,
        }
    }

    /// Returns the object with this key. O(1), no allocation.
    ///
    /// The key is `("namespace", "name")`, `"name"` for a cluster-scoped object, or any other [`AsKey`]. For a
    /// cluster-scoped object the namespace of the key is ignored, as in kube-runtime's `Store::get`: a reference often
    /// carries the namespace of the object that it is in.
    #[inline]
    pub fn get(&self, key: impl AsKey) -> Option<&Obj<T>> {
        let key = key.as_key();
        let found = self.exactly(key);
        // Every object of a namespaced kind has a namespace, so the second look-up finds no object of another namespace.
        if found.is_some() || !self.has_unnamespaced || key.namespace.is_empty() {
            return found;
        }
        self.exactly(Key { namespace: "", ..key })
    }

    #[inline]
    fn exactly(&self, key: Key<'_>) -> Option<&Obj<T>> {
        self.objects.get(self.hasher.object(key), key)
    }

    /// The number of objects. O(1).
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are no objects. O(1).
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Iterates over all objects, in no particular order. O(n) in all, no allocation; the length is known.
    pub fn iter(&self) -> Objects<'_, T> {
        Objects(self.objects.iter())
    }

    /// Returns the objects under an index key, ordered by namespace and name (client-go's `ByIndex`).
    ///
    /// O(1), no allocation; the number of hits is known without iterating over them. [`Hits::and`] and [`Hits::select`]
    /// narrow the hits down.
    ///
    /// # Panics
    ///
    /// If the index belongs to another informer, or was added after the snapshot was taken.
    /// [`try_by_index`](Self::try_by_index) returns an error instead.
    #[inline]
    #[track_caller]
    pub fn by_index<K, Q>(&self, index: &Index<T, K>, key: &Q) -> Hits<'_, T>
    where
        T: Send + Sync + 'static,
        K: Send + Sync + 'static,
        Q: Hash + Equivalent<K> + ?Sized,
    {
        match self.try_by_index(index, key) {
            Ok(hits) => hits,
            Err(missing) => panic!("{missing}"),
        }
    }

    /// [`by_index`](Self::by_index), with an error in place of a panic. O(1), no allocation.
    ///
    /// # Errors
    ///
    /// [`MissingIndex`] if the index belongs to another informer, or was added after the snapshot was taken.
    #[inline]
    pub fn try_by_index<K, Q>(&self, index: &Index<T, K>, key: &Q) -> Result<Hits<'_, T>, MissingIndex>
    where
        T: Send + Sync + 'static,
        K: Send + Sync + 'static,
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let posting = self.table(index)?.find(&self.hasher, key);
        Ok(Hits::of(posting, self))
    }

    /// Iterates over the keys of an index with the number of objects under each, in no particular order. O(keys) in
    /// all, no allocation. (client-go's `ListIndexFuncValues`.)
    ///
    /// # Panics
    ///
    /// If the index belongs to another informer, or was added after the snapshot was taken.
    #[track_caller]
    pub fn index_keys<K>(&self, index: &Index<T, K>) -> impl ExactSizeIterator<Item = (&K, usize)>
    where
        T: Send + Sync + 'static,
        K: Send + Sync + 'static,
    {
        match self.table(index) {
            Ok(table) => table.iter(),
            Err(missing) => panic!("{missing}"),
        }
    }

    /// The number of published changes of content up to this view. A later view of the same informer with other content
    /// has a larger one; bookmarks do not count. O(1).
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The resourceVersion that this view reflects: it contains every write up to that version. O(1).
    ///
    /// `None` before the first list, while a kind that is not installed counts as empty
    /// ([`Absent::Empty`](crate::Absent::Empty)), for kinds without versions, and for informers fed by a stream.
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }

    /// Whether the first list is complete. O(1).
    ///
    /// Before that, the view has the objects of the parts of the scope that are complete; with one part, none. For a kind
    /// that is not installed, the empty cache counts as synced with [`Absent::Empty`](crate::Absent::Empty).
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// Iterates over the objects whose newest version could not be decoded, projected or indexed, with the reason.
    ///
    /// [`get`](Self::get) and the indexes still have the last good version, if there was one. No allocation.
    pub fn invalid(&self) -> impl ExactSizeIterator<Item = &DecodeError> {
        self.invalid.iter().map(Invalid::error)
    }

    /// The number of invalid objects. Includes those without a name, which [`invalid`](Self::invalid) cannot list.
    /// O(1).
    pub fn invalid_len(&self) -> usize {
        self.invalid.len() + self.nameless
    }

    pub(crate) fn posting<K, Q>(
        &self,
        index: &Index<T, K>,
        key: &Q,
    ) -> Result<Option<&Posting<Slot>>, MissingIndex>
    where
        T: Send + Sync + 'static,
        K: Send + Sync + 'static,
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Ok(self.table(index)?.find(&self.hasher, key))
    }

    #[inline]
    pub(crate) fn table<K>(&self, index: &Index<T, K>) -> Result<&Table<K>, MissingIndex>
    where
        T: Send + Sync + 'static,
        K: Send + Sync + 'static,
    {
        if index.store != self.store {
            return Err(MissingIndex::Foreign);
        }
        let table = self.tables.get(index.slot as usize).ok_or(MissingIndex::Later)?;
        index::downcast(table).ok_or(MissingIndex::Foreign)
    }
}

impl<'a, T> IntoIterator for &'a View<T> {
    type Item = &'a Obj<T>;
    type IntoIter = Objects<'a, T>;

    fn into_iter(self) -> Objects<'a, T> {
        self.iter()
    }
}

/// Prints counts and versions, never an object.
impl<T> fmt::Debug for View<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("objects", &self.len())
            .field("invalid", &self.invalid_len())
            .field("revision", &self.revision)
            .field("resource_version", &self.resource_version)
            .finish()
    }
}

// === impl Snapshot ===

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = View<T>;

    #[inline]
    fn deref(&self) -> &View<T> {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a Snapshot<T> {
    type Item = &'a Obj<T>;
    type IntoIter = Objects<'a, T>;

    fn into_iter(self) -> Objects<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Invalid ===

impl Invalid {
    pub(crate) fn new(hash: u64, error: DecodeError) -> Self {
        Self(triomphe::Arc::new((hash, error)))
    }

    pub(crate) fn error(&self) -> &DecodeError {
        &self.0.1
    }

    /// The address, which identifies the record while it is referenced.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ptr() as usize
    }

    pub(crate) fn is_of(&self, key: Key<'_>) -> bool {
        self.error().key.as_ref().is_some_and(|mine| mine.as_key() == key)
    }
}

impl Counted for Invalid {
    #[inline]
    fn count(&self) -> usize {
        triomphe::Arc::strong_count(&self.0)
    }
}

impl Element for Invalid {
    fn hash(&self) -> u64 {
        self.0.0
    }

    fn same_key(&self, other: &Self) -> bool {
        self.error().key == other.error().key
    }

    fn ptr_eq(&self, other: &Self) -> bool {
        triomphe::Arc::ptr_eq(&self.0, &other.0)
    }
}

// === impl Hits ===

impl<'a, T> Iterator for Hits<'a, T> {
    type Item = &'a Obj<T>;

    #[inline]
    fn next(&mut self) -> Option<&'a Obj<T>> {
        // Each slot of an index has an object.
        self.slots.find_map(|slot| self.objects.get(*slot))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slots.size_hint()
    }

    #[inline]
    fn fold<B, F: FnMut(B, &'a Obj<T>) -> B>(self, init: B, f: F) -> B {
        self.slots.filter_map(|slot| self.objects.get(*slot)).fold(init, f)
    }
}

impl<'a, T> Hits<'a, T> {
    pub(crate) fn of(posting: Option<&'a Posting<Slot>>, view: &'a View<T>) -> Self {
        let slots = posting.map_or_else(PostingIter::nothing, Posting::iter);
        Self { slots, objects: view.objects.reader() }
    }
}

impl<T> ExactSizeIterator for Hits<'_, T> {}

impl<T> FusedIterator for Hits<'_, T> {}

impl<T> Clone for Hits<'_, T> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone(), objects: self.objects }
    }
}

impl<T> fmt::Debug for Hits<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hits({} left)", self.len())
    }
}

// === impl Objects ===

impl<'a, T> Iterator for Objects<'a, T> {
    type Item = &'a Obj<T>;

    fn next(&mut self) -> Option<&'a Obj<T>> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> ExactSizeIterator for Objects<'_, T> {}

impl<T> FusedIterator for Objects<'_, T> {}

impl<T> fmt::Debug for Objects<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({} left)", self.len())
    }
}
