//! Reading allocates nothing: the part of promise 3 that a reader could break for itself, since an allocator
//! is a place to wait at. A binary and a single test of its own, because allocations are counted for the
//! whole process.

use std::alloc::System;
use std::hint::black_box;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use kube_informer::testing::ApiServer;
use kube_informer::{Informer, Key, Obj, ObjectKey, Selector, index};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// More than a chunk of a posting holds, so that the index key of all of them has a tree.
const OBJECTS: usize = 1_000;

/// Allocations, reallocations and frees while `work` ran.
fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.allocations + change.reallocations + change.deallocations
}

#[test]
fn lookups_allocate_nothing() {
    let server = ApiServer::new();
    for i in 0..OBJECTS {
        let (group, kind) = (format!("group-{}", i / 64), ["even", "odd"][i % 2]);
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": format!("map-{i}"), "namespace": "default", "labels": {"group": group, "kind": kind}}});
        server.create(object).unwrap();
    }
    let runtime = Runtime::new().unwrap();
    let (maps, by_group, by_kind, by_namespace, by_pair, by_selector) = runtime.block_on(async {
        let mut maps = Informer::builder(Api::<ConfigMap>::all(Client::new(server.service(), "default")));
        let by_group = maps.index(index::label("group"));
        let by_kind = maps.index(index::label("kind"));
        let by_namespace = maps.index(index::namespace());
        let by_pair = maps.index(index::annotation_suffix("/logical_switch"));
        // Each ConfigMap selects those of its group.
        let by_selector = maps.index(index::selector(|map: &ConfigMap| {
            let mut labels = map.metadata.labels.clone()?;
            labels.remove("kind");
            Some(labels)
        }));
        let maps = maps.start();
        maps.synced().await.unwrap();
        maps.shutdown().await;
        (maps, by_group, by_kind, by_namespace, by_pair, by_selector)
    });
    // No other thread is left that could allocate while we count.
    drop((runtime, server));
    let snapshot = maps.snapshot();
    let owned = ObjectKey::new("default", "map-7");
    let name = String::from("map-8");
    // The first read of a thread registers it with arc-swap, once.
    maps.read(|view| assert_eq!(view.len(), OBJECTS));

    let odd: Selector = "kind in (odd,strange),!missing,group!=group-1".parse().unwrap();
    let (all, group) =
        (|| snapshot.by_index(&by_namespace, "default"), || snapshot.by_index(&by_group, "group-1"));

    let found = snapshot.get(("default", "map-7")).unwrap();
    assert!(allocations(|| drop(black_box(String::from(Obj::uid(found))))) > 0, "the counter counts");

    let counted = [
        ("get", allocations(|| assert!(snapshot.get(("default", "map-7")).is_some()))),
        ("get by &str and &String", allocations(|| assert!(snapshot.get(("default", &name)).is_some()))),
        ("get by ObjectKey", allocations(|| assert!(snapshot.get(&owned).is_some()))),
        ("get by Key", allocations(|| assert!(snapshot.get(Obj::key(found)).is_some()))),
        ("get: no such name", allocations(|| assert!(snapshot.get(("default", "map-")).is_none()))),
        ("get: no such namespace", allocations(|| assert!(snapshot.get("map-7").is_none()))),
        ("key of an object", allocations(|| assert_eq!(Obj::key(found), Key::new("default", "map-7")))),
        (
            "find",
            allocations(|| assert_eq!(snapshot.by_index(&by_group, "group-1").map(Obj::name).count(), 64)),
        ),
        ("find: no such key", allocations(|| assert_eq!(snapshot.by_index(&by_group, "group").len(), 0))),
        (
            "find: a borrowed pair",
            allocations(|| assert_eq!(snapshot.by_index(&by_pair, &("a", "b")).len(), 0)),
        ),
        (
            "find all",
            allocations(|| {
                assert_eq!(snapshot.by_index(&by_namespace, "default").map(Obj::name).count(), OBJECTS)
            }),
        ),
        ("find in two indexes", allocations(|| assert_eq!(all().and(group()).map(Obj::name).count(), 64))),
        (
            "find in three indexes",
            allocations(|| {
                assert_eq!(
                    group().and(all()).and(snapshot.by_index(&by_kind, "odd")).map(Obj::name).count(),
                    32
                )
            }),
        ),
        ("select", allocations(|| assert_eq!(snapshot.select(&odd).map(Obj::name).count(), 468))),
        ("select from hits", allocations(|| assert_eq!(all().select(&odd).map(Obj::name).count(), 468))),
        (
            "select from what two indexes find",
            allocations(|| assert_eq!(all().and(group()).select(&odd).map(Obj::name).count(), 0)),
        ),
        ("iterate", allocations(|| assert_eq!(snapshot.iter().map(Obj::name).count(), OBJECTS))),
        (
            "keys of an index",
            allocations(|| {
                assert_eq!(snapshot.index_keys(&by_group).map(|(_, hits)| hits).sum::<usize>(), OBJECTS)
            }),
        ),
        (
            "what selects an object, by one selector",
            allocations(|| {
                assert_eq!(snapshot.selecting_object(&by_selector, found).map(Obj::name).count(), 64)
            }),
        ),
        ("clone a snapshot", allocations(|| drop(black_box(snapshot.clone())))),
        ("take a snapshot", allocations(|| drop(black_box(maps.snapshot())))),
        ("read", allocations(|| maps.read(|view| assert!(view.get(("default", "map-9")).is_some())))),
        ("hand out an object", allocations(|| assert!(maps.get(("default", "map-9")).is_some()))),
        ("hand out none", allocations(|| assert!(maps.get(("default", "none")).is_none()))),
        ("snapshot", allocations(|| assert!(maps.snapshot().get(("default", "map-9")).is_some()))),
    ];
    for (what, allocations) in counted {
        assert_eq!(allocations, 0, "{what}");
    }
}
