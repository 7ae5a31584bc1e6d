//! What can be asked of an informer that runs: another index, and to take in everything anew.

use std::hash::Hash;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::Informer;
use crate::error::{Error, Kind};
use crate::index::{Index, IndexBy, Many, One};
use crate::reflector::Order;
use crate::snapshot::Snapshot;
use crate::store::Errand;

impl<T: Send + Sync + 'static> Informer<T> {
    /// Adds an index by one key of each object to an informer that runs. See
    /// [`add_index_by`](Self::add_index_by).
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::Pod;
    /// use kube_informer::{Error, Informer, Obj};
    ///
    /// async fn pods_of(pods: &Informer<Pod>, node: &str) -> Result<usize, Error> {
    ///     let by_node = pods.add_index(|pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone())).await?;
    ///     Ok(pods.snapshot().find(&by_node, &Some(node.to_owned())).len())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] when the informer stops first.
    pub async fn add_index<X>(&self, key: impl Fn(&T) -> X + Send + 'static) -> Result<Index<T, X>, Error>
    where
        X: Hash + Eq + Send + Sync + 'static,
    {
        self.add_index_by(One(key)).await
    }

    /// Adds an index by any number of keys of each object to an informer that runs. See
    /// [`add_index_by`](Self::add_index_by).
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] when the informer stops first.
    pub async fn add_index_many<I>(
        &self,
        keys: impl Fn(&T) -> I + Send + 'static,
    ) -> Result<Index<T, I::Item>, Error>
    where
        I: IntoIterator,
        I::Item: Hash + Eq + Send + Sync + 'static,
    {
        self.add_index_by(Many(keys)).await
    }

    /// Adds an index to an informer that runs. It is built once, on the informer's task, in time proportional to
    /// the objects; when this returns, all of them are in it and the newest snapshot has it. Snapshots from before do
    /// not: `find` panics on them as it does on another informer's, and `try_find` answers
    /// [`MissingIndex`](crate::index::MissingIndex).
    ///
    /// An object that the index panics for counts as bad and is not in it; it stays in everything else. Declare
    /// indexes on the [`Builder`](super::Builder) where you can: one that comes later takes some memory more for
    /// each object that was there before it, until that changes.
    ///
    /// It waits while a list is being collected. Cancel-safe: dropped, the index may come to be all the same, and
    /// nobody will ask for it.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] when the informer stops first.
    pub async fn add_index_by<X: IndexBy<T>>(&self, index: X) -> Result<Index<T, X::Key>, Error> {
        let (answer, answered) = oneshot::channel();
        self.ask(Order::Errand(Box::new(move |writer| {
            async move {
                if !answer.is_closed() {
                    let added = writer.add_index(index).await;
                    let _ = answer.send(added);
                }
            }
            .boxed()
        })))
        .await?;
        answered.await.map_err(|_| Kind::Stopped.into())
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
        self.ask(Order::Refresh(answer)).await?;
        answered.await.map_err(|_| Error::from(Kind::Stopped))?;
        Ok(self.snapshot())
    }

    async fn ask(&self, order: Order<Errand<T>>) -> Result<(), Error> {
        self.inner.orders.send(order).await.map_err(|_| Kind::Stopped.into())
    }
}
