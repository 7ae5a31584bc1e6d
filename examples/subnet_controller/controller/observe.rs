//! Reports the work of the controller.

use std::time::{Duration, Instant};

use kube_informer::ResourceVersion;

use super::reconcile::ReconcileError;
use super::types::Subnet;

/// Receives reports of the controller's work. Use it for logs and metrics.
pub trait Observe: Clone + Send + Sync + 'static {
    /// A reconcile succeeded.
    fn reconciled(&self, run: &Run<'_>);

    /// A reconcile failed and will be retried.
    fn failed(&self, subnet: &str, error: &ReconcileError);
}

/// A reconcile that succeeded.
pub struct Run<'a> {
    pub subnet: &'a str,
    pub outcome: Outcome<'a>,
    /// The resourceVersions that it read: of the snapshot of NADs, of the subnet, and of the snapshot of pods.
    pub seen: [Option<&'a ResourceVersion>; 3],
    /// The time to get the NAD; `None` if the reconcile needed none.
    pub nad_took: Option<Duration>,
    /// The time of the whole reconcile.
    pub took: Duration,
    /// When the API server confirmed the write, or when the reconcile found nothing to write.
    pub stored_at: Instant,
}

/// The result of a reconcile.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The subnet does not exist, or no longer exists.
    Gone,
    /// The status was correct.
    Unchanged,
    /// The status was written.
    Written(&'a Subnet),
    /// The status differs, and `dry_run` prevented the write.
    WouldWrite(&'a Subnet),
}

// === impl Run ===

impl Run<'_> {
    /// Ends the run.
    pub(super) fn end(&mut self, begin: Instant) -> &Self {
        self.stored_at = Instant::now();
        self.took = self.stored_at - begin;
        self
    }
}
