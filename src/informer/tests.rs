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
#[should_panic(expected = "a projection must come before the indexes, which use its result")]
async fn an_index_of_what_is_not_stored_is_no_silent_loss() {
    let mut maps = maps(&ApiServer::new());
    let _unused = maps.index(index::namespace());
    let _projected = maps.project(|map: ConfigMap| map);
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
async fn at_least_answers_with_a_snapshot_that_contains_the_write() {
    let server = ApiServer::new();
    let informer = maps(&server).start();
    informer.synced().await.unwrap();
    let api = Api::<ConfigMap>::default_namespaced(client(&server));
    for number in 0..20 {
        let map = serde_json::from_value(config_map(&format!("m{number}"), "new")).unwrap();
        let written = api.create(&Default::default(), &map).await.unwrap();
        let snapshot = informer.at_least(&written).await.unwrap();
        assert!(snapshot.get(("default", format!("m{number}"))).is_some());
    }
}

#[tokio::test]
async fn at_least_sees_a_write_outside_the_selection_at_the_next_bookmark() {
    let server = ApiServer::builder().bookmark_interval(Duration::from_millis(20)).build();
    let informer = maps(&server).labels("group=mine").start();
    informer.synced().await.unwrap();
    let written: ConfigMap =
        serde_json::from_value(server.create(config_map("a", "other")).unwrap()).unwrap();
    let revision = informer.snapshot().revision();
    let snapshot = timeout(Duration::from_secs(10), informer.at_least(&written)).await.unwrap().unwrap();
    assert!(snapshot.is_empty());
    assert_eq!(snapshot.revision(), revision, "nothing changed but the version");
}

#[tokio::test]
async fn a_wait_ends_with_a_clear_error() {
    let server = ApiServer::new();
    let informer = maps(&server).start();
    informer.synced().await.unwrap();
    let mut written: ConfigMap = serde_json::from_value(config_map("a", "b")).unwrap();
    assert!(informer.at_least(&written).await.unwrap_err().is_version_unordered(), "it has no version");
    written.metadata.resource_version = Some("opaque".into());
    assert!(informer.at_least(&written).await.unwrap_err().is_version_unordered());
    written.metadata.resource_version = Some("99999999999".into());
    let waiting = tokio::spawn({
        let informer = informer.clone();
        async move { informer.at_least(&written).await }
    });
    tokio::task::yield_now().await;
    informer.shutdown().await;
    assert!(waiting.await.unwrap().unwrap_err().is_stopped());
    assert!(informer.wait_until(|_| false).await.unwrap_err().is_stopped());
    assert!(informer.wait_until(|view| view.is_empty()).await.is_ok(), "true already");
}

#[tokio::test]
async fn wait_until_sees_a_delete() {
    let server = ApiServer::new();
    server.create(config_map("a", "x")).unwrap();
    let informer = maps(&server).start();
    informer.synced().await.unwrap();
    assert!(informer.get(("default", "a")).is_some());
    server.delete("configmaps", "default", "a").unwrap();
    let snapshot = informer.wait_until(|view| view.get(("default", "a")).is_none()).await.unwrap();
    assert!(snapshot.is_synced());
}

#[tokio::test]
async fn a_subscription_goes_on_from_a_held_snapshot() {
    let server = ApiServer::new();
    for name in ["a", "b"] {
        server.create(config_map(name, "old")).unwrap();
    }
    let informer = maps(&server).start();
    informer.synced().await.unwrap();
    let held = informer.snapshot();
    server.delete("configmaps", "default", "a").unwrap();
    server.create(config_map("c", "new")).unwrap();
    informer.wait_until(|view| view.get(("default", "c")).is_some()).await.unwrap();
    let mut changes = informer.subscribe_from(&held);
    let batch = changes.next().await.unwrap();
    assert!(!batch.is_initial());
    let mut seen: Vec<_> = batch.changes().map(|change| format!("{change:?}")).collect();
    seen.sort();
    assert!(
        seen[0].starts_with("Added(Obj(default/c") && seen[1].starts_with("Deleted(Obj(default/a"),
        "{seen:?}"
    );
    assert_eq!(seen.len(), 2);
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
