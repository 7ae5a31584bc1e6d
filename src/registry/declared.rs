//! A part's own handle to an entry: what it may still say of it, and the informer that all share.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use super::slot::Slot;
use super::stored::Stored;
use crate::error::Error;
use crate::index::{Index, IndexBy, Many, One};
use crate::informer::Informer;

/// An informer that a [`Registry`](crate::Registry) knows, as one of those who asked for it sees it.
///
/// Everybody who declares the same type and scope has one of these, and shares one informer, one copy of the objects
/// and one watch. Until the registry is started each may add what it needs. The handle holds the informer, as an
/// [`Informer`] does.
pub struct Declared<T: Stored> {
    slot: Arc<Slot<T>>,
    informer: Informer<T>,
}

impl<T: Stored> Declared<T> {
    pub(super) fn new(slot: Arc<Slot<T>>, informer: Informer<T>) -> Self {
        Self { slot, informer }
    }

    /// The informer, which may be read, subscribed to and waited for before it is started. O(1).
    ///
    /// Shutting it down stops it for all who share it; declared again, it is another one.
    pub fn informer(&self) -> Informer<T> {
        self.informer.clone()
    }

    /// An index by one key of each object.
    ///
    /// Snapshots taken before it was declared do not have it.
    ///
    /// # Errors
    ///
    /// [`Error::is_started`] when the informer was started, [`Error::is_stopped`] when it was shut down before.
    pub fn index<X>(&self, key: impl Fn(&T) -> X + Send + 'static) -> Result<Index<T, X>, Error>
    where
        X: Hash + Eq + Send + Sync + 'static,
    {
        self.index_by(One(key))
    }

    /// An index by any number of keys of each object; naming a key twice counts once.
    ///
    /// # Errors
    ///
    /// As [`index`](Self::index).
    pub fn index_many<I>(&self, keys: impl Fn(&T) -> I + Send + 'static) -> Result<Index<T, I::Item>, Error>
    where
        I: IntoIterator,
        I::Item: Hash + Eq + Send + Sync + 'static,
    {
        self.index_by(Many(keys))
    }

    /// An index of the module [`index`](crate::index), or one of your own making.
    ///
    /// # Errors
    ///
    /// As [`index`](Self::index).
    pub fn index_by<X: IndexBy<T>>(&self, index: X) -> Result<Index<T, X::Key>, Error> {
        self.slot.settle(|idle| idle.prepared.index_by(index))
    }

    /// Counts the kind as synced, and empty, while the API server does not serve it; its objects are changes when it
    /// comes. It is so for all who share the informer.
    ///
    /// # Errors
    ///
    /// As [`index`](Self::index).
    pub fn optional(&self) -> Result<(), Error> {
        self.slot.settle(|idle| idle.prepared.set_optional())
    }

    /// Lists only once another kind has synced, so that who reads both finds the other complete.
    ///
    /// The other informer is held until then. If it stops before it has synced, this one never starts, and
    /// [`Registry::missing`](crate::Registry::missing) says so.
    ///
    /// # Errors
    ///
    /// - [`Error::is_circular`] when the other waits for this one, itself or through others;
    /// - [`Error::is_started`] when this informer was started, unless it waited for the other;
    /// - [`Error::is_stopped`] when this informer was shut down before its start.
    pub fn after<U: Stored>(&self, earlier: &Declared<U>) -> Result<(), Error> {
        let (member, before) = (&self.slot.member, &earlier.slot.member);
        if member.waits_for(before) {
            return Ok(());
        }
        let informer = earlier.informer();
        let synced = Box::pin(async move { informer.synced().await });
        self.slot.settle(|idle| {
            member.wait_for(before)?;
            idle.prerequisites.push(synced);
            Ok(())
        })?
    }
}

impl<T: Stored> Clone for Declared<T> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), informer: self.informer.clone() }
    }
}

impl<T: Stored> fmt::Debug for Declared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declared")
            .field("name", &self.slot.member.name)
            .field("informer", &self.informer)
            .finish()
    }
}
