//! The measurements of a run in one mode.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::check::Checked;
use super::churn::Applied;
use super::tracker::Totals;
use crate::cli::Mode;

/// The stats of one mode. Counts are of the time of the churn, without start and drain.
pub struct Measured {
    pub mode: Mode,
    /// The duration of the churn.
    pub length: Duration,
    pub churn: Applied,
    pub totals: Totals,
    /// Requests of the whole process, lists and watches included.
    pub reads: u64,
    pub writes: u64,
    pub failures: u64,
    /// CPU time of the controller's threads.
    pub cpu: Option<Duration>,
    /// CPU time of getting one NAD, measured by itself afterwards.
    pub cpu_per_nad: Option<Duration>,
    /// When, and how deep the queue was: every 10 ms.
    pub depths: Vec<(Duration, usize)>,
    /// The greatest of these depths.
    pub deepest: usize,
    /// Nanoseconds from change to status, the changes finished in the drain included.
    pub latency: Histogram<u64>,
    /// The time in which the queue drained after the churn; `None` if it did not drain in time.
    pub drained: Option<Duration>,
    /// `None` when it was interrupted.
    pub checked: Option<Checked>,
    /// The latest failure of a reconcile, in words.
    pub error: Option<String>,
}

// === impl Measured ===

impl Measured {
    pub fn reconciles_per_second(&self) -> f64 {
        ratio(self.totals.reconciles as f64, self.length.as_secs_f64())
    }

    pub fn reads_per_reconcile(&self) -> f64 {
        ratio(self.reads as f64, self.totals.reconciles as f64)
    }

    pub fn writes_per_reconcile(&self) -> f64 {
        ratio(self.writes as f64, self.totals.reconciles as f64)
    }

    /// The share of the handlers' time spent getting NADs.
    pub fn handler_share(&self) -> f64 {
        ratio(self.totals.nad.as_secs_f64(), self.totals.handler.as_secs_f64())
    }

    /// The share of the controller's CPU time spent getting NADs.
    pub fn cpu_share(&self) -> Option<f64> {
        let nads = self.cpu_per_nad?.as_secs_f64() * self.totals.nads as f64;
        // An estimate of two measurements: it must not exceed what there is.
        Some(ratio(nads, self.cpu?.as_secs_f64()).min(1.0))
    }

    pub fn median_depth(&self) -> usize {
        let mut depths: Vec<usize> = self.depths.iter().map(|(_, depth)| *depth).collect();
        depths.sort_unstable();
        depths.get(depths.len() / 2).copied().unwrap_or_default()
    }

    pub fn latency_at(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.latency.value_at_quantile(quantile))
    }

    /// The mean time to get a NAD.
    pub fn nad_took(&self) -> Duration {
        Duration::from_secs_f64(ratio(self.totals.nad.as_secs_f64(), self.totals.nads as f64))
    }

    /// The mean time of a reconcile that found the status right.
    pub fn without_write(&self) -> Duration {
        Duration::from_secs_f64(ratio(self.totals.unchanged_took.as_secs_f64(), self.totals.unchanged as f64))
    }

    /// The number of reconciles a second that `workers` can do if the queue is never empty.
    pub fn capacity(&self, workers: usize) -> f64 {
        workers as f64 * ratio(self.totals.reconciles as f64, self.totals.handler.as_secs_f64())
    }
}

#[cfg(test)]
impl Measured {
    /// A run for the tests of what is printed and drawn.
    pub fn example(mode: Mode, reads: u64) -> Self {
        let mut latency = super::tracker::new_histogram();
        latency.record(2_000_000).unwrap();
        Self {
            mode,
            length: Duration::from_secs(10),
            churn: Applied { changes: 20_000, late: Duration::ZERO },
            totals: Totals {
                reconciles: 10_000,
                written: 3000,
                handler: Duration::from_secs(20),
                nads: 10_000,
                nad: Duration::from_secs(5),
                unchanged: 5000,
                unchanged_took: Duration::from_secs(10),
            },
            reads,
            writes: 3000,
            failures: 0,
            cpu: Some(Duration::from_secs(4)),
            cpu_per_nad: Some(Duration::from_micros(100)),
            depths: vec![(Duration::ZERO, 3), (Duration::ZERO, 9), (Duration::ZERO, 5)],
            deepest: 12,
            latency,
            drained: Some(Duration::from_millis(3)),
            checked: Some(Checked { subnets: 500, wrong: vec![] }),
            error: None,
        }
    }
}

/// 0 of 0 is 0.
pub fn ratio(of: f64, all: f64) -> f64 {
    if all > 0.0 { of / all } else { 0.0 }
}
