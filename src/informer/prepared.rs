//! An informer that can be read and subscribed to, and does not run yet.

use kube_core::Resource;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument as _;

use super::from::{Feed, FromApi, Parts};
use crate::config::Config;
use crate::index::{Index, IndexBy};

/// What is left to do for an informer whose handles exist.
pub(crate) struct Prepared<K, T, S> {
    pub(super) from: S,
    pub(super) parts: Parts<K, T>,
    pub(super) tasks: TaskTracker,
    /// `shutdown` waits until what is here has ended or was dropped. The last field: all else is gone before.
    pub(super) token: TaskTrackerToken,
}

impl<K, T, S> Prepared<K, T, S>
where
    K: Send + 'static,
    T: Send + Sync + 'static,
    S: Feed<K>,
{
    /// One more index. It is in every snapshot taken from now on.
    pub(crate) fn index<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        self.parts.writer.declare(index)
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.parts.stop
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// What drives the informer. Tracked from here on: `shutdown` waits for it.
    pub(crate) fn drive(self) -> impl Future<Output = ()> + Send + 'static {
        let Self { from, parts, tasks, token } = self;
        let (retired, shared) = (parts.writer.retired().clone(), parts.writer.shared().clone());
        let span = from.span();
        let feed = from.feed(parts);
        // Old versions are freed for as long as the informer runs, however busy the reflector is.
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
