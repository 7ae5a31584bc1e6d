//! An informer from the in-process API server to its readers.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::End;
use crate::index;
use crate::reflector::Phase;
use crate::subscribe::Change;
use crate::testing::ApiServer;

fn client(server: &ApiServer) -> Client {
    Client::new(server.service(), "default")
}

fn config_map(name: &str, value: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default",
        "labels": {"group": value}}, "data": {"value": value}})
}

fn maps(server: &ApiServer) -> Builder<ConfigMap, ConfigMap> {
    Informer::builder(Api::<ConfigMap>::all(client(server)))
}

fn value(map: &ConfigMap) -> String {
    map.data.as_ref().and_then(|data| data.get("value")).cloned().unwrap_or_default()
}

#[tokio::test]
async fn an_index_that_precedes_the_projection_is_of_its_result_or_of_nothing() {
    let server = ApiServer::new();
    server.create(config_map("a", "longer")).unwrap();
    let mut same = maps(&server);
    let by_value = same.index(|map: &ConfigMap| value(map));
    let same = same.project(|mut map: ConfigMap| {
        map.data.iter_mut().flatten().for_each(|(_, value)| value.truncate(4));
        map
    });
    let same = same.start();
    same.synced().await.unwrap();
    assert_eq!(same.read(|maps| maps.by_index(&by_value, "long").len()), 1);

    let mut other = maps(&server);
    let _unused = other.index(index::namespace());
    let other = other.project(|map: ConfigMap| value(&map)).start();
    other.synced().await.unwrap();
    assert_eq!(other.snapshot().len(), 1);
}

#[tokio::test]
async fn objects_indexes_and_changes_follow_the_server() {
    let server = ApiServer::new();
    for name in ["a", "b", "c"] {
        server.create(config_map(name, "old")).unwrap();
    }
    let mut maps = Informer::builder(Api::<ConfigMap>::all(client(&server))).project(|map| value(&map));
    let by_value = maps.index(|value: &String| value.clone());
    let by_namespace = maps.index(index::namespace());
    let maps = maps.start();
    let mut changes = maps.subscribe();
    maps.synced().await.unwrap();
    let snapshot = maps.snapshot();
    assert_eq!(snapshot.by_index(&by_value, "old").len(), 3);
    assert_eq!(snapshot.by_index(&by_namespace, "default").len(), 3);
    let first = changes.next().await.unwrap();
    assert!(first.is_initial());
    assert_eq!(first.changes().filter(|change| matches!(change, Change::Added(_))).count(), 3);

    server.merge_patch("configmaps", "default", "a", json!({"data": {"value": "new"}})).unwrap();
    let batch = changes.next().await.unwrap();
    let change = batch.changes().next().unwrap();
    let Change::Modified { old, new } = change else { panic!("{change:?}") };
    assert_eq!((old.as_str(), new.as_str()), ("old", "new"));
    assert_eq!(batch.snapshot().by_index(&by_value, "new").len(), 1);
    assert_eq!(snapshot.by_index(&by_value, "new").len(), 0, "a held snapshot never changes");

    server.delete("configmaps", "default", "b").unwrap();
    let batch = changes.next().await.unwrap();
    assert!(matches!(batch.changes().next(), Some(Change::Deleted(old)) if *old.as_str() == *"old"));
    assert_eq!(maps.get(("default", "a")).as_deref(), Some(&"new".to_owned()));
    assert!(maps.get(("default", "b")).is_none());
    assert_eq!(maps.snapshot().len(), 2);

    timeout(Duration::from_secs(5), maps.shutdown()).await.unwrap();
    assert!(changes.next().await.is_none());
    assert_eq!(changes.end(), Some(End::Stopped));
    assert!(maps.synced().await.is_ok(), "it was synced");
    assert_eq!(maps.status().phase, Phase::Stopped);
    assert_eq!(maps.snapshot().len(), 2, "snapshots outlive the informer");
}

#[tokio::test]
async fn from_stream_keeps_lists_whole_and_changes_lossless() {
    use futures_util::StreamExt as _;
    use kube_runtime::watcher::{Error as WatcherError, Event};
    let map = |name: &str, value: &str, version: u64| -> ConfigMap {
        let mut map: ConfigMap = serde_json::from_value(config_map(name, value)).unwrap();
        map.metadata.resource_version = (version > 0).then(|| version.to_string());
        map
    };
    let (events, receiver) = tokio::sync::mpsc::unbounded_channel::<Result<Event<ConfigMap>, WatcherError>>();
    let stream = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|event| (event, receiver))
    });
    let mut informer = Informer::from_stream(stream.boxed()).project(|map: ConfigMap| value(&map));
    let by_value = informer.index(|value: &String| value.clone());
    let informer = informer.start();
    let mut changes = informer.subscribe();
    for event in [Event::Init, Event::InitApply(map("a", "x", 1)), Event::InitApply(map("b", "x", 2))] {
        events.send(Ok(event)).unwrap();
    }
    tokio::task::yield_now().await;
    assert!(!informer.is_synced() && informer.snapshot().is_empty(), "an unfinished list is not seen");
    events.send(Ok(Event::InitDone)).unwrap();
    informer.synced().await.unwrap();
    assert_eq!(informer.snapshot().by_index(&by_value, "x").len(), 2);
    assert_eq!(informer.snapshot().resource_version(), None);
    assert_eq!(changes.next().await.unwrap().changes().count(), 2);
    let written = map("a", "x", 1);
    assert!(informer.at_least(&written).await.unwrap_err().is_version_unordered());
    // Objects without a version are stored each time.
    for value in ["y", "z"] {
        events.send(Ok(Event::Apply(map("a", value, 0)))).unwrap();
        let batch = changes.next().await.unwrap();
        assert_eq!(batch.snapshot().by_index(&by_value, value).len(), 1);
    }
    // A relist that never ends, an error, and the next list: objects that this list does not have are
    // deleted.
    for event in [Event::Init, Event::InitApply(map("a", "z", 5))] {
        events.send(Ok(event)).unwrap();
    }
    events.send(Err(WatcherError::NoResourceVersion)).unwrap();
    for event in [Event::Init, Event::InitApply(map("b", "x", 2)), Event::InitDone] {
        events.send(Ok(event)).unwrap();
    }
    let batch = changes.next().await.unwrap();
    let gone: Vec<_> =
        batch.changes().map(|change| (change.key().name.to_owned(), change.new().is_none())).collect();
    assert_eq!(gone, [("a".to_owned(), true)]);
    assert!(informer.status().last_error.unwrap().is_stream());
    drop(events);
    assert!(changes.next().await.is_none(), "a stream that ends stops the informer");
    assert_eq!(informer.status().phase, Phase::Stopped);
}
