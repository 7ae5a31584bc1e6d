//! A caller's handle to a shared informer.

use std::fmt;
use std::sync::Arc;

use super::slot::Slot;
use crate::config::Config;
use crate::error::Error;
use crate::index::{Index, IndexBy};
use crate::informer::Informer;
use crate::stored::Stored;

/// A caller's handle to an informer of a [`Registry`](crate::Registry).
///
/// All callers that declare the same type and scope share one informer, one copy of the objects and one watch. Until the
/// registry is started each may add indexes. The handle keeps the informer running, as an [`Informer`] does.
pub struct SharedInformer<T: Stored> {
    slot: Arc<Slot<T>>,
    informer: Informer<T>,
}

impl<T: Stored> SharedInformer<T> {
    pub(super) fn new(slot: Arc<Slot<T>>, informer: Informer<T>) -> Self {
        Self { slot, informer }
    }

    /// The informer, which may be read, subscribed to and waited for before it is started. O(1).
    ///
    /// Shutting it down stops it for all who share it; declared again, it is another one.
    pub fn informer(&self) -> Informer<T> {
        self.informer.clone()
    }

    /// Adds an index for all who share the informer: see [`Builder::index`](crate::builder::Builder::index).
    ///
    /// Snapshots taken before it was declared do not have it.
    ///
    /// # Errors
    ///
    /// [`Error::is_started`] when the informer was started, [`Error::is_stopped`] when it was shut down before.
    pub fn index<X: IndexBy<T>>(&self, index: X) -> Result<Index<T, X::Key>, Error> {
        self.slot.settle(|idle| idle.prepared.index(index))
    }

    /// Gives this informer a configuration of its own, which replaces that of the registry for all who share the
    /// informer.
    ///
    /// # Errors
    ///
    /// - [`Error::is_conflict`] when another caller has given it a different one, which stays;
    /// - [`Error::is_started`] and [`Error::is_stopped`] as for [`index`](Self::index).
    pub fn config(&self, config: Config) -> Result<(), Error> {
        self.slot.settle(|idle| match &idle.config {
            Some(other) if *other != config => Err(self.slot.conflict()),
            Some(_) => Ok(()),
            None => {
                idle.config = Some(config.clone());
                idle.prepared.set_config(config);
                Ok(())
            }
        })?
    }

    /// Lists only once another kind has synced, so that who reads both finds the other complete.
    ///
    /// The other informer is held until then. If it stops before it has synced, this one never starts, and
    /// [`Registry::not_synced`](crate::Registry::not_synced) says so.
    ///
    /// # Errors
    ///
    /// - [`Error::is_circular`] when the other waits for this one, itself or through others;
    /// - [`Error::is_started`] when this informer was started, unless it waited for the other;
    /// - [`Error::is_stopped`] when this informer was shut down before its start.
    pub fn after<U: Stored>(&self, earlier: &SharedInformer<U>) -> Result<(), Error> {
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

impl<T: Stored> Clone for SharedInformer<T> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), informer: self.informer.clone() }
    }
}

impl<T: Stored> fmt::Debug for SharedInformer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedInformer")
            .field("name", &self.slot.member.name)
            .field("informer", &self.informer)
            .finish()
    }
}
