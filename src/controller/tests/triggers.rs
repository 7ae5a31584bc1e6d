//! Which changes lead to which reconciles.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Pod};

use super::*;
use crate::controller::{changed, owners};
use crate::index;
use crate::subscribe::Change;

#[tokio::test(start_paused = true)]
async fn a_reconcile_sees_the_newest_object_and_none_that_is_gone() {
    let bench = Bench::new();
    bench.map("m", "1");
    let seen = Seen::default();
    let controller = Controller::new(&bench.maps);
    let handle = controller.handle();
    observe(controller, &seen);
    settle().await;
    bench.change("m", "2");
    settle().await;
    bench.server.delete("configmaps", "default", "m").unwrap();
    settle().await;
    let values: Vec<_> = seen.take().into_iter().map(|(_, value)| value.unwrap()).collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(handle.stats().skipped, 1, "the deleted one");
}

#[tokio::test(start_paused = true)]
async fn with_deleted_a_key_without_an_object_is_reconciled() {
    let bench = Bench::new();
    bench.map("m", "1");
    bench.secret("orphan");
    let seen = Seen::default();
    let controller =
        Controller::new(&bench.maps).with_deleted().watches(&bench.secrets, |change, _, emit| {
            emit(change.key().to_owned());
        });
    let handle = controller.handle();
    observe(controller, &seen);
    assert_eq!(first_pass(&handle).await.keys, 2);
    bench.server.delete("configmaps", "default", "m").unwrap();
    settle().await;
    let mut seen = seen.take();
    seen.sort();
    let text = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    assert_eq!(seen, [text("m", None), text("m", Some("1")), text("orphan", None)]);
}

#[tokio::test(start_paused = true)]
async fn modifications_that_the_predicate_rejects_are_ignored_and_nothing_else() {
    let bench = Bench::new();
    let seen = Seen::default();
    let controller = Controller::new(&bench.maps).with_deleted().when(changed::labels());
    observe(controller, &seen);
    settle().await;
    bench.map("m", "1");
    settle().await;
    assert_eq!(seen.names(), ["m"], "added");
    bench.change("m", "2");
    settle().await;
    assert!(seen.names().is_empty(), "the labels are the same");
    let labels = json!({ "metadata": { "labels": { "a": "b" } } });
    bench.server.merge_patch("configmaps", "default", "m", labels).unwrap();
    settle().await;
    assert_eq!(seen.names(), ["m"]);
    bench.server.delete("configmaps", "default", "m").unwrap();
    settle().await;
    assert_eq!(seen.names(), ["m"], "deleted");
}

#[tokio::test(start_paused = true)]
async fn watched_objects_lead_to_the_primaries_that_a_mapping_or_an_index_finds() {
    let bench = Bench::new();
    let mut builder = Informer::builder(Api::<ConfigMap>::all(bench.client.clone()));
    let by_secret = builder.index(|map: &ConfigMap| -> Option<ObjectKey> {
        Some(ObjectKey::new("default", map.data.as_ref()?.get("value")?))
    });
    let maps = builder.start();
    bench.map("a", "s1");
    bench.map("b", "s1");
    bench.map("c", "s2");
    let by_index = Controller::new(&maps).watches_by_index(&bench.secrets, by_secret);
    let by_mapping = Controller::new(&maps).watches(&bench.secrets, move |change, world, emit| {
        assert_eq!(world.watched.get(change.key()).is_some(), change.new().is_some());
        assert_eq!(world.previous.get(change.key()).is_some(), change.old().is_some());
        let hits = world.primary.by_index(&by_secret, &change.key().to_owned());
        hits.for_each(|map| emit(Obj::key(map).to_owned()));
    });
    for controller in [by_index, by_mapping] {
        let seen = Seen::default();
        let run = observe(controller, &seen);
        settle().await;
        assert_eq!(counts(seen.names()).len(), 3);
        bench.secret("s1");
        bench.secret("unused");
        settle().await;
        assert_eq!(counts(seen.names()).into_keys().collect::<Vec<_>>(), ["a", "b"]);
        bench.change("c", "s1");
        settle().await;
        assert_eq!(seen.names(), ["c"]);
        bench.server.delete("secrets", "default", "s1").unwrap();
        bench.server.delete("secrets", "default", "unused").unwrap();
        settle().await;
        assert_eq!(counts(seen.names()).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        bench.change("c", "s2");
        run.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn watched_objects_lead_to_the_primaries_that_select_them_before_or_after_a_change() {
    let bench = Bench::new();
    let mut builder = Informer::builder(Api::<ConfigMap>::all(bench.client.clone()));
    let by_selector = builder.index(index::selector(|map: &ConfigMap| {
        Some(map.data.as_ref()?.get("value")?.parse::<crate::Selector>())
    }));
    let maps = builder.start();
    bench.map("web", "app=web");
    bench.map("db", "app in (db,cache)");
    bench.map("labelled", "app");
    let seen = Seen::default();
    let run = observe(Controller::new(&maps).watches_by_selector(&bench.secrets, by_selector), &seen);
    settle().await;
    assert_eq!(counts(seen.names()).len(), 3);
    let reconciled = || counts(seen.names()).into_keys().collect::<Vec<_>>();
    bench.secret("s");
    settle().await;
    assert_eq!(reconciled(), [""; 0], "it has no labels");
    for (app, expected) in [
        (json!("web"), &["labelled", "web"][..]),
        (json!("cache"), &["db", "labelled", "web"]),
        (json!(null), &["db", "labelled"]),
    ] {
        let patch = json!({ "metadata": { "labels": { "app": app } } });
        bench.server.merge_patch("secrets", "default", "s", patch).unwrap();
        settle().await;
        assert_eq!(reconciled(), expected, "{app}");
    }
    run.abort();
}

#[tokio::test(start_paused = true)]
async fn informers_of_two_clients_work_in_one_controller() {
    let (bench, other) = (Bench::new(), Bench::new());
    bench.map("m", "1");
    let seen = Seen::default();
    let controller = Controller::new(&bench.maps).watches(&other.secrets, |change, _, emit| {
        emit(change.key().to_owned());
    });
    observe(controller, &seen);
    settle().await;
    assert_eq!(seen.names(), ["m"]);
    other.secret("m");
    settle().await;
    assert_eq!(seen.names(), ["m"]);
}

#[test]
fn the_controller_of_an_object_is_found_by_group_and_kind_before_and_after_a_change() {
    fn reference(api_version: &str, kind: &str, name: &str, controller: Option<bool>) -> Value {
        json!({ "apiVersion": api_version, "kind": kind, "name": name, "uid": name, "controller": controller })
    }
    fn pod(references: Value) -> Obj<Pod> {
        let metadata = json!({ "namespace": "shop", "name": "p", "uid": "u", "ownerReferences": references });
        let pod = serde_json::from_value::<Pod>(json!({ "metadata": metadata })).unwrap();
        let snapshot = crate::Snapshot::from_objects(crate::index::IndexSet::new(), [(("shop", "p"), pod)]);
        snapshot.get(("shop", "p")).unwrap().clone()
    }
    fn of<K: kube_core::Resource<DynamicType: Default, Scope: 'static>>(
        change: Change<'_, Pod>,
    ) -> Vec<String> {
        owners::<K, _>(change).map(|key| key.to_string()).collect()
    }
    let set = |name| pod(json!([reference("apps/v1", "ReplicaSet", name, Some(true))]));
    let (a, b) = (set("a"), set("b"));
    assert_eq!(of::<ReplicaSet>(Change::Added(&a)), ["shop/a"]);
    assert_eq!(of::<ReplicaSet>(Change::Deleted(&a)), ["shop/a"]);
    assert_eq!(of::<ReplicaSet>(Change::Modified { old: &a, new: &a }), ["shop/a"], "once");
    assert_eq!(of::<ReplicaSet>(Change::Modified { old: &a, new: &b }), ["shop/a", "shop/b"]);
    assert_eq!(of::<Deployment>(Change::Added(&a)), [""; 0], "another kind");

    let references = json!([
        reference("apps/v1", "ReplicaSet", "no controller", None),
        reference("apps/v1", "ReplicaSet", "no controller either", Some(false)),
    ]);
    assert_eq!(of::<ReplicaSet>(Change::Added(&pod(references))), [""; 0]);
    let other_group = pod(json!([reference("example.dev/v1", "ReplicaSet", "x", Some(true))]));
    assert_eq!(of::<ReplicaSet>(Change::Added(&other_group)), [""; 0], "the same kind of another group");
    let other_version = pod(json!([reference("apps/v1beta2", "ReplicaSet", "x", Some(true))]));
    assert_eq!(of::<ReplicaSet>(Change::Added(&other_version)), ["shop/x"]);
    let cluster = pod(json!([reference("v1", "Namespace", "n", Some(true))]));
    assert_eq!(of::<Namespace>(Change::Added(&cluster)), ["n"], "a cluster-scoped owner");
}

#[tokio::test(start_paused = true)]
async fn changes_of_owned_objects_lead_to_their_owner() {
    let bench = Bench::new();
    let uid = bench.map("owner", "1")["metadata"]["uid"].clone();
    let seen = Seen::default();
    observe(Controller::new(&bench.maps).owns(&bench.secrets), &seen);
    settle().await;
    assert_eq!(seen.names(), ["owner"]);
    let owner =
        json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "controller": true }]);
    let metadata = json!({ "namespace": "default", "name": "owned", "ownerReferences": owner });
    bench.server.create(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata })).unwrap();
    bench.secret("other");
    settle().await;
    assert_eq!(seen.names(), ["owner"]);
    let released = json!({ "metadata": { "ownerReferences": [] } });
    bench.server.merge_patch("secrets", "default", "owned", released).unwrap();
    settle().await;
    assert_eq!(seen.names(), ["owner"], "it lost an object");
}
