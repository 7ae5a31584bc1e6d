//! Registries on the in-process API server, with paused time.

mod ends;
mod observe;
mod order;
mod share;
mod wait;

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube_client::Client;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::informer::Informer;
use crate::testing::{ApiServer, Rule};

/// Longer than any wait of these tests. The time is paused.
const LONG: Duration = Duration::from_secs(600);

/// The projection of one part of an application. A ConfigMap with `no` is invalid, one with `skip` is
/// skipped.
#[derive(Debug, PartialEq, Eq)]
struct Text(String);

/// The projection of another part.
#[derive(Debug, PartialEq, Eq)]
struct Length(usize);

impl Stored for Text {
    type Object = ConfigMap;

    fn project(map: ConfigMap) -> Projected<Self> {
        match text(&map) {
            text if text == "no" => Err("it says no".into()),
            text if text == "skip" => Ok(None),
            text => Ok(Some(Self(text))),
        }
    }
}

impl Stored for Length {
    type Object = ConfigMap;

    fn project(map: ConfigMap) -> Projected<Self> {
        Ok(Some(Self(text(&map).len())))
    }
}

fn text(map: &ConfigMap) -> String {
    map.data.as_ref().and_then(|data| data.get("text")).cloned().unwrap_or_default()
}

fn map(namespace: &str, name: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"text": text},
        "metadata": {"name": name, "namespace": namespace, "labels": {"text": text}}})
}

/// A server with three ConfigMaps, and a registry for it.
fn world() -> (ApiServer, Registry) {
    let server = ApiServer::new();
    for (namespace, name, text) in
        [("default", "a", "one"), ("default", "b", "three"), ("kube-system", "c", "one")]
    {
        server.create(map(namespace, name, text)).unwrap();
    }
    let registry = registry(&server);
    (server, registry)
}

fn registry(server: &ApiServer) -> Registry {
    Registry::new(Client::new(server.service(), "default"))
}

async fn synced(registry: &Registry) {
    timeout(LONG, registry.synced()).await.unwrap_or_else(|_| panic!("not synced: {registry:?}")).unwrap();
}

/// Waits until the informer has stopped, without a handle to it.
async fn ended<T: Send + Sync + 'static>(informer: Informer<T>) {
    let mut status = informer.status_receiver();
    drop(informer);
    timeout(LONG, async { while status.changed().await.is_ok() {} }).await.expect("it still runs");
}

fn deny(server: &ApiServer, resource: &str) {
    server.deny(Rule::all().resource(resource));
}

fn allow(server: &ApiServer, resource: &str) {
    server.allow(Rule::all().resource(resource));
}

fn not_synced(registry: &Registry) -> Vec<String> {
    registry.not_synced().iter().map(NotSynced::to_string).collect()
}
