//! Secondary indexes: from typed keys to objects.
//!
//! [`Builder::index`](crate::builder::Builder::index) declares an index and returns an [`Index`] handle, which
//! [`View::by_index`](crate::View::by_index) takes. The informer's task computes the keys once per stored version of an
//! object, and stores them with the object.
//!
//! | declared by | keys of an object |
//! |---|---|
//! | `builder.index(\|o: &T\| key)` | returned by the closure ([`IntoKeys`]): one key, an `Option`, a `Vec`, an array |
//! | `builder.index(index::with_key(\|key, o: &T\| ..))` | the same, of the object's key and value ([`with_key`]) |
//! | `builder.index(index::namespace())` | computed by a function of this module |
//! | `builder.index(index::selector(\|o: &T\| selector))` | the label selectors that it has, found by labels: [`selector()`] |
//! | `builder.index(..)` of an [`IndexBy`] of your own | emitted by it |
//!
//! A key has any type that is `Hash + Eq + Send + Sync`. The objects under a key are ordered by namespace and name.
//!
//! # Look-ups
//!
//! Look-ups borrow the key, and allocate nothing:
//!
//! | key of the index | look-up |
//! |---|---|
//! | `String` | `by_index(&index, "a")` |
//! | [`Pair<String, String>`](Pair) | `by_index(&index, &("a", "b"))` |
//! | `Pair<String, u16>` | `by_index(&index, &("a", &7))` |
//! | [`ObjectKey`](crate::ObjectKey) | `by_index(&index, &("namespace", "name"))`, or by a [`Key`] |
//! | any other `K` | `by_index(&index, &key)`; or by a type of your own that is [`equivalent::Equivalent<K>`] |
//!
//! ```
//! use kube_informer::index::{IndexSet, Pair};
//! use kube_informer::{Key, ObjectKey, Snapshot};
//!
//! let mut indexes = IndexSet::new();
//! let by_words = indexes.index(|text: &String| {
//!     let (first, rest) = text.split_once(' ')?;
//!     Some(Pair(first.to_owned(), rest.to_owned()))
//! });
//! let by_service = indexes.index(|text: &String| ObjectKey::new("default", text));
//! let texts = Snapshot::from_objects(indexes, [(("default", "a"), "hello world".to_owned())]);
//! assert_eq!(texts.by_index(&by_words, &("hello", "world")).len(), 1);
//! assert_eq!(texts.by_index(&by_service, &("default", "hello world")).len(), 1);
//! assert_eq!(texts.by_index(&by_service, &Key::new("default", "hello world")).len(), 1);
//! ```

mod builtin;
mod by_selector;
mod changed;
mod directory;
mod into_keys;
mod keys;
mod multimap;
mod pair;
mod posting;
mod selector_key;
mod selects;
mod set;
mod table;
mod with_key;

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

pub use self::builtin::{
    Annotation, AnnotationSuffix, Label, Namespace, OwnerUid, annotation, annotation_suffix, label,
    namespace, owner_uid,
};
pub use self::by_selector::{BySelector, selector};
pub(crate) use self::directory::BucketRef;
pub use self::into_keys::IntoKeys;
pub(crate) use self::keys::{FoundKey, IndexKeys, Keys, SharedKey, SlotKey, register};
pub use self::pair::Pair;
pub(crate) use self::posting::{Iter as PostingIter, Ordered, Posting, Seek, meet};
pub use self::selector_key::SelectorKey;
pub use self::selects::{IntoSelects, Selects};
pub use self::set::IndexSet;
pub(crate) use self::table::{AnyTable, At, Indexer, Table, downcast, in_key_order};
pub use self::with_key::{WithKey, with_key};
use crate::key::Key;

/// A handle to an index of one informer, for objects of type `T` and keys of type `K`.
///
/// It is `Copy`. It can be used with snapshots of the informer that it was declared on, and keeps nothing alive.
pub struct Index<T, K> {
    pub(crate) slot: u32,
    /// The store that the index belongs to.
    pub(crate) store: u64,
    types: PhantomData<fn(&T) -> K>,
}

/// Computes the index keys of an object.
///
/// Implemented by closures that return [`IntoKeys`], and by the types that [`with_key`], [`namespace`], [`label`] and the
/// other functions of this module return. Implement it for an index with a type of its own.
pub trait IndexBy<T>: Send + 'static {
    /// The type of the keys.
    type Key: Hash + Eq + Send + Sync + 'static;

    /// Calls `emit` with each key of the object. A key that is emitted twice counts once.
    ///
    /// Runs on the informer's task, once per stored version of the object, before readers see that version. If it
    /// panics, the object counts as invalid and its last good version stays.
    fn index(&self, key: Key<'_>, object: &T, emit: &mut dyn FnMut(Self::Key));
}

/// The snapshot does not have the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingIndex {
    /// The index belongs to another informer.
    #[error("the index belongs to another informer than the snapshot")]
    Foreign,
    /// The index was added after the snapshot was taken ([`Informer::add_index`](crate::Informer::add_index)).
    #[error("the index was added after the snapshot was taken")]
    Later,
}

// === impl Index ===

impl<T, K> Index<T, K> {
    pub(crate) fn new(slot: u32, store: u64) -> Self {
        Self { slot, store, types: PhantomData }
    }
}

impl<T, K> Clone for Index<T, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, K> Copy for Index<T, K> {}

impl<T, K> fmt::Debug for Index<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({})", self.slot)
    }
}

// === impl IndexBy ===

impl<T, F, R> IndexBy<T> for F
where
    F: Fn(&T) -> R + Send + 'static,
    R: IntoKeys,
{
    type Key = R::Key;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(R::Key)) {
        self(object).for_each_key(emit);
    }
}
