//! What can be asked of a running informer: another index, and a list that reads every object again.

use tokio::sync::oneshot;

use super::Informer;
use crate::error::{Error, Kind};
use crate::index::{Index, IndexBy};
use crate::reflector::Command;
use crate::snapshot::Snapshot;
use crate::store::AddIndex;

impl<T: Send + Sync + 'static> Informer<T> {
    /// Adds an index to an informer that runs. It is built once, on the informer's task, in time proportional to
    /// the objects; when this returns, all of them are in it and the newest snapshot has it. Snapshots from before do
    /// not: `by_index` panics on them as it does on another informer's, and `try_by_index` answers
    /// [`MissingIndex`](crate::index::MissingIndex).
    ///
    /// An object that the index panics for counts as invalid and is not in it; it stays in everything else. Declare
    /// indexes on the [`Builder`](super::Builder) where you can: one that comes later takes some memory more for
    /// each object that was there before it, until that changes.
    ///
    /// It waits while a list is being collected. Cancel-safe: dropped, the index may come to be all the same, and
    /// nobody will ask for it.
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
    /// [`Error::is_stopped`] when the informer stops first.
    pub async fn add_index<X: IndexBy<T>>(&self, index: X) -> Result<Index<T, X::Key>, Error> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::AddIndex(AddIndex { index: Box::new(index), answer })).await?;
        let slot = answered.await.map_err(|_| Error::from(Kind::Stopped))?;
        Ok(Index::new(slot, self.snapshot().store))
    }

    /// Lists everything anew, decodes, projects and indexes every object again, and answers with a snapshot of that.
    ///
    /// For content that changes at an unchanged resourceVersion, which no watch tells of: a conversion, a default
    /// of a CustomResourceDefinition, or what a projection looks up elsewhere. Subscribers see every object as
    /// `Modified`, since a value need not be comparable.
    ///
    /// It waits, through errors of the API server, until such a list is complete; calls that wait at the same time
    /// share one. Put a timeout around it. Cancel-safe: dropped before the list begins, it is as if not called.
    ///
    /// # Errors
    ///
    /// - [`Error::is_unsupported`] for an informer of [`from_stream`](Self::from_stream), which cannot list;
    /// - [`Error::is_stopped`] when the informer stops first.
    pub async fn refresh(&self) -> Result<Snapshot<T>, Error> {
        if !self.inner.lists {
            return Err(Kind::Unsupported.into());
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Refresh(answer)).await?;
        answered.await.map_err(|_| Error::from(Kind::Stopped))?;
        Ok(self.snapshot())
    }

    async fn ask(&self, command: Command<AddIndex<T>>) -> Result<(), Error> {
        self.inner.commands.send(command).await.map_err(|_| Kind::Stopped.into())
    }
}
