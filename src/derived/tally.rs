//! Counters of the work of a graph. One task writes and any task reads; all accesses are relaxed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number that one task writes.
#[derive(Default)]
pub(super) struct Number(AtomicU64);

/// The work of one node.
#[derive(Default)]
pub(super) struct NodeTally {
    pub(super) dirty: Number,
    pub(super) recomputed: Number,
    pub(super) suppressed: Number,
    pub(super) panics: Number,
    pub(super) duplicates: Number,
    pub(super) edges: Number,
}

/// The ticks of a graph.
#[derive(Default)]
pub(super) struct GraphTally {
    pub(super) ticks: Number,
    /// In nanoseconds.
    last: Number,
    longest: Number,
}

impl Number {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(super) fn set(&self, number: usize) {
        self.0.store(number as u64, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl GraphTally {
    /// A tick has ended.
    pub(super) fn ticked(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.ticks.add(1);
        self.last.0.store(took, Relaxed);
        self.longest.0.fetch_max(took, Relaxed);
    }

    pub(super) fn last(&self) -> Duration {
        Duration::from_nanos(self.last.get())
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.get())
    }
}
