//! What the status of an informer says of its parts together, kept up to date as each of them changes.

use tokio::time::Instant;

use super::status::{Phase, Status};
use crate::counts::Counts;
use crate::shard::Filter;

/// All phases, each further from following the server than the one before.
const PHASES: [Phase; 7] = [
    Phase::Stopped,
    Phase::Watching,
    Phase::Idle,
    Phase::Polling,
    Phase::Listing,
    Phase::Absent,
    Phase::BackingOff,
];

/// Counts of statuses, by what they say.
#[derive(Default)]
pub(super) struct Totals {
    /// In the order of [`PHASES`].
    phases: [usize; PHASES.len()],
    stale_since: Counts<Instant>,
    failures: Counts<u32>,
    unsynced: usize,
    unordered: usize,
    unversioned: usize,
    filters: Counts<Option<Here>>,
}

/// Whether this process filters the objects of a shard.
type Here = bool;

// === impl Totals ===

impl Totals {
    /// O(log statuses).
    pub(super) fn add(&mut self, status: &Status) {
        self.phases[rank(status.phase)] += 1;
        status.stale_since.into_iter().for_each(|since| self.stale_since.add(since));
        self.failures.add(status.failures);
        self.filters.add(here(status));
        self.unsynced += usize::from(!status.synced);
        self.unordered += usize::from(!status.ordered_versions);
        self.unversioned += usize::from(status.unversioned);
    }

    /// Removes a status that was added. O(log statuses).
    pub(super) fn remove(&mut self, status: &Status) {
        self.phases[rank(status.phase)] -= 1;
        status.stale_since.into_iter().for_each(|since| self.stale_since.remove(&since));
        self.failures.remove(&status.failures);
        self.filters.remove(&here(status));
        self.unsynced -= usize::from(!status.synced);
        self.unordered -= usize::from(!status.ordered_versions);
        self.unversioned -= usize::from(status.unversioned);
    }

    /// The status of the whole: the worst of all in each field, and without an error. O(log statuses).
    pub(super) fn whole(&self) -> Status {
        let worst = self.phases.iter().rposition(|count| *count > 0);
        Status {
            phase: worst.map_or(Phase::Watching, |rank| PHASES[rank]),
            synced: self.unsynced == 0,
            stale_since: self.stale_since.least().copied(),
            failures: self.failures.most().copied().unwrap_or_default(),
            ordered_versions: self.unordered == 0,
            unversioned: self.unversioned > 0,
            shard_filter: self.filters.most().copied().flatten().map(|here| match here {
                true => Filter::Here,
                false => Filter::Server,
            }),
            ..Status::new()
        }
    }
}

fn rank(phase: Phase) -> usize {
    PHASES.iter().position(|known| *known == phase).unwrap_or_default()
}

fn here(status: &Status) -> Option<Here> {
    status.shard_filter.map(|filter| filter == Filter::Here)
}
