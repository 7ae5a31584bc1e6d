//! Commands to a running informer: add an index, list again, change the scope.

use tokio::sync::oneshot;

use super::Informer;
use crate::error::{Error, ErrorKind};
use crate::index::{Index, IndexBy};
use crate::reflector::Command;
use crate::scope::Scope;
use crate::snapshot::Snapshot;
use crate::store::AddIndex;

impl<T: Send + Sync + 'static> Informer<T> {
    /// Adds an index to a running informer.
    ///
    /// The informer's task builds it once, in O(objects). When this returns, the newest snapshot has the index, with
    /// all objects in it.
    ///
    /// Earlier snapshots do not have it: [`by_index`](crate::View::by_index) panics on them, and
    /// [`try_by_index`](crate::View::try_by_index) returns [`MissingIndex`](crate::index::MissingIndex).
    ///
    /// An object for which the index panics counts as invalid and is not in this index. It stays in the snapshot and in
    /// all other indexes. Prefer [`Builder::index`](super::Builder::index): an index added later needs some more memory
    /// for each object that was cached before, until that object changes.
    ///
    /// Cancel-safe: if the call is dropped, the index may still be added, without a
    /// handle to it.
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::Pod;
    /// use kube_informer::{Error, Informer};
    ///
    /// async fn pods_of(pods: &Informer<Pod>, node: &str) -> Result<usize, Error> {
    ///     let by_node = pods.add_index(|pod: &Pod| pod.spec.as_ref()?.node_name.clone()).await?;
    ///     Ok(pods.snapshot().by_index(&by_node, node).len())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] if the informer stops first.
    pub async fn add_index<X: IndexBy<T>>(&self, index: X) -> Result<Index<T, X::Key>, Error> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::AddIndex(AddIndex { index: Box::new(index), answer })).await?;
        let slot = answered.await.map_err(|_| Error::from(ErrorKind::Stopped))?;
        Ok(Index::new(slot, self.snapshot().store))
    }

    /// Lists the kind again; decodes, projects and indexes every object again; returns a snapshot of the result.
    ///
    /// Use it for content that changes at an unchanged resourceVersion, which no watch reports: a conversion or a
    /// default of a CustomResourceDefinition, or data that a projection reads from elsewhere. Subscribers see every
    /// object as `Modified`, since values need not be comparable.
    ///
    /// Waits through errors of the API server until the list is complete. Calls that wait at the same time share one
    /// list. Use a timeout. Cancel-safe: a call that is dropped before the list begins has no effect.
    ///
    /// # Errors
    ///
    /// - [`Error::is_unsupported`] for an informer of [`from_stream`](Self::from_stream), which cannot list by itself;
    /// - [`Error::is_stopped`] if the informer stops first.
    pub async fn refresh(&self) -> Result<Snapshot<T>, Error> {
        if !self.inner.lists {
            return Err(ErrorKind::Unsupported.into());
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Refresh(answer)).await?;
        answered.await.map_err(|_| Error::from(ErrorKind::Stopped))?;
        Ok(self.snapshot())
    }

    /// Caches the objects of another scope, and returns a snapshot of them.
    ///
    /// One version has the whole change: what the new scope selects, too, keeps its allocation; what it does not select
    /// is `Deleted`; what only it selects is `Added`. Until then, readers see the old scope. Parts that both scopes have
    /// continue their watch. The new parts are listed before, so the change costs as much as their lists, and O(objects)
    /// on the informer's task.
    ///
    /// Waits through errors of the API server until every new part is listed. Use a timeout;
    /// [`Status::parts`](crate::Status::parts) shows what a part waits for. Cancel-safe: if the call is dropped after it
    /// was polled, the scope still changes, once it can. A later call replaces a change that is not complete, and both
    /// calls return when the later one is.
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::Pod;
    /// use kube_informer::{Error, Informer, Scope};
    ///
    /// async fn tenants_changed(pods: &Informer<Pod>, tenants: &[String]) -> Result<usize, Error> {
    ///     let snapshot = pods.set_scope(Scope::namespaces(tenants).labels("app=web")).await?;
    ///     Ok(snapshot.len())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::is_unsupported`] for an informer of [`from_stream`](Self::from_stream), whose stream selects the objects,
    ///   and for one of a [`Registry`](crate::Registry), where other callers rely on the scope that they declared;
    /// - [`Error::is_stopped`] if the informer stops first.
    pub async fn set_scope(&self, scope: Scope) -> Result<Snapshot<T>, Error> {
        if !self.inner.has_own_scope {
            return Err(ErrorKind::Unsupported.into());
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Command::SetScope(scope, answer)).await?;
        answered.await.map_err(|_| Error::from(ErrorKind::Stopped))?;
        Ok(self.snapshot())
    }

    async fn ask(&self, command: Command<AddIndex<T>>) -> Result<(), Error> {
        self.inner.commands.send(command).await.map_err(|_| ErrorKind::Stopped.into())
    }
}
