//! Registries on the in-process API server, with time that passes only when everybody waits.

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

/// More than any wait here takes, in time that costs nothing.
const LONG: Duration = Duration::from_secs(600);

/// What one part keeps of a ConfigMap. One that says `no` cannot be projected, `skip` is kept out.
#[derive(Debug, PartialEq, Eq)]
struct Text(String);

/// What another part keeps of it.
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

/// Waits until the informer has stopped, without holding it.
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
