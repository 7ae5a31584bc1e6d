//! The endpoints, asked in process, on the demonstration's server.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use kube_client::Client;
use kube_informer::controller::{Action, Context, Controller, Ended};
use kube_informer::testing::{ApiServer, Kind};
use kube_informer::{Error, Obj, Registry, Scope};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::*;
use crate::inspected::Row;
use crate::kinds;

/// A name that is shown only when that was asked for.
const NAME: &str = "confidential";

/// An inspector of ConfigMaps, and the handle of the recorder that this process may have only once.
async fn app(show_names: bool) -> (ApiServer, App) {
    let server = ApiServer::builder().kind(Kind::cluster("kubeovn.io", "v1", "Subnet", "subnets")).build();
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "text": NAME },
        "metadata": { "name": NAME, "namespace": NAME, "labels": { "app": NAME } } });
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAME } });
    server.create(namespace).unwrap();
    server.create(map).unwrap();
    let client = Client::new(server.service(), "default");
    let registry = Registry::new(client.clone());
    let kind = kinds::find(&client, "configmaps").await.unwrap();
    let inspected = vec![Inspected::declare(&registry, kind, Scope::all()).unwrap()];
    let queue = WorkQueue::new();
    queue.add(ObjectKey::new(NAME, NAME));
    let prometheus = PrometheusBuilder::new().build_recorder().handle();
    let app = App {
        server: "a test".to_owned(),
        registry,
        inspected,
        queues: vec![("maps", queue)],
        controllers: vec![],
        prometheus,
        show_names,
    };
    (server, app)
}

async fn get_text(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn metrics_are_scraped() {
    let (_server, mut app) = app(false).await;
    app.prometheus = PrometheusBuilder::new().install_recorder().unwrap();
    app.registry.start();
    app.registry.synced().await.unwrap();
    let (router, _) = router(app);
    let (status, text) = get_text(&router, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "kube_informer_objects{kind=\"configmaps\",scope=\"all\",stored=\"Row\"} 1",
        "kube_informer_synced{kind=\"configmaps\",scope=\"all\",stored=\"Row\"} 1",
        "workqueue_depth{name=\"maps\"} 1",
        "workqueue_adds_total{name=\"maps\"} 1",
        "# TYPE kube_informer_errors_total counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(!text.contains(NAME));
}

#[tokio::test]
async fn probes_say_what_is_missing() {
    let (_server, app) = app(false).await;
    let registry = app.registry.clone();
    let informer = app.inspected[0].objects.clone();
    let (router, _) = router(app);
    let (status, text) = get_text(&router, "/readyz").await;
    assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "configmaps: not started\n"));
    assert_eq!(get_text(&router, "/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    registry.start();
    registry.synced().await.unwrap();
    assert_eq!(get_text(&router, "/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
    informer.shutdown().await;
    let (status, text) = get_text(&router, "/livez").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && text.starts_with("configmaps: stopped"), "{text}");
}

/// Adds a controller of the ConfigMaps, which waits for the permit that is returned.
fn control(app: &mut App) -> (Arc<Semaphore>, JoinHandle<Result<Ended, Error>>) {
    let controller = Controller::new(&app.inspected[0].objects).concurrency(3);
    app.controllers.push(("maps", controller.handle()));
    let permits = Arc::new(Semaphore::new(0));
    let reconcile = |_: Obj<Row>, permits: Context<Semaphore>| async move {
        permits.acquire().await.map(|_| Action::await_change())
    };
    let shared = permits.clone();
    (permits, tokio::spawn(async move { controller.run(reconcile, |_, _, _| Action::retry(), shared).await }))
}

#[tokio::test]
async fn controllers_are_ready_after_their_first_pass() {
    let (_server, mut app) = app(false).await;
    app.queues.clear();
    let (permits, run) = control(&mut app);
    app.registry.start();
    app.registry.synced().await.unwrap();
    let handle = app.controllers[0].1.clone();
    let (router, _) = router(app);
    let (status, text) = get_text(&router, "/readyz").await;
    let missing = "controller maps: has not reconciled all objects yet\n";
    assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, missing));
    while handle.stats().active == 0 {
        tokio::task::yield_now().await;
    }
    let state =
        async || -> Value { serde_json::from_str(&get_text(&router, "/state.json").await.1).unwrap() };
    let controller = state().await["controllers"][0].take();
    assert_eq!((&controller["name"], &controller["running"]), (&json!("maps"), &json!(true)));
    assert_eq!((&controller["active"], &controller["concurrency"]), (&json!(1), &json!(3)));
    assert_eq!(controller["firstPass"], json!(null));

    permits.add_permits(1);
    handle.first_pass().await;
    assert_eq!(get_text(&router, "/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
    let controller = state().await["controllers"][0].take();
    assert_eq!(controller["firstPass"], json!({ "keys": 1, "failed": 0 }));
    assert_eq!(controller["results"]["succeeded"], json!(1));
    assert_eq!(controller["depth"], json!({ "high": 0, "normal": 0, "low": 0 }));
    handle.stop();
    run.await.unwrap().unwrap();
    assert_eq!(state().await["controllers"][0]["running"], json!(false));
}

#[tokio::test]
async fn names_are_shown_when_asked_for_and_content_never() {
    for show_names in [false, true] {
        let (_server, app) = app(show_names).await;
        app.registry.start();
        app.registry.synced().await.unwrap();
        let (router, _) = router(app);
        let (status, text) = get_text(&router, "/state.json").await;
        assert_eq!(status, StatusCode::OK);
        let state: Value = serde_json::from_str(&text).unwrap();
        let informer = &state["registries"][0]["informers"][0];
        assert_eq!((&informer["kind"], &informer["phase"]), (&json!("configmaps"), &json!("watching")));
        assert_eq!((&informer["objects"], &informer["indexes"][0]["keys"]), (&json!(1), &json!(1)));
        assert_eq!((&state["queues"][0]["depth"], &state["controllers"]), (&json!(1), &json!([])));
        let key = &informer["indexes"][0]["largest"][0]["key"];
        if show_names {
            assert_eq!((key, &informer["names"]), (&json!(NAME), &json!([format!("{NAME}/{NAME}")])));
        } else {
            assert!(!text.contains(NAME), "{text}");
        }
    }
}

#[tokio::test]
async fn the_page_and_its_parts_are_served() {
    let (_server, app) = app(false).await;
    let (router, _) = router(app);
    let (status, page) = get_text(&router, "/").await;
    assert!(status == StatusCode::OK && page.starts_with("<!doctype html>"));
    for part in ["/style.css", "/script.js"] {
        assert!(page.contains(&format!("\"{part}\"")));
        assert_eq!(get_text(&router, part).await.0, StatusCode::OK);
    }
    assert_eq!(get_text(&router, "/nothing").await.0, StatusCode::NOT_FOUND);
}
