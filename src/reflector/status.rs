//! The health of an informer.

use tokio::time::Instant;

use super::part_statuses::{self, PartStatuses};
use crate::error::Error;
use crate::scope::Scope;
use crate::shard::Filter;

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
    /// Who leaves out the objects of other [shards](mod@crate::shard): the API server, or this informer. As the last list
    /// has shown, or an object of another shard that was received since. `None` if the scope has no shard, while there
    /// are no objects, and until it is known.
    ///
    /// Some lists do not show it. After them, the informer requests one object of another shard to find out.
    pub shard_filter: Option<Filter>,
    /// `None` if the scope has one part, which starts with the informer.
    pub(super) parts: Option<PartStatuses>,
}

/// Health of one part of a [`Scope`], from [`Status::parts`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartStatus {
    /// What the part selects.
    pub scope: Scope,
    /// The status of the part.
    pub status: Status,
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
            shard_filter: None,
            parts: None,
        }
    }

    /// The status of each part of the scope. Empty if the scope has one part, whose status this is.
    ///
    /// Of several parts, the other fields show the worst: the phase that is furthest from watching, the longest
    /// staleness, the most failures. `synced` is true once the first list of every part is complete, and `last_error` is
    /// the last error of any. While [`Informer::set_scope`](crate::Informer::set_scope) waits for the lists of new parts,
    /// these are among the parts, and not in the other fields.
    ///
    /// ```
    /// use kube_informer::Status;
    ///
    /// fn report(status: &Status) {
    ///     for part in status.parts().filter(|part| part.status.failures > 0) {
    ///         if let Some(error) = &part.status.last_error {
    ///             eprintln!("{}: {error}", part.scope); // in billing: list pods: the API server returned 403 Forbidden
    ///         }
    ///     }
    /// }
    /// ```
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &PartStatus> {
        part_statuses::Iter::of(self.parts.as_ref())
    }

    /// The error that blocks the first list of a part, if retrying will not fix it.
    pub(crate) fn blocked(&self) -> Option<&Error> {
        if let Some(parts) = &self.parts {
            return parts.blocked().filter(|_| !self.synced);
        }
        let error = self.last_error.as_ref()?;
        (error.is_permanent() && !self.synced && matches!(self.phase, Phase::BackingOff | Phase::Absent))
            .then_some(error)
    }
}
