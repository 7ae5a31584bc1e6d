//! The dashboard and the alert rules select only what is exported.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::Client;
use kube_informer::controller::{Action, Context, Controller};
use kube_informer::metrics::Exporter;
use kube_informer::testing::ApiServer;
use kube_informer::{Obj, Registry};
use serde_json::Value;

use crate::promql;
use crate::rendered::{Prometheus, Rendered};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All that there is to export.
pub(crate) async fn exported() -> Rendered {
    let server = ApiServer::new();
    let registry = Registry::new(Client::new(server.service(), "default"));
    let maps = registry.declare::<ConfigMap>().informer();
    registry.start();
    let controller = Controller::new(&maps);
    let handle = controller.handle();
    let _run =
        tokio::spawn(async move { controller.run(idle, |_, _, _| Action::retry(), Arc::new(())).await });
    handle.first_pass().await;
    Prometheus::new().scrape(&Exporter::new().registry(&registry).controller("maps", &handle))
}

async fn idle(_: Obj<ConfigMap>, _: Context<()>) -> Result<Action, Infallible> {
    Ok(Action::await_change())
}

/// The values of all fields called `name`, at any depth.
fn fields<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(name).and_then(Value::as_str));
            object.values().for_each(|value| fields(value, name, found));
        }
        Value::Array(array) => array.iter().for_each(|value| fields(value, name, found)),
        _ => {}
    }
}

fn assert_exported<'e>(file: &str, exprs: impl IntoIterator<Item = &'e str>, exported: &BTreeSet<&str>) {
    for expr in exprs {
        let metrics = promql::metrics(expr);
        assert!(!metrics.is_empty(), "{file}: no metric in {expr}");
        for metric in metrics {
            assert!(exported.contains(metric.as_str()), "{file}: no such metric as {metric} in {expr}");
        }
    }
}

#[tokio::test]
async fn the_dashboard_shows_what_is_exported() {
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboard.json")).unwrap();
    let mut exprs = Vec::new();
    fields(&dashboard, "expr", &mut exprs);
    assert!(exprs.len() >= 15, "{exprs:?}");
    let exported = exported().await;
    assert_exported("dashboard.json", exprs, &exported.names());
    // A variable is filled from a metric and one of its labels.
    let mut queries = Vec::new();
    fields(&dashboard, "definition", &mut queries);
    assert!(!queries.is_empty());
    for query in queries {
        let (metric, label) = query
            .strip_prefix("label_values(")
            .and_then(|query| query.strip_suffix(')'))
            .unwrap()
            .split_once(", ")
            .unwrap();
        let label = format!("{label}=\"");
        let metric = format!("{metric}{{");
        assert!(
            exported.series().any(|(series, _)| series.starts_with(&metric) && series.contains(&label)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn the_alerts_watch_what_is_exported() {
    let text = read("grafana/alerts.yaml");
    let exprs: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    let alerts = text.lines().filter(|line| line.trim().starts_with("- alert: ")).count();
    assert!(alerts >= 3 && exprs.len() == alerts, "each alert has an expression on one line: {exprs:?}");
    assert_exported("alerts.yaml", exprs, &exported().await.names());
}

#[tokio::test]
async fn the_chapter_lists_what_is_exported() {
    let chapter = read("OBSERVING.md");
    let listed: BTreeSet<_> = chapter
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("kube_informer_") || name.starts_with("workqueue_"))
        .collect();
    let exported = exported().await;
    // A histogram is on one line.
    let names: BTreeSet<_> = exported
        .names()
        .into_iter()
        .map(|name| {
            ["_bucket", "_count", "_sum"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
        })
        .collect();
    assert_eq!(listed, names);
}
