//! Equal declarations share one informer, which lives as long as its handles.

use futures_util::FutureExt as _;
use kube_core::{ApiResource, DynamicObject, GroupVersionKind};

use super::*;
use crate::index;
use crate::testing::Kind;

#[tokio::test(start_paused = true)]
async fn all_who_ask_for_the_same_share_one_informer_and_one_watch() {
    let (server, registry) = world();
    let (one, other) = (registry.declare::<ConfigMap>(), registry.clone().declare::<ConfigMap>());
    registry.start();
    registry.start();
    let late = registry.declare::<ConfigMap>();
    registry.start();
    synced(&registry).await;
    for informer in [one.informer(), other.informer(), late.informer()] {
        assert_eq!(informer.snapshot().len(), 3);
    }
    let (held, same) = (one.informer().get(("default", "a")), late.informer().get(("default", "a")));
    assert!(crate::Obj::ptr_eq(&held.unwrap(), &same.unwrap()), "two copies");
    // A streaming list is the watch itself.
    assert_eq!(server.requests().reads(), 1);
    assert_eq!(server.requests().count("watch", "configmaps"), 1);
    assert_eq!(registry.inner.entries.len(), 1);
}

#[tokio::test]
async fn askers_on_many_threads_share_one_informer() {
    for _ in 0..50 {
        let (_server, registry) = world();
        let barrier = std::sync::Barrier::new(4);
        let declare = || {
            barrier.wait();
            registry.declare::<ConfigMap>()
        };
        let declared = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(declare)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let index = declared[0].index(index::namespace()).unwrap();
        for declared in &declared {
            let snapshot = declared.informer().snapshot();
            assert!(snapshot.try_by_index(&index, "default").is_ok(), "another informer");
        }
    }
}

/// The text of a ConfigMap, with a prefix that the application sets.
#[derive(Debug, PartialEq, Eq)]
struct Prefixed(String);

impl StoredWith for Prefixed {
    type Object = ConfigMap;
    type Settings = String;

    fn project_with(map: ConfigMap, prefix: &String) -> Projected<Self> {
        Ok(Some(Self(format!("{prefix}{}", text(&map)))))
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_share_a_projection_agree_on_its_settings() {
    let (server, registry) = world();
    let declare = |prefix: &str| registry.declare_projected::<Prefixed>(Scope::all(), (), prefix.to_owned());
    let (one, same) = (declare("my-").unwrap(), declare("my-").unwrap());
    let refused = declare("your-").unwrap_err();
    assert!(refused.is_conflict());
    assert_eq!(
        refused.to_string(),
        "configmaps: another caller has set different settings for the shared informer"
    );
    let elsewhere = registry
        .declare_projected::<Prefixed>(Scope::namespace("default"), (), "your-".to_owned())
        .expect("another scope is another informer");
    registry.start();
    assert!(declare("your-").unwrap_err().is_conflict(), "also while it runs");
    synced(&registry).await;
    for informer in [one.informer(), same.informer(), declare("my-").unwrap().informer()] {
        assert_eq!(informer.get(("default", "a")).unwrap().0, "my-one");
    }
    assert_eq!(elsewhere.informer().get(("default", "a")).unwrap().0, "your-one");
    assert_eq!(server.requests().count("watch", "configmaps"), 2);

    // The settings go with the last handle.
    drop((one, same));
    let next = declare("your-").unwrap();
    registry.start();
    synced(&registry).await;
    assert_eq!(next.informer().get(("default", "a")).unwrap().0, "your-one");
}

#[tokio::test(start_paused = true)]
async fn stored_types_and_scopes_have_informers_of_their_own() {
    let (server, registry) = world();
    let whole = registry.declare::<ConfigMap>().informer();
    let texts = registry.declare::<Text>().informer();
    let lengths = registry.declare::<Length>().informer();
    let system = registry.declare_in::<Text>(Scope::namespace("kube-system")).informer();
    let ones = registry.declare_in::<Text>(Scope::all().labels("text=one")).informer();
    let a = registry.declare_in::<Text>(Scope::namespace("default").fields("metadata.name=a")).informer();
    registry.start();
    synced(&registry).await;
    assert_eq!(text(&whole.get(("default", "b")).unwrap()), "three");
    assert_eq!(texts.get(("default", "b")).unwrap().0, "three");
    assert_eq!(lengths.get(("default", "b")).unwrap().0, 5);
    let counts = [&texts, &system, &ones, &a].map(|informer| informer.snapshot().len());
    assert_eq!(counts, [3, 1, 2, 1]);
    assert_eq!(server.requests().count("watch", "configmaps"), 6);
    let names = format!("{registry:?}");
    for name in ["configmaps in kube-system: ", "configmaps in all namespaces with labels text=one: "] {
        assert!(names.contains(name), "{names}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_means_nothing_to_a_kind_without() {
    let (server, registry) = world();
    let all = registry.declare::<k8s_openapi::api::core::v1::Namespace>().informer();
    let one =
        registry.declare_in::<k8s_openapi::api::core::v1::Namespace>(Scope::namespace("default")).informer();
    registry.start();
    synced(&registry).await;
    assert!(all.snapshot().len() > 1 && one.snapshot().len() == all.snapshot().len());
    assert_eq!(server.requests().count("watch", "namespaces"), 1);
}

/// The scope of the kind is not known at compile time, and a request for the namespace returns 404 as for an
/// absent kind.
#[tokio::test(start_paused = true)]
async fn a_namespace_means_nothing_to_a_kind_without_that_is_known_at_run_time() {
    let widgets =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.com", "v1", "Widget"), "widgets");
    let namespaces = ApiResource::erase::<k8s_openapi::api::core::v1::Namespace>(&());
    let maps = ApiResource::erase::<ConfigMap>(&());
    let scope = || Scope::namespace("default");
    let (server, registry) = world();
    let namespaces = registry.declare_with::<DynamicObject>(scope(), namespaces).informer();
    let maps = registry.declare_with::<DynamicObject>(scope(), maps).informer();
    let widgets = registry.declare_with::<DynamicObject>(scope(), widgets).informer();
    registry.start();
    timeout(LONG, namespaces.synced()).await.expect("all of them").unwrap();
    timeout(LONG, maps.synced()).await.unwrap().unwrap();
    assert_eq!((namespaces.snapshot().len(), maps.snapshot().len()), (4, 2));
    // A kind that is not served yet is absent, and is found at cluster scope once it is installed.
    tokio::time::sleep(LONG).await;
    assert!(widgets.status().phase == crate::Phase::Absent && widgets.status().last_error.is_some());
    server.install(Kind::cluster("example.com", "v1", "Widget", "widgets")).unwrap();
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
    server.create(widget).unwrap();
    timeout(LONG, widgets.synced()).await.expect("it has come").unwrap();
    assert_eq!(widgets.snapshot().len(), 1);
    // Its watch continues there, without more discovery requests.
    server.reset_requests();
    server.disconnect_watches();
    server.delete("widgets.example.com", None, "w").unwrap();
    timeout(LONG, widgets.wait_until(|view| view.is_empty())).await.unwrap().unwrap();
    assert!(server.requests().recent().all(|request| request.code == 200 && request.verb == "watch"));
}

#[tokio::test(start_paused = true)]
async fn kinds_known_at_run_time_are_told_apart() {
    let (server, registry) = world();
    let maps = registry.declare_with::<DynamicObject>(Scope::all(), ApiResource::erase::<ConfigMap>(&()));
    let secrets = registry.declare_with::<DynamicObject>(Scope::all(), ApiResource::erase::<Secret>(&()));
    let same = registry.declare_with::<DynamicObject>(Scope::all(), ApiResource::erase::<ConfigMap>(&()));
    registry.start();
    synced(&registry).await;
    assert_eq!([&maps, &secrets, &same].map(|declared| declared.informer().snapshot().len()), [3, 0, 3]);
    assert_eq!(server.requests().reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_projection_keeps_out_fails_and_stores() {
    let (server, registry) = world();
    for text in ["no", "skip"] {
        server.create(map("default", text, text)).unwrap();
    }
    let texts = registry.declare::<Text>().informer();
    registry.start();
    synced(&registry).await;
    let snapshot = texts.snapshot();
    assert_eq!((snapshot.len(), snapshot.invalid_len()), (3, 1));
    let invalid = snapshot.invalid().next().unwrap();
    assert_eq!(invalid.key().unwrap().name(), "no");
    assert_eq!(std::error::Error::source(invalid).unwrap().to_string(), "it says no");
    assert!(
        !format!("{invalid} {invalid:?}").contains("it says"),
        "an error of the application is part of our text"
    );
}

#[tokio::test(start_paused = true)]
async fn every_part_may_add_indexes_until_the_start() {
    let (_server, registry) = world();
    let one = registry.declare::<Text>();
    // An early reader sees indexes that are declared later.
    let reader = one.informer();
    let mut changes = one.informer().subscribe();
    assert!(reader.snapshot().is_empty());
    let by_text = one.index(|text: &Text| text.0.clone()).unwrap();
    let before = one.informer().snapshot();
    let other = registry.declare::<Text>();
    let by_letter = other.index(|text: &Text| text.0.chars().collect::<Vec<_>>()).unwrap();
    let by_namespace = other.index(index::namespace()).unwrap();
    assert_eq!(one.informer().read(|view| view.by_index(&by_letter, &'e').len()), 0);
    assert_eq!(reader.snapshot().by_index(&by_namespace, "default").len(), 0);
    assert!(before.try_by_index(&by_letter, &'e').is_err(), "it was not there yet");

    registry.start();
    synced(&registry).await;
    let snapshot = reader.snapshot();
    let counts = (snapshot.by_index(&by_text, "one").len(), snapshot.by_index(&by_letter, &'e').len());
    assert_eq!((counts, snapshot.by_index(&by_namespace, "default").len()), ((2, 3), 2));
    assert_eq!(changes.next().await.unwrap().changes().count(), 3);
    let mut ones = one.informer().subscribe().in_index(&by_text, "one".to_owned());
    assert_eq!(ones.next().await.unwrap().changes().count(), 2);

    for error in [
        one.index(|text: &Text| text.0.len()).unwrap_err(),
        registry.declare::<Text>().index(index::namespace()).unwrap_err(),
        other.after(&registry.declare::<Secret>()).unwrap_err(),
    ] {
        assert!(error.is_started() && error.to_string().starts_with("configmaps: "), "{error}");
    }
    let late = other.informer().add_index(|text: &Text| text.0.len()).await.unwrap();
    assert_eq!(one.informer().snapshot().by_index(&late, &3).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn held_until_started_then_for_as_long_as_somebody_wants_it() {
    let (server, registry) = world();
    let by_text = registry.declare::<Text>().index(|text: &Text| text.0.clone()).unwrap();
    let texts = registry.declare::<Text>().informer();
    assert!(
        texts.snapshot().try_by_index(&by_text, "one").is_ok(),
        "the one that was declared first is gone"
    );
    registry.start();
    synced(&registry).await;
    let snapshot = texts.snapshot();
    let subscription = texts.subscribe();
    let status = texts.status_receiver();
    drop(texts);
    tokio::time::sleep(LONG).await;
    assert!(status.has_changed().is_ok(), "a subscription holds it");
    let again = registry.declare::<Text>().informer();
    assert!(again.snapshot().try_by_index(&by_text, "one").is_ok(), "another one, though this one runs");
    drop(subscription);
    ended(again).await;
    assert!(registry.not_synced().is_empty() && format!("{registry:?}") == "[]", "{registry:?}");
    assert_eq!(snapshot.len(), 3);

    let new = registry.declare::<Text>();
    assert!(new.informer().snapshot().try_by_index(&by_text, "one").is_err(), "the old one");
    let by_length = new.index(|text: &Text| text.0.len()).unwrap();
    assert_eq!(registry.inner.entries.len(), 1);
    server.reset_requests();
    registry.start();
    synced(&registry).await;
    assert_eq!(new.informer().snapshot().by_index(&by_length, &3).len(), 2);
    assert_eq!(server.requests().reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_is_neither_started_nor_kept() {
    let (server, registry) = world();
    for number in 0..100 {
        registry.declare_in::<Text>(Scope::namespace(format!("n{number}"))).config(Config::new()).unwrap();
    }
    registry.start();
    synced(&registry).await;
    assert_eq!(server.requests().total(), 0);
    let _kept = registry.declare::<Text>();
    assert_eq!(registry.inner.entries.len(), 1, "what has ended is still known");
}

#[tokio::test(start_paused = true)]
async fn without_their_registry_informers_go_on_and_those_not_started_end() {
    let (server, registry) = world();
    let running = registry.declare::<Text>().informer();
    registry.start();
    synced(&registry).await;
    let declared = registry.declare::<Length>();
    let never = declared.informer();
    let waiting = tokio::spawn({
        let never = never.clone();
        async move { never.synced().await }
    });
    tokio::task::yield_now().await;
    drop(registry);
    let ended = timeout(LONG, waiting).await.expect("it waits for what never starts").unwrap();
    assert!(ended.unwrap_err().is_stopped());
    assert!(declared.index(|length: &Length| length.0).unwrap_err().is_stopped());
    server.create(map("default", "d", "new")).unwrap();
    running.wait_until(|view| view.len() == 4).await.unwrap();
    running.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_all_of_them_and_waits_for_it() {
    let (_server, registry) = world();
    let running = registry.declare::<Text>().informer();
    let secrets = registry.declare::<Secret>();
    secrets.after(&registry.declare::<Length>()).unwrap();
    registry.start();
    running.synced().await.unwrap();
    let idle = registry.declare::<ConfigMap>().informer();
    let mut changes = running.subscribe();
    registry.shutdown().await;
    assert_eq!(running.status().phase, crate::Phase::Stopped);
    assert_eq!(secrets.informer().status().phase, crate::Phase::Stopped);
    assert!(running.shutdown().now_or_never().is_some(), "its task has not ended");
    assert!(idle.synced().await.unwrap_err().is_stopped());
    assert_eq!(changes.next().await.unwrap().changes().count(), 3);
    assert!(changes.next().await.is_none());
    assert_eq!(running.snapshot().len(), 3);

    // A new declaration makes a new informer, although handles to the old one exist.
    let new = registry.declare::<Text>().informer();
    registry.start();
    timeout(LONG, new.synced()).await.unwrap().unwrap();
    assert_eq!(new.snapshot().len(), 3);
    assert_ne!(new.status().phase, crate::Phase::Stopped);
}
