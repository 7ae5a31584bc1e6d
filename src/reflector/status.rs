//! The health of an informer.

use tokio::time::Instant;

use crate::error::Error;

/// The phase of an informer: its current activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Not started yet.
    Idle,
    /// Listing the kind, the first time or again.
    Listing,
    /// Watching for changes; the state is current up to the server's own delay.
    Watching,
    /// Waiting before the next attempt, after an error.
    BackingOff,
    /// Waiting before the next list: the kind has no versions to watch from, or its watches are forbidden or do not
    /// work. [`Status::stale_since`] is the time of the last list.
    Polling,
    /// The kind is not installed (404). The informer checks again every 8 to 10 s.
    Absent,
    /// Shut down.
    Stopped,
}

/// The health of an informer, from [`Informer::status`](crate::Informer::status).
///
/// A change of it wakes [`Informer::status_changes`](crate::Informer::status_changes). Counts are in
/// [`Stats`](crate::Stats), which wake no task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The current activity of the informer.
    pub phase: Phase,
    /// Whether the first list is complete. Once true, it stays true.
    pub synced: bool,
    /// The time since which the state may be behind the API server; `None` while a watch keeps it current.
    pub stale_since: Option<Instant>,
    /// The last error. It stays after recovery.
    pub last_error: Option<Error>,
    /// The number of errors in a row; 0 after a success.
    pub failures: u32,
    /// Whether the resourceVersions have an order (KEP-5504). If not, the informer compares them for equality only.
    pub ordered_versions: bool,
    /// Whether the kind has no resourceVersions (`PodMetrics`, `ComponentStatus`), so that objects are compared by
    /// content.
    pub unversioned: bool,
}

// === impl Status ===

impl Status {
    /// The status of an informer that was not started.
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Idle,
            synced: false,
            stale_since: None,
            last_error: None,
            failures: 0,
            ordered_versions: true,
            unversioned: false,
        }
    }
}
