//! One run of a controller: its queue, and what it knows of its keys.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::first_pass::{FirstPass, Progress};
use super::settings::Settings;
use super::stats::Tally;
use super::tenure::Tenure;
use super::written::Writes;
use crate::key::ObjectKey;
use crate::queue::WorkQueue;

/// See the [module](self).
pub(super) struct Term {
    pub(super) queue: WorkQueue<ObjectKey>,
    pub(super) first: Progress,
    pub(super) writes: Writes,
    /// If the objects are divided among replicas.
    pub(super) tenure: Option<Arc<dyn Tenure>>,
    /// Cancelled when all informers have synced.
    pub(super) synced: CancellationToken,
    /// Cancelled to end the run gracefully.
    pub(super) stop: CancellationToken,
    pub(super) concurrency: usize,
    pub(super) tally: Arc<Tally>,
}

impl Term {
    pub(super) fn new(
        settings: &Settings,
        batches: usize,
        tenure: Option<Arc<dyn Tenure>>,
        tally: Arc<Tally>,
        first: watch::Sender<Option<FirstPass>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            queue: WorkQueue::with_options(settings.retries.clone()),
            first: Progress::new(batches, first),
            writes: Writes::default(),
            tenure,
            synced: CancellationToken::new(),
            stop,
            concurrency: settings.concurrency,
            tally,
        }
    }

    /// A predicate or a mapping of the application panicked.
    pub(super) fn mapping_panicked(&self) {
        self.tally.mapping_panics.fetch_add(1, Relaxed);
        tracing::warn!("a predicate or a mapping of a controller panicked");
    }
}
