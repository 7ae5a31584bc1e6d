//! What an informer says of itself: how it is doing, and since when it is not doing well.

use tokio::time::Instant;

use crate::error::Error;

/// What the informer is doing right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Not started yet.
    Idle,
    /// Listing the kind, the first time or again.
    Listing,
    /// Watching for changes; the state is current up to the server's own delay.
    Watching,
    /// Waiting before the next attempt.
    BackingOff,
    /// Waiting before the next list: the kind has no versions to watch from, or watches of it are forbidden or do not
    /// work. [`Status::stale_since`] is the time of the last list.
    Polling,
    /// The kind is not served; asked again from time to time.
    Absent,
    /// Shut down.
    Stopped,
}

/// Health of an informer, from [`Informer::status`](crate::Informer::status); a change wakes
/// [`Informer::status_changes`](crate::Informer::status_changes). Numbers are in [`Stats`](crate::Stats), which wake
/// no task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// The first list is complete. Never goes back to false.
    pub synced: bool,
    /// Since when the state may be behind the server; `None` while it is followed.
    pub stale_since: Option<Instant>,
    /// The last error, kept after recovery.
    pub last_error: Option<Error>,
    /// Errors in a row; 0 once things work again.
    pub failures: u32,
    /// Whether versions can be put in order (KEP-5504); when not, only equality is used.
    pub ordered_versions: bool,
    /// The server gives this kind no versions (`PodMetrics`, `ComponentStatus`): lists are compared by content.
    pub unversioned: bool,
}

// === impl Status ===

impl Status {
    /// An informer that was not started.
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
