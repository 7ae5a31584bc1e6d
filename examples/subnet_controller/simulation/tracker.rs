//! Counts the work of the controller, and measures the time from each change to the status that it leads to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use kube_informer::ResourceVersion;

use super::objects::subnet_name;
use crate::controller::{Observe, Outcome, ReconcileError, Run};

/// Shared between the controller, the churn and the measurement.
#[derive(Clone)]
pub struct Tracker(Arc<Inner>);

struct Inner {
    failures: AtomicU64,
    state: Mutex<State>,
}

struct State {
    totals: Totals,
    /// Changes whose status is to come, by subnet.
    waiting: BTreeMap<String, Vec<Waiting>>,
    /// The latest reconcile of each subnet: it can end before the churn has learned its change's version.
    latest: BTreeMap<String, Latest>,
    /// The newest version the churn made of each kind.
    newest: [Option<ResourceVersion>; 3],
    latency: Histogram<u64>,
    error: Option<String>,
}

/// Sums since the beginning.
#[derive(Clone, Default)]
pub struct Totals {
    pub reconciles: u64,
    pub written: u64,
    pub handler: Duration,
    pub nads: u64,
    pub nad: Duration,
    pub unchanged: u64,
    pub unchanged_took: Duration,
}

struct Waiting {
    kind: usize,
    version: ResourceVersion,
    since: Instant,
}

struct Latest {
    seen: [Option<ResourceVersion>; 3],
    stored_at: Instant,
}

// === impl Tracker ===

impl Tracker {
    pub fn new() -> Self {
        let state = State {
            totals: Totals::default(),
            waiting: BTreeMap::new(),
            latest: BTreeMap::new(),
            newest: [None, None, None],
            latency: new_histogram(),
            error: None,
        };
        Self(Arc::new(Inner { failures: AtomicU64::new(0), state: Mutex::new(state) }))
    }

    /// A change was applied: from now on its subnets wait for a reconcile that has seen it.
    pub fn changed(&self, kind: usize, version: u64, since: Instant, subnets: &[usize]) {
        let version = ResourceVersion::from(version.to_string());
        let mut state = self.state();
        state.newest[kind] = Some(version.clone());
        for subnet in subnets {
            state.wait(subnet_name(*subnet), Waiting { kind, version: version.clone(), since });
        }
    }

    pub fn totals(&self) -> Totals {
        self.state().totals.clone()
    }

    /// The newest version the churn made of a kind.
    pub fn newest(&self, kind: usize) -> Option<ResourceVersion> {
        self.state().newest[kind].clone()
    }

    /// The times from change to status, in nanoseconds.
    pub fn latency(&self) -> Histogram<u64> {
        self.state().latency.clone()
    }

    /// Changes that no reconcile has seen.
    #[cfg(test)]
    pub fn unseen(&self) -> usize {
        self.state().waiting.values().map(Vec::len).sum()
    }

    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// The latest failure, in words.
    pub fn error(&self) -> Option<String> {
        self.state().error.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panicked under it, counts and lists are whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe for Tracker {
    fn reconciled(&self, run: &Run<'_>) {
        let mut state = self.state();
        let totals = &mut state.totals;
        totals.reconciles += 1;
        totals.handler += run.took;
        totals.written += u64::from(matches!(run.outcome, Outcome::Written(_)));
        if let Some(took) = run.nad_took {
            totals.nads += 1;
            totals.nad += took;
        }
        if matches!(run.outcome, Outcome::Unchanged) {
            totals.unchanged += 1;
            totals.unchanged_took += run.took;
        }
        if matches!(run.outcome, Outcome::Gone) {
            // Its status does not come any more.
            state.waiting.remove(run.subnet);
            state.latest.remove(run.subnet);
        } else {
            let seen = run.seen.map(Option::<&ResourceVersion>::cloned);
            state.reconciled(run.subnet, Latest { seen, stored_at: run.stored_at });
        }
    }

    fn failed(&self, subnet: &str, error: &ReconcileError) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        self.state().error = Some(format!("{subnet}: {error}"));
    }
}

// === impl Totals ===

impl Totals {
    /// The sums since an earlier moment.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            reconciles: self.reconciles - earlier.reconciles,
            written: self.written - earlier.written,
            handler: self.handler - earlier.handler,
            nads: self.nads - earlier.nads,
            nad: self.nad - earlier.nad,
            unchanged: self.unchanged - earlier.unchanged,
            unchanged_took: self.unchanged_took - earlier.unchanged_took,
        }
    }
}

// === impl State ===

impl State {
    fn wait(&mut self, subnet: String, change: Waiting) {
        match self.latest.get(&subnet) {
            Some(latest) if latest.has_seen(&change) => {
                let took = latest.stored_at.saturating_duration_since(change.since);
                self.latency.saturating_record(nanos(took));
            }
            _ => self.waiting.entry(subnet).or_default().push(change),
        }
    }

    fn reconciled(&mut self, subnet: &str, latest: Latest) {
        if let Some(changes) = self.waiting.get_mut(subnet) {
            changes.retain(|change| {
                let seen = latest.has_seen(change);
                if seen {
                    let took = latest.stored_at.saturating_duration_since(change.since);
                    self.latency.saturating_record(nanos(took));
                }
                !seen
            });
            if changes.is_empty() {
                self.waiting.remove(subnet);
            }
        }
        self.latest.insert(subnet.to_owned(), latest);
    }
}

// === impl Latest ===

impl Latest {
    fn has_seen(&self, change: &Waiting) -> bool {
        self.seen[change.kind].as_ref().is_some_and(|seen| *seen >= change.version)
    }
}

/// Up to an hour in nanoseconds, to two digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 2).expect("valid bounds")
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconciled(tracker: &Tracker, subnet: usize, seen: &str, outcome: Outcome<'_>) {
        let version = ResourceVersion::from(seen);
        tracker.reconciled(&Run {
            subnet: &subnet_name(subnet),
            outcome,
            seen: [Some(&version); 3],
            nad_took: Some(Duration::from_millis(1)),
            took: Duration::from_millis(2),
            stored_at: Instant::now(),
        });
    }

    #[test]
    fn a_change_waits_for_a_reconcile_that_has_seen_it() {
        let tracker = Tracker::new();
        tracker.changed(2, 10, Instant::now(), &[1, 2]);
        reconciled(&tracker, 1, "9", Outcome::Unchanged);
        assert_eq!((tracker.unseen(), tracker.latency().len()), (2, 0));
        reconciled(&tracker, 1, "10", Outcome::Unchanged);
        reconciled(&tracker, 2, "12", Outcome::Unchanged);
        assert_eq!((tracker.unseen(), tracker.latency().len()), (0, 2));
        assert_eq!((tracker.totals().reconciles, tracker.totals().nads), (3, 3));
    }

    #[test]
    fn a_reconcile_may_end_before_the_version_of_the_change_is_known() {
        let tracker = Tracker::new();
        let since = Instant::now();
        reconciled(&tracker, 1, "10", Outcome::Unchanged);
        tracker.changed(0, 10, since, &[1]);
        assert_eq!((tracker.unseen(), tracker.latency().len()), (0, 1));
    }

    #[test]
    fn no_change_waits_for_the_status_of_a_subnet_that_is_gone() {
        let tracker = Tracker::new();
        tracker.changed(0, 10, Instant::now(), &[1]);
        reconciled(&tracker, 1, "9", Outcome::Gone);
        assert_eq!((tracker.unseen(), tracker.latency().len()), (0, 0));
    }
}
