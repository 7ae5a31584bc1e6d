//! The values of controllers, on the in-process API server and paused time.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube_client::api::{Patch, PatchParams};
use kube_client::{Api, Client};
use kube_informer::controller::{Action, Context, Controller};
use kube_informer::metrics::Exporter;
use kube_informer::queue::Options;
use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Informer, Obj, ObjectKey};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::rendered::{Prometheus, Rendered};

const SECOND: Duration = Duration::from_secs(1);

fn object(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}})
}

fn start() -> (ApiServer, Client, Informer<ConfigMap>) {
    let server = ApiServer::new();
    let client = Client::new(server.service(), "default");
    let maps = Informer::builder(Api::<ConfigMap>::all(client.clone())).start();
    (server, client, maps)
}

/// The value of a series of the controller `maps`.
fn value(text: &Rendered, name: &str) -> Option<f64> {
    text.value(&format!("kube_informer_controller_{name}{{controller=\"maps\"}}"))
}

fn result(text: &Rendered, result: &str) -> Option<f64> {
    text.value(&format!(
        "kube_informer_controller_reconcile_total{{controller=\"maps\",result=\"{result}\"}}"
    ))
}

fn depth(text: &Rendered, priority: &str) -> Option<f64> {
    text.value(&format!("workqueue_depth_by_priority{{name=\"maps\",priority=\"{priority}\"}}"))
}

/// What becomes of a map is its name, and takes a second.
async fn as_named(map: Obj<ConfigMap>, _: Context<()>) -> Result<Action, io::Error> {
    sleep(SECOND).await;
    match Obj::name(&map) {
        "fails" => Err(io::Error::other("as it should")),
        "panics" => panic!("as it should"),
        "hangs" => pending().await,
        _ => Ok(Action::await_change()),
    }
}

#[tokio::test(start_paused = true)]
async fn reconciles_are_exported_by_result() {
    let (server, _, maps) = start();
    for name in ["a", "b", "fails", "hangs", "panics"] {
        server.create(object("ConfigMap", name)).unwrap();
    }
    let controller = Controller::new(&maps)
        .concurrency(2)
        .timeout(10 * SECOND)
        .retries(Options::new().backoff(100 * SECOND, 100 * SECOND));
    let handle = controller.handle();
    let (exporter, prometheus) = (Exporter::new().controller("maps", &handle), Prometheus::new());

    let text = prometheus.scrape(&exporter);
    assert_eq!((value(&text, "running"), value(&text, "runs_total")), (Some(0.0), Some(0.0)));
    assert_eq!(text.value("workqueue_depth{name=\"maps\"}"), None, "no queue before the first run");

    tokio::spawn(async move { controller.run(as_named, |_, _, _| Action::retry(), Arc::new(())).await });
    sleep(SECOND / 2).await;
    let text = prometheus.scrape(&exporter);
    assert_eq!((value(&text, "running"), value(&text, "first_pass_done")), (Some(1.0), Some(0.0)));
    assert_eq!(
        (value(&text, "active_workers"), value(&text, "max_concurrent_reconciles")),
        (Some(2.0), Some(2.0))
    );
    assert_eq!(text.value("workqueue_depth{name=\"maps\"}"), Some(3.0));
    // The objects of the first list.
    assert_eq!(["high", "normal", "low"].map(|p| depth(&text, p)), [Some(0.0), Some(0.0), Some(3.0)]);

    handle.enqueue(ObjectKey::new("default", "none"));
    assert_eq!(depth(&prometheus.scrape(&exporter), "normal"), Some(1.0));
    handle.first_pass().await;
    let text = prometheus.scrape(&exporter);
    assert_eq!(
        ["succeeded", "failed", "panicked", "timed_out", "skipped"].map(|r| result(&text, r)),
        [Some(2.0), Some(1.0), Some(1.0), Some(1.0), Some(1.0)],
        "{text:?}"
    );
    assert_eq!((value(&text, "runs_total"), value(&text, "first_pass_done")), (Some(1.0), Some(1.0)));
    assert_eq!(value(&text, "active_workers"), Some(0.0));
    // Four of a second, and one of ten; a key that is skipped takes none.
    let counted = (value(&text, "reconcile_time_seconds_count"), value(&text, "reconcile_time_seconds_sum"));
    assert_eq!(counted, (Some(5.0), Some(14.0)));
    let le = |bound: &str| {
        let labels = format!("{{controller=\"maps\",le=\"{bound}\"}}");
        text.value(&format!("kube_informer_controller_reconcile_time_seconds_bucket{labels}"))
    };
    assert_eq!((le("0.262144"), le("4.194304"), le("+Inf")), (Some(0.0), Some(4.0), Some(5.0)));
}

#[tokio::test(start_paused = true)]
async fn own_writes_and_panics_of_mappings_are_exported() {
    let (server, client, maps) = start();
    server.create(object("ConfigMap", "m")).unwrap();
    server.create(object("Secret", "s")).unwrap();
    let secrets = Informer::builder(Api::<Secret>::all(client.clone())).start();
    let controller = Controller::new(&maps)
        .written_within(10 * SECOND)
        .watches(&secrets, |_, _, _| panic!("as it should"));
    let handle = controller.handle();
    let (exporter, prometheus) = (Exporter::new().controller("maps", &handle), Prometheus::new());
    let api = Api::<ConfigMap>::namespaced(client, "default");
    // Writes on each pass.
    let reconcile = move |map: Obj<ConfigMap>, ctx: Context<()>| {
        let api = api.clone();
        async move {
            sleep(SECOND).await;
            let version = json!({ "data": { "seen": map.metadata.resource_version.as_deref() } });
            let written = api.patch("m", &PatchParams::default(), &Patch::Merge(version)).await?;
            ctx.written(&written);
            Ok::<_, kube_client::Error>(Action::await_change())
        }
    };
    let run = |controller: Arc<Controller<ConfigMap>>| {
        let reconcile = reconcile.clone();
        tokio::spawn(async move { controller.run(reconcile, |_, _, _| Action::retry(), Arc::new(())).await })
    };
    let controller = Arc::new(controller);
    let first = run(controller.clone());
    sleep(10 * SECOND).await;
    let text = prometheus.scrape(&exporter);
    assert!(value(&text, "own_write_loops_total") >= Some(5.0), "{text:?}");
    assert_eq!(value(&text, "mapping_panics_total"), Some(1.0));
    assert_eq!(value(&text, "write_not_received_total"), Some(0.0));

    // The informer no longer receives what is written.
    server.inject(Fault::new(FaultAction::Reset).times(0).verb("watch"));
    server.inject(Fault::new(FaultAction::Reset).times(0).verb("list"));
    server.disconnect_watches();
    sleep(3 * SECOND).await;
    let before = value(&prometheus.scrape(&exporter), "waited_for_write_total");
    handle.enqueue(ObjectKey::new("default", "m"));
    sleep(SECOND).await;
    let text = prometheus.scrape(&exporter);
    assert!(value(&text, "waited_for_write_total") > before, "{text:?}");
    sleep(10 * SECOND).await;
    assert_eq!(value(&prometheus.scrape(&exporter), "write_not_received_total"), Some(1.0));

    handle.stop();
    first.await.unwrap().unwrap();
    assert_eq!(value(&prometheus.scrape(&exporter), "running"), Some(0.0));
    server.clear_faults();
    run(controller);
    sleep(SECOND / 2).await;
    let text = prometheus.scrape(&exporter);
    assert_eq!((value(&text, "running"), value(&text, "runs_total")), (Some(1.0), Some(2.0)));
}
