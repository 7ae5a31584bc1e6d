//! Records values under a set of labels.

use metrics::{Label, SharedString};

use super::names::{Histogram, Metric};
use crate::queue::Timings;

/// Of the bounds of [`Timings`], which double, each second one is exported: 1 us, 4 us, .., 4^15 us.
const STEP: usize = 2;
const BOUNDS: usize = 16;

/// The labels of one source.
#[derive(Clone)]
pub(super) struct Labels(Vec<Label>);

// === impl Labels ===

impl Labels {
    pub(super) fn new(key: &'static str, value: impl Into<SharedString>) -> Self {
        Self(vec![Label::new(key, value)])
    }

    /// One more label.
    pub(super) fn and(&self, key: &'static str, value: impl Into<SharedString>) -> Self {
        let mut labels = self.clone();
        labels.0.push(Label::new(key, value));
        labels
    }

    pub(super) fn gauge(&self, metric: &Metric, value: f64) {
        metrics::gauge!(metric.name, self.0.clone()).set(value);
    }

    pub(super) fn count(&self, metric: &Metric, value: u64) {
        metrics::counter!(metric.name, self.0.clone()).absolute(value);
    }

    pub(super) fn timings(&self, histogram: &Histogram, timings: &Timings) {
        for (bound, count) in timings.buckets().step_by(STEP).take(BOUNDS) {
            self.and("le", bound.as_secs_f64().to_string()).count(&histogram.bucket, count);
        }
        self.and("le", "+Inf").count(&histogram.bucket, timings.count());
        self.count(&histogram.count, timings.count());
        self.gauge(&histogram.sum, timings.sum().as_secs_f64());
    }
}
