//! The metrics of controllers.

use super::labels::Labels;
use super::names::*;
use super::{Source, queue};
use crate::controller::Handle;

/// A controller and its label.
pub(super) struct Controlled {
    pub(super) name: String,
    pub(super) handle: Handle,
}

impl Source for Controlled {
    fn record(&self) {
        let (labels, stats) = (Labels::new("controller", self.name.clone()), self.handle.stats());
        labels.gauge(&RUNNING, f64::from(u8::from(stats.running)));
        labels.count(&RUNS, stats.runs);
        labels.gauge(&FIRST_PASS, f64::from(u8::from(stats.first_pass.is_some())));
        for (result, count) in [
            ("succeeded", stats.succeeded),
            ("failed", stats.failed),
            ("panicked", stats.panicked),
            ("timed_out", stats.timed_out),
            ("skipped", stats.skipped),
            ("aborted", stats.aborted),
            ("not_held", stats.not_held),
        ] {
            labels.and("result", result).count(&RECONCILES, count);
        }
        labels.gauge(&ACTIVE, stats.active as f64);
        labels.gauge(&MAXIMUM, stats.concurrency as f64);
        labels.timings(&RECONCILE_TIME, &stats.durations);
        labels.count(&WAITED, stats.waited_for_write);
        labels.count(&NOT_RECEIVED, stats.write_not_received);
        labels.count(&LOOPS, stats.own_write_loops);
        labels.count(&MAPPING_PANICS, stats.mapping_panics);
        if let Some(stats) = &stats.queue {
            queue::record(&self.name, stats);
        }
    }
}
