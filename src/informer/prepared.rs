//! An informer that can be read and subscribed to, and does not run yet.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::builder::Project;
use super::from::{Feed, Parts};
use crate::index::{Index, IndexBy};
use crate::reflector::Status;
use crate::store::Writer;

/// What is left to do for an informer whose handles exist.
pub(crate) struct Prepared<K, T, S> {
    pub(super) from: S,
    pub(super) project: Project<K, T>,
    pub(super) writer: Writer<T>,
    pub(super) status: watch::Sender<Status>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl<K, T, S> Prepared<K, T, S>
where
    K: Send + 'static,
    T: Send + Sync + 'static,
    S: Feed<K>,
{
    /// One more index. It is in every snapshot taken from now on.
    pub(crate) fn index_by<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        let slot = self.writer.declare(Box::new(index));
        Index::new(slot, self.writer.store())
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// What drives the informer. Tracked from here on: `shutdown` waits for it.
    pub(crate) fn drive(self) -> impl Future<Output = ()> + Send + 'static {
        let Self { from, project, writer, status, stop, tasks } = self;
        let retired = writer.retired().clone();
        let feed = from.feed(Parts { project, writer, status, stop });
        // Old versions are freed for as long as the informer runs, however busy the reflector is.
        tasks.track_future(async move {
            tokio::select! {
                () = feed => {}
                () = retired.sweep_forever() => {}
            }
        })
    }
}

impl<K: kube_core::Resource, T> Prepared<K, T, super::FromApi<K>> {
    /// As [`Builder::optional`](super::Builder::optional).
    pub(crate) fn set_optional(&mut self) {}
}
