//! Tests `feed`: which keys it adds, in which chunks, and how it ends. Subscriptions are tested through the
//! public API, in tests/guarantees.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::feed::{CHUNK, is_refreshed};
use super::*;
use crate::index;
use crate::key::ObjectKey;
use crate::queue::{Priority, WorkQueue};
use crate::testing::ApiServer;

const SOON: Duration = Duration::from_secs(60);

fn put(server: &ApiServer, name: &str, value: u32) {
    let labels = json!({ "group": format!("g{}", value % 4) });
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": value.to_string()},
        "metadata": {"name": name, "namespace": "default", "labels": labels}});
    server.create(map).unwrap();
}

fn change(server: &ApiServer, name: &str, value: u32) {
    let patch = json!({"data": {"value": value.to_string()},
        "metadata": {"labels": {"group": format!("g{}", value % 4)}}});
    server.merge_patch("configmaps", "default", name, patch).unwrap();
}

fn value(map: &ConfigMap) -> u32 {
    map.data.as_ref().and_then(|data| data.get("value")?.parse().ok()).unwrap_or_default()
}

fn maps(server: &ApiServer) -> crate::builder::Builder<ConfigMap, ConfigMap> {
    Informer::builder(Api::all(Client::new(server.service(), "default")))
}

/// The objects of the server, as a reconciler would see them.
fn truth(server: &ApiServer) -> BTreeMap<String, u32> {
    let list = server.list("configmaps", "default").unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let value = item["data"]["value"].as_str().unwrap().parse().unwrap();
            (item["metadata"]["name"].as_str().unwrap().to_owned(), value)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_fed_queue_leads_a_level_triggered_consumer_to_the_truth() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..10 {
        let server = ApiServer::new();
        for at in 0..20 {
            put(&server, &format!("m{at:02}"), at);
        }
        let informer = maps(&server).start();
        let queue = WorkQueue::<ObjectKey>::new();
        let feed = tokio::spawn(
            informer.subscribe().feed(queue.clone(), |change, _, emit| emit(change.key().to_owned())),
        );
        // Handles the keys that it receives, slowly, and reads nothing else.
        let consumer = tokio::spawn({
            let (informer, queue) = (informer.clone(), queue.clone());
            async move {
                let mut known = BTreeMap::new();
                while let Some(key) = queue.get().await {
                    sleep(Duration::from_millis(3)).await;
                    match informer.get(&*key) {
                        Some(map) => known.insert(key.name().to_owned(), value(&map)),
                        None => known.remove(key.name()),
                    };
                }
                known
            }
        });
        for round in 0..100 {
            let name = format!("m{:02}", random.random_range(0..30));
            match server.get("configmaps", "default", &name) {
                Err(_) => put(&server, &name, round),
                Ok(_) if random.random_range(0..4) == 0 => {
                    drop(server.delete("configmaps", "default", &name));
                }
                Ok(_) => change(&server, &name, round),
            }
            match random.random_range(0..10) {
                0 => {
                    server.disconnect_watches();
                    server.compact_all();
                }
                1..4 => sleep(Duration::from_millis(random.random_range(0..20))).await,
                _ => {}
            }
        }
        let newest = truth(&server);
        let same = |view: &crate::View<ConfigMap>| {
            view.len() == newest.len()
                && view.iter().all(|map| newest.get(Obj::name(map)) == Some(&value(map)))
        };
        timeout(SOON, informer.wait_until(same)).await.unwrap().unwrap();
        sleep(Duration::from_secs(5)).await;
        queue.shut_down();
        assert_eq!(timeout(SOON, consumer).await.unwrap().unwrap(), newest, "seed {seed}");
        informer.shutdown().await;
        assert_eq!(timeout(SOON, feed).await.unwrap().unwrap(), Some(End::Stopped));
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_is_named_once_whatever_the_size_of_a_batch() {
    for objects in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let server = ApiServer::new();
        (0..objects).for_each(|at| put(&server, &format!("m{at:04}"), 1));
        let informer = maps(&server).start();
        informer.synced().await.unwrap();
        let queue = WorkQueue::<ObjectKey>::new();
        let feed = informer.subscribe().feed(queue.clone(), |change, snapshot, emit| {
            assert!(snapshot.get(change.key()).is_some());
            emit(change.key().to_owned());
        });
        let feed = tokio::spawn(feed);
        sleep(Duration::from_secs(1)).await;
        assert_eq!((queue.len(), queue.stats().adds), (objects, objects as u64));
        assert_eq!(queue.stats().depth_of(Priority::Low), objects, "the first batch can wait");
        feed.abort();
        let keys = informer.subscribe().keys(|change, _, emit| emit(change.key().to_owned()));
        let keys = keys.take(objects).collect::<HashSet<_>>();
        assert_eq!(timeout(SOON, keys).await.unwrap().len(), objects, "and so does the stream of keys");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_of_others_are_found_in_the_snapshot_of_the_change() {
    let server = ApiServer::new();
    (0..8).for_each(|at| put(&server, &format!("m{at}"), at));
    let mut builder = maps(&server);
    let by_group = builder.index(index::label("group"));
    let informer = builder.start();
    informer.synced().await.unwrap();
    let queue = WorkQueue::<String>::new();
    let feed = tokio::spawn(informer.subscribe().filter_changes(|old, _| old.is_some()).feed(
        queue.clone(),
        move |change, snapshot, emit| {
            // Who shares its group now, itself included.
            let group = change.new().and_then(|map| map.metadata.labels.as_ref()?.get("group")).cloned();
            let hits = snapshot.by_index(&by_group, group.as_deref().unwrap_or_default());
            hits.for_each(|map| emit(Obj::name(map).to_owned()));
        },
    ));
    sleep(Duration::from_secs(1)).await;
    assert!(queue.is_empty(), "the first batch is filtered away");
    change(&server, "m1", 2);
    let mut emitted = Vec::new();
    for _ in 0..3 {
        let claim = timeout(SOON, queue.get()).await.unwrap().unwrap();
        assert_eq!(claim.priority(), Priority::Normal, "a change in a running cluster");
        emitted.push(claim.clone());
    }
    assert_eq!(emitted, ["m1", "m2", "m6"], "in the order of the index");
    assert!(queue.is_empty());
    feed.abort();
}

#[tokio::test(start_paused = true)]
async fn a_feed_ends_with_its_informer_or_with_its_queue() {
    let server = ApiServer::new();
    put(&server, "m", 1);
    let informer = maps(&server).start();
    let queues = [WorkQueue::<ObjectKey>::new(), WorkQueue::new()];
    let [one, two] = queues.clone().map(|queue| {
        tokio::spawn(informer.subscribe().feed(queue, |change, _, emit| emit(change.key().to_owned())))
    });
    informer.synced().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    queues[0].shut_down();
    put(&server, "n", 2);
    assert_eq!(timeout(SOON, one).await.unwrap().unwrap(), None);
    informer.shutdown().await;
    assert_eq!(timeout(SOON, two).await.unwrap().unwrap(), Some(End::Stopped));
    assert_eq!(queues[1].stats().adds, 2);
}

#[tokio::test(start_paused = true)]
async fn the_stream_of_keys_follows_changes_and_ends_with_the_informer() {
    let server = ApiServer::new();
    put(&server, "m1", 1);
    let informer = maps(&server).start();
    let mut keys = informer.subscribe().keys(|change, _, emit| {
        let name = change.key().name();
        emit(format!("{name}-a"));
        emit(format!("{name}-b"));
    });
    for (name, first) in [("m1", true), ("m2", false)] {
        if !first {
            put(&server, name, 1);
        }
        for suffix in ["a", "b"] {
            assert_eq!(timeout(SOON, keys.next()).await.unwrap(), Some(format!("{name}-{suffix}")));
        }
    }
    informer.shutdown().await;
    assert_eq!(timeout(SOON, keys.next()).await.unwrap(), None);
    assert_eq!(timeout(SOON, keys.next()).await.unwrap(), None, "and again");
}

/// Few changes among many objects under the key, and many changes among few.
#[tokio::test(start_paused = true)]
async fn the_changes_under_an_index_key_are_those_of_its_objects_however_many_there_are() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = ApiServer::new();
    let mut builder = maps(&server);
    let by_group = builder.index(index::label("group"));
    let informer = builder.start();
    informer.synced().await.unwrap();
    let key: Selection<ConfigMap> = Selection::Key(Arc::new(ByKey { index: by_group, key: "g1".to_owned() }));
    let mut snapshots = vec![informer.snapshot()];
    for round in 0..40 {
        for _ in 0..[1, 3, 20, 200][round % 4] {
            let name = format!("m{:03}", random.random_range(0..100));
            match server.get("configmaps", "default", &name) {
                Err(_) => put(&server, &name, random.random_range(0..8)),
                Ok(_) if random.random_range(0..3) == 0 => {
                    drop(server.delete("configmaps", "default", &name))
                }
                Ok(_) => change(&server, &name, random.random_range(0..8)),
            }
        }
        let newest = truth(&server);
        let same = |view: &crate::View<ConfigMap>| {
            view.iter().map(|map| (Obj::name(map).to_owned(), value(map))).collect::<BTreeMap<_, _>>()
                == newest
        };
        snapshots.push(timeout(SOON, informer.wait_until(same)).await.unwrap().unwrap());
    }
    let under = |snapshot: &Snapshot<ConfigMap>| -> BTreeMap<String, usize> {
        let hits = snapshot.by_index(&by_group, "g1");
        hits.map(|map| (Obj::name(map).to_owned(), Obj::address(map))).collect()
    };
    for old in &snapshots {
        for new in &snapshots {
            let batch = Batch::new(old.clone(), new.clone(), false, key.clone(), None);
            let address = |object: Option<&Obj<ConfigMap>>| object.map(Obj::address);
            let mut found: Vec<_> = batch
                .changes()
                .map(|change| (change.key().name().to_owned(), address(change.old()), address(change.new())))
                .collect();
            found.sort();
            let (before, after) = (under(old), under(new));
            let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
            let expected: Vec<_> = names
                .into_iter()
                .map(|name| (name.clone(), before.get(name).copied(), after.get(name).copied()))
                .filter(|(_, old, new)| old != new)
                .collect();
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}

#[test]
fn content_found_by_a_refresh_at_an_unchanged_version_has_low_priority() {
    // The n-th object of a snapshot has the version n.
    let object = |version| {
        let objects = (1..=version).map(|n| (("default", if n == version { "m" } else { "other" }), ()));
        let snapshot = Snapshot::from_objects(index::IndexSet::new(), objects);
        snapshot.get(("default", "m")).unwrap().clone()
    };
    let (old, same, new) = (object(5), object(5), object(6));
    assert!(is_refreshed(&Change::Modified { old: &old, new: &same }));
    assert!(!is_refreshed(&Change::Modified { old: &old, new: &new }));
    assert!(!is_refreshed(&Change::Added(&new)) && !is_refreshed(&Change::Deleted(&old)));
}
