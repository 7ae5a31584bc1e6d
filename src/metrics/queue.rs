//! The metrics of queues.

use std::hash::Hash;

use super::Source;
use super::labels::Labels;
use super::names::*;
use crate::queue::{Priority, Stats, WorkQueue};

/// The values of the label `priority`.
const PRIORITIES: [(&str, Priority); 3] =
    [("high", Priority::High), ("normal", Priority::Normal), ("low", Priority::Low)];

/// A queue and its label.
pub(super) struct Named<K> {
    pub(super) name: String,
    pub(super) queue: WorkQueue<K>,
}

impl<K: Hash + Eq + Send + Sync> Source for Named<K> {
    fn record(&self) {
        record(&self.name, &self.queue.stats());
    }
}

/// Records a queue of this name.
pub(super) fn record(name: &str, stats: &Stats) {
    let labels = Labels::new("name", name.to_owned());
    labels.gauge(&DEPTH, stats.depth as f64);
    for (name, priority) in PRIORITIES {
        labels.and("priority", name).gauge(&DEPTH_OF, stats.depth_of(priority) as f64);
    }
    labels.gauge(&DELAYED, stats.delayed as f64);
    labels.count(&ADDS, stats.adds);
    labels.count(&RETRIES, stats.retries);
    labels.gauge(&PROCESSING, stats.processing as f64);
    labels.gauge(&UNFINISHED, stats.unfinished.as_secs_f64());
    labels.gauge(&LONGEST, stats.longest_running.as_secs_f64());
    labels.timings(&WAIT, &stats.wait);
    labels.timings(&WORK, &stats.work);
}
