//! An informer that does not run yet, but has readers and subscriptions.

use kube_core::Resource;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument as _;

use super::from::{Feed, FromApi, Origin, Parts};
use crate::config::Config;
use crate::index::{Index, IndexBy};

/// The parts that will drive an informer whose handles already exist.
pub(crate) struct Prepared<K, T, S: Origin<K>> {
    pub(super) from: S,
    pub(super) parts: Parts<S::Project<T>, T>,
    pub(super) tasks: TaskTracker,
    /// `shutdown` waits for this token. It is the last field, so all others are dropped before it.
    pub(super) token: TaskTrackerToken,
}

impl<K, T, S> Prepared<K, T, S>
where
    K: Send + 'static,
    T: Send + Sync + 'static,
    S: Feed<K>,
{
    /// Adds an index. Every snapshot taken from now on has it.
    pub(crate) fn index<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        self.parts.writer.declare(index)
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.parts.stop
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// The future that drives the informer. `shutdown` waits for it.
    pub(crate) fn drive(self) -> impl Future<Output = ()> + Send + 'static {
        let Self { from, parts, tasks, token } = self;
        let (retired, shared) = (parts.writer.retired().clone(), parts.writer.shared().clone());
        let span = from.span();
        let feed = from.feed(parts);
        // Old versions are freed while the informer runs, even if the reflector is busy.
        let driven = tasks.track_future(async move {
            tokio::select! {
                biased;
                () = feed => {}
                () = retired.sweep_forever() => {}
            }
            retired.finish(shared).await;
        });
        let driven = driven.instrument(span);
        drop(token);
        driven
    }
}

impl<K: Resource, T> Prepared<K, T, FromApi<K>> {
    /// As [`Builder::config`](super::Builder::config).
    pub(crate) fn set_config(&mut self, config: Config) {
        self.from.config = config;
    }
}
