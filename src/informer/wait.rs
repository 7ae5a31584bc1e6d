//! Waits until the cache contains a given write, or until a snapshot satisfies a predicate.

use kube_core::Resource;

use super::Informer;
use crate::error::{Error, ErrorKind};
use crate::snapshot::{Snapshot, View};
use crate::version::ResourceVersion;

impl<T: Send + Sync + 'static> Informer<T> {
    /// Waits until the informer has received a write, and returns a snapshot that contains it or a later state.
    ///
    /// `written` is the API server's response to a create, update or patch of an object of this informer's kind. The
    /// object need not be in the scope, or kept by the projection. Any event or bookmark at or past its version is
    /// enough; API servers send bookmarks about once a minute. With several namespaces
    /// ([`Scope::namespaces`](crate::Scope::namespaces)), it is one of the write's namespace. Use a timeout.
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// - [`Error::is_version_unordered`] if the versions cannot be compared (KEP-5504), or if there is none: `written`
    ///   has none, the kind has none, or the informer is fed by a stream;
    /// - [`Error::is_new_epoch`] if the API server was restored from a backup meanwhile: the version does not show
    ///   whether the write survived;
    /// - [`Error::is_stopped`] if the informer stops first.
    pub async fn at_least(&self, written: &impl Resource) -> Result<Snapshot<T>, Error> {
        let unordered = || Error::from(ErrorKind::Unordered);
        let version = written.meta().resource_version.as_deref().ok_or_else(unordered)?;
        let version = ResourceVersion::from(version);
        if !version.is_ordered() {
            return Err(unordered());
        }
        let namespace = written.meta().namespace.as_deref().unwrap_or_default();
        let epoch = self.shared().load().epoch;
        let mut end = None;
        let snapshot = self
            .wait_until(|view| {
                let reached = view.reached(namespace);
                end = match &reached {
                    Some(_) if view.epoch != epoch => Some(ErrorKind::NewEpoch.into()),
                    Some(held) if !held.is_ordered() => Some(unordered()),
                    None if view.synced && !self.has_versions() => Some(unordered()),
                    _ => None,
                };
                end.is_some() || reached.is_some_and(|held| held >= version)
            })
            .await?;
        end.map_or(Ok(snapshot), Err)
    }

    /// Whether the cache has a version, or will have one: not with a stream of the application, and with some kinds.
    fn has_versions(&self) -> bool {
        let status = self.status();
        self.inner.lists && status.ordered_versions && !status.unversioned
    }

    /// Waits for a snapshot that satisfies `reached`, and returns it.
    ///
    /// `reached` runs in the caller's task, immediately and then after each publication; publications in quick
    /// succession may be skipped.
    ///
    /// Before the first list the snapshot is empty; check [`View::is_synced`] where that matters. Use a timeout.
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] if the informer stops first.
    pub async fn wait_until(&self, reached: impl FnMut(&View<T>) -> bool) -> Result<Snapshot<T>, Error> {
        let view = self.shared().wait_until(reached).await;
        view.map(Snapshot).ok_or_else(|| ErrorKind::Stopped.into())
    }
}
