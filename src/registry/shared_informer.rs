//! A caller's handle to a shared informer.

use std::fmt;
use std::sync::Arc;

use super::slot::Slot;
use crate::config::Config;
use crate::error::Error;
use crate::index::{Index, IndexBy};
use crate::informer::Informer;
use crate::stored::StoredWith;

/// A caller's handle to an informer of a [`Registry`](crate::Registry).
///
/// All callers that declare the same type and scope share one informer, with one copy of the objects and one watch.
/// Until the registry is started, each caller may add indexes. The handle keeps the informer running, as an
/// [`Informer`] does.
pub struct SharedInformer<T: StoredWith> {
    slot: Arc<Slot<T>>,
    informer: Informer<T>,
}

impl<T: StoredWith> SharedInformer<T> {
    pub(super) fn new(slot: Arc<Slot<T>>, informer: Informer<T>) -> Self {
        Self { slot, informer }
    }

    /// Whether these are the settings of the first declaration. An error otherwise.
    pub(super) fn agree(&self, settings: &T::Settings) -> Result<(), Error> {
        if *self.slot.settings == *settings { Ok(()) } else { Err(self.slot.conflict("different settings")) }
    }

    /// Returns the informer. It may be read, subscribed to and waited for before it is started. O(1).
    ///
    /// Shutting it down stops it for all callers. A later declaration makes a new informer.
    pub fn informer(&self) -> Informer<T> {
        self.informer.clone()
    }

    /// Adds an index for all callers that share the informer. See [`Builder::index`](crate::builder::Builder::index).
    ///
    /// Snapshots taken before this do not have the index.
    ///
    /// # Errors
    ///
    /// - [`Error::is_started`] if the informer was started; use [`Informer::add_index`];
    /// - [`Error::is_stopped`] if the informer was shut down before its start.
    pub fn index<X: IndexBy<T>>(&self, index: X) -> Result<Index<T, X::Key>, Error> {
        self.slot.settle(|idle| idle.prepared.index(index))
    }

    /// Sets the configuration of this informer, in place of that of the registry, for all callers that share it.
    ///
    /// # Errors
    ///
    /// - [`Error::is_conflict`] if another caller has set a different one, which stays;
    /// - [`Error::is_started`] and [`Error::is_stopped`] as for [`index`](Self::index).
    pub fn config(&self, config: Config) -> Result<(), Error> {
        self.slot.settle(|idle| match &idle.config {
            Some(other) if *other != config => Err(self.slot.conflict("a different configuration")),
            Some(_) => Ok(()),
            None => {
                idle.config = Some(config.clone());
                idle.prepared.set_config(config);
                Ok(())
            }
        })?
    }

    /// Delays the first list of this informer until `earlier` has synced. A reader that finds objects of this kind then
    /// finds the earlier kind complete.
    ///
    /// `earlier` is kept alive until then. If it stops before it has synced, this informer never starts, and
    /// [`Registry::not_synced`](crate::Registry::not_synced) reports that.
    ///
    /// # Errors
    ///
    /// - [`Error::is_circular`] if `earlier` waits for this informer, itself or through others;
    /// - [`Error::is_started`] if this informer was started, unless it already waited for `earlier`;
    /// - [`Error::is_stopped`] if this informer was shut down before its start.
    pub fn after<U: StoredWith>(&self, earlier: &SharedInformer<U>) -> Result<(), Error> {
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

impl<T: StoredWith> Clone for SharedInformer<T> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), informer: self.informer.clone() }
    }
}

impl<T: StoredWith> fmt::Debug for SharedInformer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedInformer")
            .field("name", &self.slot.member.name)
            .field("informer", &self.informer)
            .finish()
    }
}
