//! Beside kube-runtime: its `Controller` on informers, and its streams into informers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, store_shared};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use kube_informer::bridge::{self, Shared};
use kube_informer::testing::ApiServer;
use kube_informer::{Informer, Obj, Phase};
use serde_json::json;
use tokio::time::{sleep, timeout};

const WITHIN: Duration = Duration::from_secs(60);

type Seen = Arc<Mutex<Vec<(String, String)>>>;

fn put(server: &ApiServer, namespace: &str, name: &str, value: &str) {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "value": value },
        "metadata": { "namespace": namespace, "name": name } });
    server.create(map).unwrap();
}

fn change(server: &ApiServer, name: &str, value: &str) {
    server.merge_patch("configmaps", "default", name, json!({ "data": { "value": value } })).unwrap();
}

fn value(map: &ConfigMap) -> String {
    map.data.as_ref().and_then(|data| data.get("value").cloned()).unwrap_or_default()
}

fn see(seen: &Seen, name: String, value: String) {
    seen.lock().unwrap().push((name, value));
}

/// Waits until this was seen.
async fn until_seen(seen: &Seen, name: &str, value: &str) {
    let wanted = (name.to_owned(), value.to_owned());
    let found = async {
        while !seen.lock().unwrap().contains(&wanted) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(WITHIN, found)
        .await
        .unwrap_or_else(|_| panic!("{wanted:?} is not among {:?}", seen.lock().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn kubes_controller_runs_on_an_informer_whose_objects_it_shares() {
    let server = ApiServer::new();
    put(&server, "default", "a", "1");
    let maps =
        Informer::builder(Api::<Shared<ConfigMap>>::all(Client::new(server.service(), "default"))).start();
    let (store, changes) = bridge::store(&maps);
    let (seen, reader) = (Seen::default(), store.clone());
    let noted = seen.clone();
    let reconcile = move |map: Arc<Shared<ConfigMap>>, _: Arc<()>| {
        see(&noted, map.name_any(), value(&map));
        async { Ok::<_, std::convert::Infallible>(Action::await_change()) }
    };
    let controller = Controller::for_stream(changes, store)
        .run(reconcile, |_, _, _| Action::await_change(), Arc::new(()))
        .for_each(|_| async {});
    let controller = tokio::spawn(controller);
    until_seen(&seen, "a", "1").await;
    put(&server, "default", "b", "1");
    change(&server, "a", "2");
    until_seen(&seen, "b", "1").await;
    until_seen(&seen, "a", "2").await;

    // One allocation for the store, the informer, and the reconcile.
    let stored = reader.get(&ObjectRef::new("a").within("default")).unwrap();
    let cached = maps.get(("default", "a")).unwrap();
    assert!(Arc::ptr_eq(
        &Shared::into_inner(Shared::clone(&stored)),
        &Shared::into_inner(Shared::clone(&cached))
    ));
    server.delete("configmaps", "default", "a").unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(reader.len(), 1);
    maps.shutdown().await;
    timeout(WITHIN, controller).await.expect("it ends with its stream").unwrap();
}

#[tokio::test(start_paused = true)]
async fn kubes_controller_is_triggered_by_the_references_and_objects_of_informers() {
    let server = ApiServer::new();
    put(&server, "default", "a", "1");
    let client = Client::new(server.service(), "default");
    let maps = Informer::builder(Api::<ConfigMap>::all(client.clone())).start();
    let mut references = maps.object_refs();
    let first = timeout(WITHIN, references.next()).await.unwrap().unwrap();
    assert_eq!((first.name.as_str(), first.namespace.as_deref()), ("a", Some("default")));

    let watched =
        Informer::builder(Api::<Shared<ConfigMap>>::namespaced(client.clone(), "kube-public")).start();
    let seen = Seen::default();
    let noted = seen.clone();
    let reconcile = move |map: Arc<ConfigMap>, _: Arc<()>| {
        see(&noted, map.name_any(), value(&map));
        async { Ok::<_, std::convert::Infallible>(Action::await_change()) }
    };
    // Its own watch reports no changes; the informers do.
    let (reader, writer) = kube::runtime::reflector::store();
    let filled = watcher(Api::<ConfigMap>::namespaced(client, "default"), watcher::Config::default());
    tokio::spawn(filled.default_backoff().reflect(writer).for_each(|_| async {}));
    let controller = Controller::for_stream(stream::pending(), reader)
        .reconcile_on(references)
        .watches_shared_stream(bridge::objects(&watched), |_: Arc<ConfigMap>| {
            Some(ObjectRef::new("of-watched").within("default"))
        })
        .run(reconcile, |_, _, _| Action::await_change(), Arc::new(()));
    tokio::spawn(controller.for_each(|_| async {}));
    sleep(Duration::from_secs(1)).await;
    change(&server, "a", "2");
    until_seen(&seen, "a", "2").await;
    put(&server, "default", "of-watched", "1");
    until_seen(&seen, "of-watched", "1").await;
    let before = seen.lock().unwrap().len();
    put(&server, "kube-public", "w", "1");
    sleep(Duration::from_secs(1)).await;
    server.delete("configmaps", "kube-public", "w").unwrap();
    sleep(Duration::from_secs(1)).await;
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[before..].iter().filter(|(name, _)| name == "of-watched").count(),
        2,
        "added and deleted"
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_deleted_and_created_again_is_two_objects_for_kubes_controller() {
    let server = ApiServer::new();
    put(&server, "default", "a", "1");
    let client = Client::new(server.service(), "default");
    let maps = Informer::builder(Api::<Shared<ConfigMap>>::all(client)).start();
    let mut objects = bridge::objects(&maps);
    let mut next = async || timeout(WITHIN, objects.next()).await.unwrap().unwrap();
    let first = next().await;
    // Both are received before the stream is polled again.
    server.delete("configmaps", "default", "a").unwrap();
    put(&server, "default", "a", "2");
    timeout(WITHIN, maps.wait_until(|maps| maps.iter().any(|map| value(map) == "2"))).await.unwrap().unwrap();
    let (old, new) = (next().await, next().await);
    assert_eq!((old.uid(), value(&old).as_str()), (first.uid(), "1"));
    assert_eq!(value(&new), "2");
}

#[tokio::test(start_paused = true)]
async fn reflect_shared_feeds_a_store_its_subscribers_and_an_informer_by_one_watch() {
    let server = ApiServer::new();
    put(&server, "default", "a", "1");
    let client = Client::new(server.service(), "default");
    let (store, writer) = store_shared::<ConfigMap>(64);
    let subscriber = writer.subscribe().unwrap();
    let events = watcher(Api::<ConfigMap>::all(client), watcher::Config::default()).default_backoff();
    let maps = Informer::from_stream(events.reflect_shared(writer)).start();
    let names = tokio::spawn(subscriber.take(2).map(|map| map.name_any()).collect::<Vec<_>>());
    timeout(WITHIN, maps.synced()).await.unwrap().unwrap();
    put(&server, "default", "b", "1");
    assert_eq!(timeout(WITHIN, names).await.unwrap().unwrap(), ["a", "b"]);
    timeout(WITHIN, maps.wait_until(|maps| maps.len() == 2)).await.unwrap().unwrap();
    assert_eq!(store.state().len(), 2);
    assert_eq!(
        (server.requests().count("list", "configmaps"), server.requests().count("watch", "configmaps")),
        (1, 1)
    );
    assert_eq!(Obj::name(&maps.get(("default", "b")).unwrap()), "b");
}

#[tokio::test(start_paused = true)]
async fn merged_watchers_end_an_informer_with_a_clear_error() {
    let server = ApiServer::new();
    for namespace in ["a", "b"] {
        server
            .create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }))
            .unwrap();
        put(&server, namespace, "m", "1");
    }
    let client = Client::new(server.service(), "default");
    let watch = |namespace| {
        let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
        watcher(api, watcher::Config::default()).default_backoff().boxed()
    };
    let maps = Informer::from_stream(stream::select_all([watch("a"), watch("b")])).start();
    let stopped = async {
        while maps.status().phase != Phase::Stopped {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(WITHIN, stopped).await.unwrap();
    let error = maps.status().last_error.unwrap();
    assert!(error.is_merged_streams(), "{error}");
    assert!(error.to_string().contains("several watchers"), "{error}");
}
