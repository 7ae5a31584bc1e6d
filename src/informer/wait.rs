//! Waiting for a state: one's own write, or anything that can be said of a snapshot.

use kube_core::Resource;

use super::Informer;
use crate::error::{Error, Kind};
use crate::snapshot::{Snapshot, View};
use crate::version::ResourceVersion;

impl<T: Send + Sync + 'static> Informer<T> {
    /// Waits until the informer has seen a write, and answers with a snapshot that contains it, or what came
    /// after it.
    ///
    /// `written` is what the API server answered to a create, update or patch of an object of this informer's
    /// kind. It need not be selected, in the namespace, or kept by the projection: whatever moves the version of
    /// the snapshot that far will do, a bookmark included, which API servers send about once a minute.
    ///
    /// Put a timeout around it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// - [`Error::is_version_unordered`] when the two versions cannot be compared (KEP-5504), or `written` has
    ///   none, as in kinds without versions and informers fed by a stream;
    /// - [`Error::is_new_epoch`] when the API server was restored from a backup meanwhile: whether the write
    ///   survived that cannot be told by its version;
    /// - [`Error::is_stopped`].
    pub async fn at_least(&self, written: &impl Resource) -> Result<Snapshot<T>, Error> {
        let unordered = || Error::from(Kind::Unordered);
        let version = written.meta().resource_version.as_deref().ok_or_else(unordered)?;
        let version = ResourceVersion::from(version);
        if !version.is_ordered() {
            return Err(unordered());
        }
        let epoch = self.shared().load().epoch;
        let mut end = None;
        let snapshot = self
            .wait_until(|view| {
                end = match &view.resource_version {
                    Some(_) if view.epoch != epoch => Some(Kind::NewEpoch.into()),
                    Some(held) if !held.is_ordered() => Some(unordered()),
                    // A stream of somebody else's has no version, and neither have some kinds.
                    None if view.synced && (!self.inner.lists || self.status().unversioned) => {
                        Some(unordered())
                    }
                    _ => None,
                };
                end.is_some() || view.resource_version.as_ref().is_some_and(|held| *held >= version)
            })
            .await?;
        end.map_or(Ok(snapshot), Err)
    }

    /// Waits until `reached` is true of a snapshot, and answers with it. It is asked at once, and again for each
    /// version published while it waits; versions in quick succession may be skipped. It runs in the caller's
    /// task.
    ///
    /// Before the first list the snapshot is empty: ask [`View::is_synced`] where that matters. Put a timeout
    /// around it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] when the informer stops first.
    pub async fn wait_until(&self, reached: impl FnMut(&View<T>) -> bool) -> Result<Snapshot<T>, Error> {
        let view = self.shared().wait_until(reached).await;
        view.map(Snapshot).ok_or_else(|| Kind::Stopped.into())
    }
}
