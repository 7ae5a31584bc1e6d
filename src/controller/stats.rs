//! Statistics of a controller, readable without a metrics library.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::first_pass::FirstPass;
use crate::queue::{self, Timings};

/// Statistics of a controller, from [`Handle::stats`](super::Handle::stats). Counts are of all its runs together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Whether it runs.
    pub running: bool,
    /// Count of runs that began.
    pub runs: u64,
    /// The first pass of the present run, if it is done.
    pub first_pass: Option<FirstPass>,
    /// Number of reconciles that may run at the same time.
    pub concurrency: usize,
    /// Number of reconciles that run now.
    pub active: usize,
    /// Count of reconciles that returned `Ok`.
    pub succeeded: u64,
    /// Count of reconciles that returned an error.
    pub failed: u64,
    /// Count of reconciles that panicked.
    pub panicked: u64,
    /// Count of reconciles that took longer than [`Controller::timeout`](super::Controller::timeout).
    pub timed_out: u64,
    /// Count of keys that were skipped since they have no object.
    pub skipped: u64,
    /// Count of reconciles of a sharded controller that were dropped since the Lease was lost.
    pub aborted: u64,
    /// Count of keys that were skipped since another replica of a sharded controller has them.
    pub not_held: u64,
    /// Count of keys that had to wait for a write of their own ([`Context::written`](super::Context::written)).
    pub waited_for_write: u64,
    /// Count of reconciles that began without it, after [`written_within`](super::Controller::written_within).
    pub write_not_received: u64,
    /// Count of reconciles that wrote although only the write of the reconcile before had caused them. It grows if a
    /// controller writes on each pass.
    pub own_write_loops: u64,
    /// Count of panics of predicates and of mappings.
    pub mapping_panics: u64,
    /// Durations of the reconciles, those that failed included.
    pub durations: Timings,
    /// Statistics of the queue of the present run, or of the last one. `None` before the first.
    pub queue: Option<queue::Stats>,
}

/// The counters.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) runs: AtomicU64,
    pub(super) active: AtomicUsize,
    pub(super) succeeded: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) aborted: AtomicU64,
    pub(super) not_held: AtomicU64,
    pub(super) waited_for_write: AtomicU64,
    pub(super) write_not_received: AtomicU64,
    pub(super) own_write_loops: AtomicU64,
    pub(super) mapping_panics: AtomicU64,
    durations: Mutex<Timings>,
}

/// A reconcile that runs; dropped when it ends or is aborted.
pub(super) struct Active<'a>(&'a Tally);

impl Tally {
    pub(super) fn begin(&self) -> Active<'_> {
        self.active.fetch_add(1, Relaxed);
        Active(self)
    }

    pub(super) fn took(&self, duration: Duration) {
        self.durations.lock().unwrap_or_else(PoisonError::into_inner).record(duration);
    }

    pub(super) fn sample(&self) -> Stats {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        Stats {
            running: false,
            runs: count(&self.runs),
            first_pass: None,
            concurrency: 0,
            active: self.active.load(Relaxed),
            succeeded: count(&self.succeeded),
            failed: count(&self.failed),
            panicked: count(&self.panicked),
            timed_out: count(&self.timed_out),
            skipped: count(&self.skipped),
            aborted: count(&self.aborted),
            not_held: count(&self.not_held),
            waited_for_write: count(&self.waited_for_write),
            write_not_received: count(&self.write_not_received),
            own_write_loops: count(&self.own_write_loops),
            mapping_panics: count(&self.mapping_panics),
            durations: self.durations.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            queue: None,
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}
