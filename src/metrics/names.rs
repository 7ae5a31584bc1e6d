//! The names of all metrics, and what each means. `docs/OBSERVING.md` has the same list for readers.

use metrics::{Unit, describe_counter, describe_gauge};

/// One metric.
pub(super) struct Metric {
    pub(super) name: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
}

enum Kind {
    Counter,
    Gauge,
}

/// The series of a histogram.
pub(super) struct Histogram {
    pub(super) bucket: Metric,
    pub(super) count: Metric,
    pub(super) sum: Metric,
}

/// Makes the [`Metric`]s, and a list of them.
macro_rules! metrics {
    ($($constant:ident = $make:ident($name:literal, $unit:ident, $help:literal);)*) => {
        $(pub(super) const $constant: Metric = $make($name, Unit::$unit, $help);)*
        const SINGLE: &[Metric] = &[$($constant),*];
    };
}

/// Makes the [`Histogram`]s, and a list of them.
macro_rules! histograms {
    ($($constant:ident = ($name:literal, $counted:literal);)*) => {
        $(pub(super) const $constant: Histogram = Histogram {
            bucket: counter(
                concat!($name, "_bucket"), Unit::Count, concat!($counted, ", which took at most `le` seconds"),
            ),
            count: counter(concat!($name, "_count"), Unit::Count, $counted),
            sum: gauge(concat!($name, "_sum"), Unit::Seconds, concat!($counted, ", the sum of their times")),
        };)*
        const HISTOGRAMS: &[Histogram] = &[$($constant),*];
    };
}

metrics! {
    // Informers. Labels: kind, scope, stored.
    SYNCED = gauge("kube_informer_synced", Count, "Whether the first list is complete (0 or 1)");
    OBJECTS = gauge("kube_informer_objects", Count, "Cached objects");
    INVALID = gauge("kube_informer_invalid_objects", Count, "Objects whose newest version does not decode");
    STALE = gauge(
        "kube_informer_stale_seconds", Seconds,
        "Time for which the cache may have been behind the API server; 0 while a watch keeps it current"
    );
    LAST_EVENT = gauge("kube_informer_last_event_seconds", Seconds, "Time since the last event, bookmark or list page");
    LISTS = counter("kube_informer_lists_total", Count, "Completed lists");
    RELISTS = counter("kube_informer_relists_total", Count, "Lists after the first, by cause");
    WATCHES = counter("kube_informer_watches_total", Count, "Watches opened");
    WATCH_RESTARTS = counter(
        "kube_informer_watch_restarts_total", Count, "Watches opened without a list, after one ended or broke"
    );
    ERRORS = counter("kube_informer_errors_total", Count, "Failed requests, broken watches, invalid responses");
    PINNED = gauge("kube_informer_pinned_versions", Count, "Old versions kept in memory by readers and subscriptions");
    SUBSCRIBERS = gauge("kube_informer_subscribers", Count, "Subscriptions");
    LAG = gauge(
        "kube_informer_subscriber_lag_versions", Count, "Changes that the slowest subscription has not received yet"
    );
    LAG_TIME = gauge(
        "kube_informer_subscriber_lag_seconds", Seconds,
        "The longest time for which a subscription has not received a change"
    );

    // Controllers. Label: controller.
    RUNNING = gauge("kube_informer_controller_running", Count, "Whether the controller runs (0 or 1)");
    RUNS = counter("kube_informer_controller_runs_total", Count, "Runs that began");
    FIRST_PASS = gauge(
        "kube_informer_controller_first_pass_done", Count,
        "Whether all that existed at the start of the run was reconciled once (0 or 1)"
    );
    RECONCILES = counter("kube_informer_controller_reconcile_total", Count, "Reconciles that ended, by result");
    ACTIVE = gauge("kube_informer_controller_active_workers", Count, "Reconciles that run");
    MAXIMUM = gauge(
        "kube_informer_controller_max_concurrent_reconciles", Count, "Reconciles that may run at the same time"
    );
    WAITED = counter(
        "kube_informer_controller_waited_for_write_total", Count,
        "Keys that waited until the informer had received their last write"
    );
    NOT_RECEIVED = counter(
        "kube_informer_controller_write_not_received_total", Count,
        "Reconciles that began without the last write, after the time limit"
    );
    LOOPS = counter(
        "kube_informer_controller_own_write_loops_total", Count,
        "Reconciles that wrote although only the write before had caused them"
    );
    MAPPING_PANICS = counter(
        "kube_informer_controller_mapping_panics_total", Count, "Panics of predicates and mappings"
    );

    // Queues, as client-go names them. Label: name.
    DEPTH = gauge("workqueue_depth", Count, "Keys that are ready");
    DEPTH_OF = gauge("workqueue_depth_by_priority", Count, "Keys that are ready, by priority");
    DELAYED = gauge("workqueue_delayed", Count, "Keys that wait for a deadline, retries included");
    ADDS = counter("workqueue_adds_total", Count, "Keys queued");
    RETRIES = counter("workqueue_retries_total", Count, "Failures counted");
    PROCESSING = gauge("workqueue_processing", Count, "Keys being worked on");
    UNFINISHED = gauge("workqueue_unfinished_work_seconds", Seconds, "Sum of the ages of the keys being worked on");
    LONGEST = gauge(
        "workqueue_longest_running_processor_seconds", Seconds, "Age of the oldest key being worked on"
    );
}

histograms! {
    WAIT = ("workqueue_queue_duration_seconds", "Keys that waited for a worker");
    WORK = ("workqueue_work_duration_seconds", "Keys that were worked on");
    RECONCILE_TIME = ("kube_informer_controller_reconcile_time_seconds", "Reconciles that ended");
}

/// Describes each metric to the recorder, which may be a new one.
pub(super) fn describe() {
    let parts = HISTOGRAMS.iter().flat_map(|Histogram { bucket, count, sum }| [bucket, count, sum]);
    for metric in SINGLE.iter().chain(parts) {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.unit, metric.help),
        }
    }
}

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit, help }
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help }
}
