//! What the tools of an operator ask.
//!
//! ```text
//! GET /metrics    for Prometheus
//! GET /readyz     503 until all subnets were reconciled once, and while a cache is stale for longer than a limit
//! GET /livez      503 when the controller or an informer has stopped, which only a restart repairs
//! ```

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use kube_informer::controller::Handle;
use kube_informer::metrics::Exporter;
use kube_informer::{Phase, Registry};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use super::log::say;
use crate::controller::Controller;

/// For how long a cache may be behind. NADs are listed only every 30 s if they cannot be watched.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Endpoints {
    registry: Registry,
    controller: Handle,
    exporter: Exporter,
    prometheus: PrometheusHandle,
}

/// Serves at the address, if there is one. Returns only with an error.
pub async fn serve(address: Option<SocketAddr>, controller: &Controller) -> anyhow::Result<()> {
    let Some(address) = address else { pending().await };
    let listener = TcpListener::bind(address).await.with_context(|| format!("--metrics {address}"))?;
    say!("metrics at http://{}/metrics", listener.local_addr()?);
    axum::serve(listener, router(controller)?).await.context("--metrics")
}

fn router(controller: &Controller) -> anyhow::Result<Router> {
    let (registry, handle) = (controller.caches.registry.clone(), controller.handle.clone());
    let endpoints = Endpoints {
        exporter: Exporter::new().registry(&registry).controller("subnets", &handle),
        prometheus: PrometheusBuilder::new().install_recorder()?,
        registry,
        controller: handle,
    };
    let router = Router::new();
    let router =
        router.route("/metrics", get(metrics)).route("/readyz", get(readyz)).route("/livez", get(livez));
    Ok(router.with_state(endpoints))
}

async fn metrics(State(endpoints): State<Endpoints>) -> String {
    endpoints.exporter.record();
    endpoints.prometheus.render()
}

async fn readyz(State(Endpoints { registry, controller, .. }): State<Endpoints>) -> (StatusCode, String) {
    let mut problems: Vec<_> = registry.stale(LIMIT).iter().map(ToString::to_string).collect();
    if controller.stats().first_pass.is_none() {
        problems.push("not all subnets were reconciled yet".to_owned());
    }
    answer(&problems)
}

async fn livez(State(Endpoints { registry, controller, .. }): State<Endpoints>) -> (StatusCode, String) {
    let stopped = registry.stats().into_iter().filter(|informer| informer.status.phase == Phase::Stopped);
    let mut problems: Vec<_> = stopped.map(|informer| informer.to_string()).collect();
    let stats = controller.stats();
    if stats.runs > 0 && !stats.running {
        problems.push("the controller has stopped".to_owned());
    }
    answer(&problems)
}

fn answer(problems: &[String]) -> (StatusCode, String) {
    match problems {
        [] => (StatusCode::OK, "ok\n".to_owned()),
        problems => (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use kube_client::Client;
    use kube_informer::testing::{ApiServer, Kind};
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::*;
    use crate::cluster::log::Log;
    use crate::controller::{Caches, NadSource, Settings};

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn the_controller_is_scraped_and_probed() {
        let kind = "NetworkAttachmentDefinition";
        let server = ApiServer::builder()
            .kind(Kind::namespaced("k8s.cni.cncf.io", "v1", kind, "network-attachment-definitions"))
            .kind(Kind::cluster("kubeovn.io", "v1", "Subnet", "subnets").with_status())
            .build();
        let subnet = json!({"apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "s"},
            "spec": {"cidrBlock": "10.0.0.0/24", "provider": "ovn"}});
        server.create(subnet).unwrap();
        let client = Client::new(server.service(), "default");
        let caches = Caches::start(&client).await.unwrap();
        let settings = Settings { nad_source: NadSource::Cached, workers: 2, dry_run: false };
        let controller = Controller::start(&client, caches, settings, Log::new());
        let handle = controller.handle.clone();
        let router = router(&controller).unwrap();

        let unready = (StatusCode::SERVICE_UNAVAILABLE, "not all subnets were reconciled yet\n".to_owned());
        assert_eq!(ask(&router, "/readyz").await, unready);
        handle.first_pass().await;
        let ok = (StatusCode::OK, "ok\n".to_owned());
        assert_eq!((ask(&router, "/readyz").await, ask(&router, "/livez").await), (ok.clone(), ok));
        let (status, text) = ask(&router, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        for line in [
            "kube_informer_controller_first_pass_done{controller=\"subnets\"} 1",
            "kube_informer_controller_max_concurrent_reconciles{controller=\"subnets\"} 2",
            "kube_informer_controller_reconcile_total{controller=\"subnets\",result=\"failed\"} 0",
            "kube_informer_objects{kind=\"subnets.kubeovn.io\",scope=\"all\",stored=\"Subnet\"} 1",
            "workqueue_depth{name=\"subnets\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }

        controller.shutdown().await;
        let (status, text) = ask(&router, "/livez").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.ends_with("the controller has stopped\n"), "{text}");
    }
}
