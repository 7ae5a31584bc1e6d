//! The metrics of informers.

use super::Source;
use super::labels::Labels;
use super::names::*;
use crate::informer::{Stats, WeakInformer};
use crate::reflector::Status;
use crate::registry::Registry;
use crate::scope::Scope;

/// An informer that belongs to no registry.
pub(super) struct Single<T> {
    pub(super) kind: String,
    pub(super) informer: WeakInformer<T>,
}

impl Source for Registry {
    fn record(&self) {
        for informer in self.stats() {
            let scope = match informer.scope {
                scope if scope == Scope::all() => "all".to_owned(),
                scope => scope.to_string(),
            };
            let labels =
                Labels::new("kind", informer.kind).and("scope", scope).and("stored", informer.stored);
            record(&labels, &informer.status, &informer.stats);
        }
    }
}

impl<T: Send + Sync + 'static> Source for Single<T> {
    fn record(&self) {
        if let Some(informer) = self.informer.upgrade() {
            record(&Labels::new("kind", self.kind.clone()), &informer.status(), &informer.stats());
        }
    }
}

fn record(labels: &Labels, status: &Status, stats: &Stats) {
    labels.gauge(&SYNCED, f64::from(u8::from(status.synced)));
    labels.gauge(&OBJECTS, stats.objects as f64);
    labels.gauge(&INVALID, stats.invalid_objects as f64);
    labels.gauge(&STALE, status.stale_since.map_or(0.0, |since| since.elapsed().as_secs_f64()));
    if let Some(age) = stats.last_event {
        labels.gauge(&LAST_EVENT, age.as_secs_f64());
    }
    labels.count(&LISTS, stats.lists);
    for (cause, count) in stats.relists.causes() {
        labels.and("cause", cause).count(&RELISTS, count);
    }
    labels.count(&WATCHES, stats.watches);
    labels.count(&WATCH_RESTARTS, stats.watch_restarts);
    labels.count(&ERRORS, stats.errors);
    labels.gauge(&PINNED, stats.pinned_versions as f64);
    labels.gauge(&SUBSCRIBERS, stats.subscribers as f64);
    labels.gauge(&LAG, stats.slowest_lag as f64);
    labels.gauge(&LAG_TIME, stats.longest_lag.as_secs_f64());
}
