//! Secondary indexes: typed keys to the objects that have them.
//!
//! An index is declared on the builder and answers with a [`Index`] handle; snapshots are asked through it.
//! Its keys are computed once per stored version of an object, by the writer, and stored with the object.
//!
//! | declared by | keys of an object |
//! |---|---|
//! | `builder.index(\|o: &T\| key)` | what the closure returns, as an [`IntoKeys`]: one key, an `Option`, a `Vec`, an array |
//! | `builder.index(index::namespace())` | what a function of this module says |
//! | `builder.index(..)` of an [`IndexBy`] of your own | what it says; it is also given the object's own key |
//!
//! Keys are of any type that is `Hash + Eq + Send + Sync`; look-ups borrow them (`&str` for `String`, and
//! whatever [`equivalent::Equivalent`] allows). A list of objects behind a key is ordered by object key.

mod builtin;
mod into_keys;
mod keys;
mod posting;
mod set;
mod table;

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

pub use self::builtin::{
    Annotation, AnnotationKey, AnnotationSuffix, Label, Namespace, OwnerUid, annotation, annotation_suffix,
    label, namespace, owner_uid,
};
pub use self::into_keys::IntoKeys;
pub(crate) use self::keys::{IndexKeys, SlotKey};
pub(crate) use self::posting::{Diff as PostingDiff, Iter as PostingIter, Ordered, Posting, Seek, meet};
pub use self::set::IndexSet;
pub(crate) use self::table::{AnyTable, Indexer, Table, downcast};
use crate::key::Key;

/// A handle to an index: which one to ask, and what its keys are.
///
/// Copying it is free. It belongs to the informer whose builder gave it out, and keeps nothing alive.
pub struct Index<T, K> {
    pub(crate) slot: u32,
    /// The store it belongs to.
    pub(crate) store: u64,
    types: PhantomData<fn(&T) -> K>,
}

/// How an index finds the keys of an object.
///
/// Implemented by closures that return [`IntoKeys`], and by what [`namespace`], [`label`] and the other functions of this
/// module return; implement it yourself for an index that needs the object's own key.
pub trait IndexBy<T>: Send + 'static {
    /// What the index is asked by.
    type Key: Hash + Eq + Send + Sync + 'static;

    /// Calls `emit` with each key of the object; naming one twice counts once.
    ///
    /// Runs on the informer's task, once per version of the object that is stored, before readers see that
    /// version. When it panics the object counts as invalid and its last good version stays.
    fn index(&self, key: Key<'_>, object: &T, emit: &mut dyn FnMut(Self::Key));
}

/// The snapshot does not have the index asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingIndex {
    /// It is an index of another informer.
    #[error("the index belongs to another informer than the snapshot")]
    Foreign,
    /// It was added to the informer after the snapshot was taken (`Informer::add_index`).
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
