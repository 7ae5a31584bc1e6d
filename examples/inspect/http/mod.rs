//! A page that shows registries, informers, indexes, queues and controllers, and the endpoints that an operator's tools ask.
//!
//! ```text
//! GET /              the page: HTML, CSS and JavaScript, as they are in this folder
//! GET /state.json    what the page shows, once a second
//! GET /metrics       for Prometheus
//! GET /readyz        503 until all informers have synced and each controller has reconciled all objects once, and while
//!                    an informer is stale for a minute
//! GET /livez         503 when an informer has stopped, which only a restart repairs
//! ```

mod history;
mod state;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use kube_informer::controller::Handle;
use kube_informer::metrics::Exporter;
use kube_informer::queue::WorkQueue;
use kube_informer::{ObjectKey, Phase, Registry};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use self::history::History;
use crate::inspected::Inspected;

/// For how long an informer may be behind the API server before the program is not ready.
const STALE_LIMIT: Duration = Duration::from_secs(60);

/// What the endpoints read.
pub struct App {
    /// The server that is inspected.
    pub server: String,
    pub registry: Registry,
    pub inspected: Vec<Inspected>,
    pub queues: Vec<(&'static str, WorkQueue<ObjectKey>)>,
    /// The queue of a controller is not one of `queues`.
    pub controllers: Vec<(&'static str, Handle)>,
    pub prometheus: PrometheusHandle,
    /// Whether keys of objects and of indexes are shown.
    pub show_names: bool,
}

struct Shared {
    app: App,
    exporter: Exporter,
    history: History,
}

/// Serves until the task is dropped.
///
/// # Errors
///
/// When the address is not free.
pub async fn serve(address: SocketAddr, app: App) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen at {address}"))?;
    println!("http://{}", listener.local_addr()?);
    let (router, sampling) = router(app);
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        () = sampling => {}
    }
    Ok(())
}

/// The endpoints, and what samples the history that the page draws.
fn router(app: App) -> (Router, impl Future<Output = ()>) {
    let exporter = Exporter::new().registry(&app.registry);
    let exporter = app.queues.iter().fold(exporter, |exporter, (name, queue)| exporter.queue(*name, queue));
    let exporter =
        app.controllers.iter().fold(exporter, |exporter, (name, handle)| exporter.controller(*name, handle));
    let shared = Arc::new(Shared { app, exporter, history: History::default() });
    let sampling = {
        let shared = shared.clone();
        async move { shared.history.sample(&shared.app).await }
    };
    let router = Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("index.html")))
        .route("/style.css", file("text/css", include_str!("style.css")))
        .route("/script.js", file("text/javascript", include_str!("script.js")))
        .route("/state.json", get(state_json))
        .route("/metrics", get(metrics))
        .route("/readyz", get(readyz))
        .route("/livez", get(livez))
        .with_state(shared);
    (router, sampling)
}

fn file<S: Clone + Send + Sync + 'static>(
    content_type: &'static str,
    text: &'static str,
) -> axum::routing::MethodRouter<S> {
    get(move || async move { ([(header::CONTENT_TYPE, content_type)], text) })
}

async fn state_json(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, state::of(&shared.app, &shared.history).to_string())
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    shared.exporter.record();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], shared.app.prometheus.render())
}

async fn readyz(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let registry = &shared.app.registry;
    let mut problems: Vec<_> = registry.not_synced().iter().map(ToString::to_string).collect();
    problems.extend(registry.stale(STALE_LIMIT).iter().map(ToString::to_string));
    let unready = shared.app.controllers.iter().filter(|(_, handle)| handle.stats().first_pass.is_none());
    problems
        .extend(unready.map(|(name, _)| format!("controller {name}: has not reconciled all objects yet")));
    answer(&problems)
}

async fn livez(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let stopped = shared.app.registry.stats().into_iter();
    let stopped = stopped.filter(|informer| informer.status.phase == Phase::Stopped);
    answer(&stopped.map(|informer| informer.to_string()).collect::<Vec<_>>())
}

fn answer(problems: &[String]) -> (StatusCode, String) {
    match problems {
        [] => (StatusCode::OK, "ok\n".to_owned()),
        problems => (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n"),
    }
}
