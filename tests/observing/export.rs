//! The values of informers and queues, on the in-process API server and paused time.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use kube_informer::metrics::Exporter;
use kube_informer::queue::{Options, WorkQueue};
use kube_informer::registry::Projected;
use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Informer, Registry, Scope, Stored};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::grafana::exported;
use crate::rendered::Prometheus;

/// The number of entries; a map with `broken` is invalid.
struct Entries;

impl Stored for Entries {
    type Object = ConfigMap;

    fn project(map: ConfigMap) -> Projected<Self> {
        match map.data.is_some_and(|data| data.contains_key("broken")) {
            true => Err("it is broken".into()),
            false => Ok(Some(Self)),
        }
    }
}

fn map(name: &str, key: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {key: ""}, "metadata": {"name": name, "namespace": "default"}})
}

#[tokio::test(start_paused = true)]
async fn informers_are_exported_with_their_labels() {
    let server = ApiServer::new();
    server.create(map("a", "fine")).unwrap();
    server.create(map("b", "broken")).unwrap();
    let client = Client::new(server.service(), "default");
    let registry = Registry::new(client.clone());
    let whole = registry.declare::<ConfigMap>().informer();
    let _entries = registry.declare_in::<Entries>(Scope::namespace("default")).informer();
    let alone = Informer::builder(Api::<ConfigMap>::all(client)).start();
    let exporter = Exporter::new().registry(&registry).informer("alone", &alone);
    let prometheus = Prometheus::new();
    let all = r#"kind="configmaps",scope="all",stored="ConfigMap""#;
    let part = r#"kind="configmaps",scope="in default",stored="Entries""#;

    let text = prometheus.scrape(&exporter);
    assert_eq!(text.value(&format!("kube_informer_synced{{{all}}}")), Some(0.0), "{text:?}");
    assert_eq!(text.value(&format!("kube_informer_last_event_seconds{{{all}}}")), None, "no event yet");
    registry.start();
    registry.synced().await.unwrap();
    alone.synced().await.unwrap();
    let changes = whole.subscribe();
    sleep(Duration::from_secs(5)).await;
    server.inject(Fault::new(FaultAction::ErrorEvent(410)).verb("watch").resource("configmaps").times(3));
    server.merge_patch("configmaps", "default", "a", json!({"data": {"more": ""}})).unwrap();
    sleep(Duration::from_secs(5)).await;

    let text = prometheus.scrape(&exporter);
    for (series, value) in [
        (format!("kube_informer_synced{{{all}}}"), 1.0),
        (format!("kube_informer_objects{{{all}}}"), 2.0),
        (format!("kube_informer_objects{{{part}}}"), 1.0),
        ("kube_informer_objects{kind=\"alone\"}".to_owned(), 2.0),
        (format!("kube_informer_invalid_objects{{{all}}}"), 0.0),
        (format!("kube_informer_invalid_objects{{{part}}}"), 1.0),
        (format!("kube_informer_stale_seconds{{{all}}}"), 0.0),
        (format!("kube_informer_relists_total{{{all},cause=\"expired\"}}"), 1.0),
        (format!("kube_informer_relists_total{{{all},cause=\"watch_failed\"}}"), 0.0),
        (format!("kube_informer_lists_total{{{all}}}"), 2.0),
        (format!("kube_informer_watches_total{{{all}}}"), 2.0),
        (format!("kube_informer_watch_restarts_total{{{all}}}"), 0.0),
        (format!("kube_informer_errors_total{{{all}}}"), 1.0),
        (format!("kube_informer_subscribers{{{all}}}"), 1.0),
        (format!("kube_informer_subscriber_lag_versions{{{all}}}"), 2.0),
    ] {
        assert_eq!(text.value(&series), Some(value), "{series} in {text:?}");
    }
    drop(changes);

    server.inject(Fault::new(FaultAction::Reset).times(0));
    server.disconnect_watches();
    sleep(Duration::from_secs(100)).await;
    let stale = prometheus.scrape(&exporter).value(&format!("kube_informer_stale_seconds{{{all}}}")).unwrap();
    assert!((95.0..=100.0).contains(&stale), "{stale}");
    // The exporter keeps no informer.
    let state = whole.status_changes();
    drop((whole, alone));
    drop(state);
    assert_eq!(registry.stats().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn queues_are_exported_as_client_go_names_them() {
    let queue =
        WorkQueue::with_options(Options::new().backoff(Duration::from_secs(1), Duration::from_secs(1)));
    let exporter = Exporter::new().queue("maps", &queue);
    let prometheus = Prometheus::new();
    queue.add_all(["a", "b", "c"]);
    sleep(Duration::from_millis(100)).await;
    let a = queue.get().await.unwrap();
    sleep(Duration::from_secs(2)).await;
    a.done();
    queue.add_rate_limited("a");
    let _b = queue.get().await.unwrap();
    sleep(Duration::from_millis(500)).await;

    let text = prometheus.scrape(&exporter);
    let value = |name: &str| text.value(&format!("workqueue_{name}{{name=\"maps\"}}"));
    assert_eq!((value("depth"), value("delayed"), value("processing")), (Some(1.0), Some(1.0), Some(1.0)));
    let normal = "workqueue_depth_by_priority{name=\"maps\",priority=\"normal\"}";
    assert_eq!(text.value(normal), Some(1.0));
    assert_eq!((value("adds_total"), value("retries_total")), (Some(3.0), Some(1.0)));
    assert_eq!(value("unfinished_work_seconds"), Some(0.5));
    assert_eq!(value("longest_running_processor_seconds"), Some(0.5));
    // `a` waited for 0.1 s and took 2 s; `b` waited for 2.1 s.
    assert_eq!(value("queue_duration_seconds_count"), Some(2.0));
    assert_eq!(value("queue_duration_seconds_sum"), Some(2.2));
    assert_eq!(
        (value("work_duration_seconds_count"), value("work_duration_seconds_sum")),
        (Some(1.0), Some(2.0))
    );
    let buckets: Vec<_> = text
        .series()
        .filter(|(series, _)| series.starts_with("workqueue_queue_duration_seconds_bucket{"))
        .collect();
    assert_eq!(buckets.len(), 17);
    let le = |bound: &str| {
        text.value(&format!("workqueue_queue_duration_seconds_bucket{{name=\"maps\",le=\"{bound}\"}}"))
    };
    assert_eq!((le("0.065536"), le("0.262144"), le("1.048576")), (Some(0.0), Some(1.0), Some(1.0)));
    assert_eq!((le("0.000001"), le("4.194304"), le("1073.741824")), (Some(0.0), Some(2.0), Some(2.0)));
    assert_eq!(le("+Inf"), Some(2.0));
}

#[tokio::test]
async fn every_metric_is_described() {
    let text = exported().await;
    assert_eq!(text.names(), text.described());
}
