//! What the page shows, as JSON. No content of an object is in it, and keys only if that was asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use kube_informer::controller;
use kube_informer::queue::{self, Priority, Timings};
use kube_informer::registry::InformerStats;
use kube_informer::{Index, Obj, Phase};
use serde_json::{Value, json};

use super::App;
use super::history::History;
use crate::inspected::{Inspected, LABEL, Row};

/// The most index keys, and objects, that are shown of one.
const KEYS: usize = 8;
const NAMES: usize = 12;

pub(super) fn of(app: &App, history: &History) -> Value {
    let stats = app.registry.stats();
    let informers: Vec<_> = stats.iter().map(|stats| informer(app, stats, history)).collect();
    let queues: Vec<_> =
        app.queues.iter().map(|(name, queue)| describe_queue(name, &queue.stats(), history)).collect();
    let controllers: Vec<_> = app
        .controllers
        .iter()
        .map(|(name, handle)| describe_controller(name, &handle.stats(), history))
        .collect();
    let errors: Vec<_> = history
        .errors()
        .into_iter()
        .map(|failure| {
            json!({ "age": failure.at.elapsed().as_secs_f64(), "informer": failure.informer, "error": failure.error })
        })
        .collect();
    json!({
        "registries": [{ "server": app.server, "informers": informers }],
        "queues": queues,
        "controllers": controllers,
        "errors": errors,
    })
}

fn informer(app: &App, informer: &InformerStats, history: &History) -> Value {
    let InformerStats { kind, scope, status, stats, .. } = informer;
    let inspected = app.inspected.iter().find(|one| one.kind.name == *kind && one.scope == *scope);
    let relists: BTreeMap<_, _> = stats.relists.causes().filter(|(_, count)| *count > 0).collect();
    json!({
        "kind": kind,
        "scope": scope.to_string(),
        "phase": phase(status.phase),
        "synced": status.synced,
        "stale": status.stale_since.map(|since| since.elapsed().as_secs_f64()),
        "objects": stats.objects,
        "invalid": stats.invalid_objects,
        "lastEvent": stats.last_event.map(seconds),
        "lists": stats.lists,
        "relists": relists,
        "watches": stats.watches,
        "watchRestarts": stats.watch_restarts,
        "errors": stats.errors,
        "pinned": stats.pinned_versions,
        "subscribers": stats.subscribers,
        "lag": stats.slowest_lag,
        "lagTime": seconds(stats.longest_lag),
        "history": history.series(&format!("objects {kind} {scope}")),
        "indexes": inspected.map(|one| indexes(one, app.show_names)),
        "names": inspected.filter(|_| app.show_names).map(names),
    })
}

fn indexes(one: &Inspected, show_names: bool) -> Value {
    let label = format!("label {LABEL}");
    one.objects.read(|view| {
        let index = |name: &str, index: &Index<Row, String>| {
            let mut keys: Vec<_> = view.index_keys(index).collect();
            keys.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.cmp(b)));
            let count = keys.len();
            let largest: Vec<_> = keys
                .into_iter()
                .take(KEYS)
                .map(|(key, objects)| json!({ "key": show_names.then_some(key), "objects": objects }))
                .collect();
            json!({ "name": name, "keys": count, "largest": largest })
        };
        let by_namespace = one.kind.namespaced.then(|| index("namespace", &one.by_namespace));
        by_namespace.into_iter().chain([index(&label, &one.by_label)]).collect()
    })
}

fn names(one: &Inspected) -> Vec<String> {
    one.objects.read(|view| {
        view.by_index(&one.in_order, &()).take(NAMES).map(|object| Obj::key(object).to_string()).collect()
    })
}

fn describe_queue(name: &str, stats: &queue::Stats, history: &History) -> Value {
    json!({
        "name": name,
        "depth": stats.depth,
        "delayed": stats.delayed,
        "processing": stats.processing,
        "adds": stats.adds,
        "retries": stats.retries,
        "unfinished": seconds(stats.unfinished),
        "longest": seconds(stats.longest_running),
        "wait": timings(&stats.wait),
        "work": timings(&stats.work),
        "history": history.series(&format!("depth {name}")),
    })
}

fn describe_controller(name: &str, stats: &controller::Stats, history: &History) -> Value {
    let queue = stats.queue.as_ref();
    let depth = |priority| queue.map_or(0, |queue| queue.depth_of(priority));
    json!({
        "name": name,
        "running": stats.running,
        "runs": stats.runs,
        "firstPass": stats.first_pass.map(|pass| json!({ "keys": pass.keys, "failed": pass.failed })),
        "active": stats.active,
        "concurrency": stats.concurrency,
        "results": {
            "succeeded": stats.succeeded,
            "failed": stats.failed,
            "panicked": stats.panicked,
            "timed out": stats.timed_out,
            "skipped": stats.skipped,
            "aborted": stats.aborted,
            "not held": stats.not_held,
        },
        "waitedForWrite": stats.waited_for_write,
        "writeNotReceived": stats.write_not_received,
        "ownWriteLoops": stats.own_write_loops,
        "mappingPanics": stats.mapping_panics,
        "durations": timings(&stats.durations),
        "wait": queue.map(|queue| timings(&queue.wait)),
        "longest": queue.map(|queue| seconds(queue.longest_running)),
        "depth": {
            "high": depth(Priority::High),
            "normal": depth(Priority::Normal),
            "low": depth(Priority::Low),
        },
        "delayed": queue.map_or(0, |queue| queue.delayed),
        "history": history.series(&format!("controller {name}")),
    })
}

fn timings(timings: &Timings) -> Value {
    json!({
        "count": timings.count(),
        "p50": seconds(timings.quantile(0.5)),
        "p99": seconds(timings.quantile(0.99)),
        "max": seconds(timings.max()),
    })
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::Listing => "listing",
        Phase::Watching => "watching",
        Phase::BackingOff => "backing off",
        Phase::Polling => "polling",
        Phase::Absent => "absent",
        Phase::Stopped => "stopped",
        _ => "unknown",
    }
}
