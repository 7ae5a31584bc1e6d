//! The whole path on the in-process API server.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::index;
use crate::subscribe::{Change, End};
use crate::testing::ApiServer;

fn client(server: &ApiServer) -> Client {
    Client::new(server.service(), "default")
}

fn config_map(name: &str, value: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default",
        "labels": {"group": value}}, "data": {"value": value}})
}

fn value(map: &ConfigMap) -> String {
    map.data.as_ref().and_then(|data| data.get("value")).cloned().unwrap_or_default()
}

#[tokio::test]
async fn objects_indexes_and_changes_follow_the_server() {
    let server = ApiServer::new();
    for name in ["a", "b", "c"] {
        server.create(config_map(name, "old")).unwrap();
    }
    let mut maps = Informer::builder(Api::<ConfigMap>::all(client(&server))).project(|map| value(&map));
    let by_value = maps.index(|value: &String| value.clone());
    let by_namespace = maps.index_by(index::namespace());
    let maps = maps.start();
    let mut changes = maps.subscribe();
    maps.synced().await.unwrap();
    let snapshot = maps.snapshot();
    assert_eq!(snapshot.find(&by_value, "old").len(), 3);
    assert_eq!(snapshot.find(&by_namespace, "default").len(), 3);
    let first = changes.next().await.unwrap();
    assert!(first.is_initial());
    assert_eq!(first.changes().filter(|change| matches!(change, Change::Added(_))).count(), 3);

    server.merge_patch("configmaps", "default", "a", json!({"data": {"value": "new"}})).unwrap();
    let batch = changes.next().await.unwrap();
    let change = batch.changes().next().unwrap();
    let Change::Modified { old, new } = change else { panic!("{change:?}") };
    assert_eq!((old.as_str(), new.as_str()), ("old", "new"));
    assert_eq!(batch.snapshot().find(&by_value, "new").len(), 1);
    assert_eq!(snapshot.find(&by_value, "new").len(), 0, "a held snapshot never changes");

    server.delete("configmaps", "default", "b").unwrap();
    let batch = changes.next().await.unwrap();
    assert!(matches!(batch.changes().next(), Some(Change::Deleted(old)) if *old.as_str() == *"old"));
    assert_eq!(maps.get(("default", "a")).as_deref(), Some(&"new".to_owned()));
    assert!(maps.get(("default", "b")).is_none());
    assert_eq!(maps.reader().snapshot().len(), 2);

    timeout(Duration::from_secs(5), maps.shutdown()).await.unwrap();
    assert!(changes.next().await.is_none());
    assert_eq!(changes.end(), Some(End::Stopped));
    assert!(maps.synced().await.is_ok(), "it was synced");
    assert_eq!(maps.status().phase, Phase::Stopped);
    assert_eq!(maps.snapshot().len(), 2, "snapshots outlive the informer");
}
