//! Waiting for all informers, and reporting those that are missing.

use kube_core::{ApiResource, DynamicObject, GroupVersionKind};

use super::*;
use crate::testing::Kind;
use crate::{Absent, Change};

fn widgets() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.com", "v1", "Widget"), "widgets")
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_with_the_reason() {
    let (server, registry) = world();
    deny(&server, "secrets");
    let _handles = (
        registry.declare::<Secret>(),
        registry.declare_with::<DynamicObject>(Scope::namespace("default"), widgets()),
        registry.declare::<ConfigMap>(),
    );
    assert_eq!(
        not_synced(&registry),
        ["secrets: not started", "widgets.example.com in default: not started", "configmaps: not started"]
    );
    registry.start();
    assert!(timeout(LONG, registry.synced()).await.is_err());
    let now = not_synced(&registry);
    assert!(
        now[0].starts_with("secrets: waiting before the next attempt; ") && now[0].contains("403"),
        "{now:?}"
    );
    assert!(now[1].starts_with("widgets.example.com in default: not served; "), "{now:?}");
    assert_eq!(now.len(), 2);
    let debug = format!("{registry:?}");
    assert!(debug.contains(&now[0]) && debug.contains("configmaps: Watching"), "{debug}");
    let [secrets, widgets] = &registry.not_synced()[..] else { panic!("{debug}") };
    assert!(secrets.last_error.as_ref().unwrap().is_forbidden() && secrets.started);
    assert_eq!(widgets.phase, crate::Phase::Absent);

    // Kinds that appear after every timeout still sync.
    allow(&server, "secrets");
    server.install(Kind::namespaced("example.com", "v1", "Widget", "widgets")).unwrap();
    synced(&registry).await;
    assert!(registry.not_synced().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_wait_that_asks_for_it_and_names_the_kind() {
    let (server, registry) = world();
    deny(&server, "secrets");
    let maps = registry.declare::<ConfigMap>();
    maps.after(&registry.declare::<Secret>()).unwrap();
    registry.start();
    let error = timeout(LONG, registry.synced_or_blocked()).await.unwrap().unwrap_err();
    assert!(error.is_forbidden() && error.to_string().contains("secrets"), "{error}");
    allow(&server, "secrets");
    synced(&registry).await;
    timeout(LONG, registry.synced_or_blocked()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_while_waiting_is_waited_for() {
    let (_server, registry) = world();
    let _maps = registry.declare::<ConfigMap>();
    let waiting = tokio::spawn({
        let registry = registry.clone();
        async move { registry.synced().await }
    });
    tokio::task::yield_now().await;
    let secrets = registry.declare::<Secret>();
    registry.start();
    timeout(LONG, waiting).await.unwrap().unwrap().unwrap();
    assert!(secrets.informer().is_synced());
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_wants_any_more_is_not_waited_for() {
    let (server, registry) = world();
    deny(&server, "secrets");
    let (_maps, secrets) = (registry.declare::<ConfigMap>(), registry.declare::<Secret>());
    registry.start();
    let waiting = tokio::spawn({
        let registry = registry.clone();
        async move { registry.synced().await }
    });
    tokio::time::sleep(LONG).await;
    assert!(!waiting.is_finished());
    drop(secrets);
    timeout(LONG, waiting).await.unwrap().unwrap().unwrap();
    assert!(registry.not_synced().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_optional_kind_that_is_not_served_counts_as_synced_and_comes_later() {
    let (server, registry) = world();
    let kind = registry.declare_with::<DynamicObject>(Scope::all(), widgets());
    kind.config(Config::new().absent(Absent::Empty)).unwrap();
    let by_name = kind.index(|widget: &DynamicObject| widget.metadata.name.clone()).unwrap();
    let maps = registry.declare::<ConfigMap>();
    maps.after(&kind).unwrap();
    registry.start();
    timeout(LONG, registry.synced_or_blocked()).await.unwrap().unwrap();
    assert!(registry.not_synced().is_empty());
    let informer = kind.informer();
    assert!(informer.is_synced() && informer.snapshot().is_empty());
    let mut changes = informer.subscribe();
    let first = changes.next().await.unwrap();
    assert!(first.is_initial() && first.changes().next().is_none());

    server.install(Kind::namespaced("example.com", "v1", "Widget", "widgets")).unwrap();
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "default"}});
    server.create(widget).unwrap();
    let batch = timeout(LONG, changes.next()).await.expect("it is not asked for any more").unwrap();
    assert!(matches!(batch.changes().next(), Some(Change::Added(_))));
    assert_eq!(batch.snapshot().by_index(&by_name, "w").len(), 1);
}
