//! Promises 9 and 10: an invalid object, or a closure that panics on one, affects only that object.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kube_informer::error::DecodeError;
use kube_informer::index::IndexBy;
use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Informer, Key, Obj, View};
use serde_json::{Value, json};

use crate::support::*;

/// A value that must never appear in a text.
const MARKER: &str = "hush-hush";

/// Invalid specs, each with the path and the kind of the mismatch.
fn misfits() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (json!({ "number": MARKER }), "spec.number", "string"),
        (json!({ "number": null }), "spec.number", "null"),
        (json!({ "number": -1 }), "spec.number", "integer"),
        (json!({ "number": 1.5 }), "spec.number", "fraction"),
        (json!({ "number": { "a": MARKER } }), "spec.number", "object"),
        (json!({ "number": 1, "group": [MARKER] }), "spec.group", "array"),
        (json!({ "number": 1, "tags": [1, MARKER, 3] }), "spec.tags[1]", "string"),
        (json!({ "number": 1, "tags": MARKER }), "spec.tags", "string"),
        (json!({ "number": 1, "tags": [1, 4294967296_u64] }), "spec.tags[1]", "integer"),
        (json!({ "group": MARKER }), "spec.number", "missing"),
        (json!(MARKER), "spec", "string"),
        (Value::Null, "spec", ""),
    ]
}

fn with_spec(name: &str, spec: Value) -> Value {
    let mut widget = widget("a", name, 0);
    widget["spec"] = spec;
    widget
}

/// Replaces an object, whatever its version is.
fn replace(server: &ApiServer, name: &str, spec: Value) {
    let mut object = server.get(WIDGETS, "a", name).unwrap();
    object["spec"] = spec;
    server.update(object).unwrap();
}

fn one_invalid<T>(view: &View<T>) -> &DecodeError {
    let mut invalid = view.invalid();
    assert_eq!((invalid.len(), view.invalid_len()), (1, 1));
    invalid.next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn p09_an_invalid_object_in_a_list_harms_only_itself() {
    for (spec, path, what) in misfits() {
        for server in [server(), paging_server()] {
            populate(&server, 5, 1);
            server.create(with_spec("invalid", spec.clone())).unwrap();
            let indexed = start(kept(&server));
            indexed.informer.synced().await.unwrap();
            let snapshot = indexed.informer.snapshot();
            assert_eq!(snapshot.len(), 5);
            indexed.assert_consistent(&snapshot);
            let invalid = one_invalid(&snapshot);
            assert_eq!(invalid.key().unwrap().to_string(), "a/invalid");
            assert_eq!(invalid.path(), path, "{spec}: {invalid}");
            assert!(invalid.mismatch().contains(what) && !invalid.mismatch().is_empty(), "{spec}: {invalid}");
            assert!(!format!("{invalid} {invalid:?}").contains(MARKER), "{invalid}");
            let newest = server.get(WIDGETS, "a", "invalid").unwrap();
            let version = newest["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
            assert_eq!(invalid.resource_version().unwrap().to_string(), version);
            assert_eq!(indexed.informer.stats().invalid_objects, 1);
            // Its next version is tried again.
            replace(&server, "invalid", json!({ "number": 3, "group": "g0" }));
            let snapshot = agree(&indexed, &server).await;
            assert_eq!((snapshot.invalid_len(), snapshot.len()), (0, 6));
            eventually("its status knows", || (indexed.informer.stats().invalid_objects == 0).then_some(()))
                .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p09_the_last_good_version_stays_marked_and_is_no_delete() {
    for (spec, ..) in misfits() {
        let server = server();
        populate(&server, 5, 1);
        let indexed = start(kept(&server));
        agree(&indexed, &server).await;
        let mut changes = indexed.informer.subscribe();
        next(&mut changes).await;
        let good = indexed.informer.get(("a", "w001")).unwrap();
        replace(&server, "w001", spec);
        set(&server, "a", "w002", 2);
        let snapshot = until(&indexed.informer, "it is marked", |view| view.invalid_len() == 1).await;
        assert!(Obj::ptr_eq(snapshot.get(("a", "w001")).unwrap(), &good), "the last good version stays");
        assert_eq!(snapshot.by_index(&indexed.by_number, &1).len(), 4, "in its indexes too");
        indexed.assert_consistent(&snapshot);
        assert_eq!(one_invalid(&snapshot).key().unwrap().to_string(), "a/w001");
        let names: Vec<_> = std::iter::from_fn(|| {
            use futures_util::FutureExt;
            let batch = changes.next().now_or_never()??;
            Some(batch.changes().map(|change| change.key().name().to_owned()).collect::<Vec<_>>())
        })
        .flatten()
        .collect();
        assert_eq!(names, ["w002"], "no change of the invalid one is told");
        // A relist at the same version changes nothing.
        settle().await;
        set(&server, "a", "w003", 3);
        force_relist(&server);
        until(&indexed.informer, "relisted", |view| view.get(("a", "w003")).unwrap().number == 3).await;
        let snapshot = indexed.informer.snapshot();
        assert!(Obj::ptr_eq(snapshot.get(("a", "w001")).unwrap(), &good) && snapshot.invalid_len() == 1);
        // A delete removes the object and its invalid mark.
        server.delete(WIDGETS, "a", "w001").unwrap();
        let snapshot = agree(&indexed, &server).await;
        assert_eq!(snapshot.invalid_len(), 0);
    }
}

fn insert(server: &ApiServer, kind: &str, object: &Value) {
    let line = format!("{}\n", json!({ "type": kind, "object": object }));
    server.inject(Fault::new(FaultAction::Insert(line.into())).verb("watch"));
}

#[tokio::test(start_paused = true)]
async fn p09_an_undecodable_deleted_event_still_deletes_by_key() {
    for (field, value) in [("uid", json!(5)), ("resourceVersion", json!({})), ("labels", json!([MARKER]))] {
        let server = server();
        populate(&server, 5, 1);
        let indexed = start(kept(&server));
        agree(&indexed, &server).await;
        let mut changes = indexed.informer.subscribe();
        next(&mut changes).await;
        let mut object = with_spec("w001", json!(MARKER));
        object["metadata"]["resourceVersion"] = json!(server.resource_version().to_string());
        object["metadata"][field] = value;
        insert(&server, "DELETED", &object);
        set(&server, "a", "w002", 2);
        let snapshot = until(&indexed.informer, "it is gone", |view| view.get(("a", "w001")).is_none()).await;
        assert_eq!((snapshot.len(), snapshot.invalid_len()), (4, 0), "{field}");
        indexed.assert_consistent(&snapshot);
        let batch = next(&mut changes).await;
        let deleted: Vec<_> = batch
            .changes()
            .filter(|change| change.new().is_none())
            .map(|change| change.key().name())
            .collect();
        assert_eq!(deleted, ["w001"], "{field}");
        assert_eq!(indexed.informer.stats().lists, 1, "{field}: the stream goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn p09_objects_that_cannot_be_named_are_counted() {
    let nameless = |metadata: Value| json!({ "metadata": metadata, "spec": { "number": 1 } });
    let version = || json!("1000000");
    for metadata in [
        json!({ "resourceVersion": version() }),
        json!({ "name": "", "resourceVersion": version() }),
        json!({ "name": 7, "resourceVersion": version() }),
        json!([]),
        Value::Null,
    ] {
        // In a list.
        let server = paging_server();
        let items = [nameless(metadata.clone())];
        let list = json!({ "metadata": { "resourceVersion": "5" }, "items": items }).to_string();
        server.inject(Fault::new(FaultAction::Garbage(list.into())).verb("list"));
        let informer = kept(&server).start();
        informer.synced().await.unwrap();
        let snapshot = informer.snapshot();
        assert_eq!(
            (snapshot.len(), snapshot.invalid_len(), snapshot.invalid().len()),
            (0, 1, 0),
            "{metadata}"
        );
        assert_eq!(informer.stats().invalid_objects, 1);
    }
    // In a watch: the other events are applied.
    let server = server();
    populate(&server, 5, 1);
    let indexed = start(kept(&server));
    agree(&indexed, &server).await;
    insert(&server, "ADDED", &nameless(json!({ "namespace": "a" })));
    set(&server, "a", "w001", 2);
    let snapshot = agree(&indexed, &server).await;
    assert_eq!((snapshot.len(), snapshot.invalid_len()), (5, 1));
    assert_eq!(indexed.informer.stats().lists, 1);
}

#[derive(Debug, thiserror::Error)]
#[error("no odd numbers")]
struct Odd;

#[tokio::test(start_paused = true)]
async fn p09_a_projection_that_errs_makes_the_object_invalid() {
    let server = server();
    populate(&server, 5, 2);
    server.create(widget("a", "odd", 3)).unwrap();
    let tries = Arc::new(AtomicUsize::new(0));
    let trying = tries.clone();
    let informer = Informer::builder(api(&server))
        .try_project(move |widget| {
            if widget.spec.number % 2 == 0 {
                return Ok(Kept::from(widget));
            }
            trying.fetch_add(1, Ordering::Relaxed);
            Err(Odd)
        })
        .start();
    informer.synced().await.unwrap();
    let snapshot = informer.snapshot();
    assert_eq!(snapshot.len(), 5);
    let invalid = one_invalid(&snapshot);
    assert_eq!(invalid.key().unwrap().to_string(), "a/odd");
    let source = std::error::Error::source(invalid).unwrap();
    assert!(source.is::<Odd>(), "the application's own error is its source");
    assert!(!invalid.to_string().contains("no odd numbers"), "and in no text of ours: {invalid}");
    // The same version is not tried again, the next one is.
    settle().await;
    set(&server, "a", "w001", 4);
    force_relist(&server);
    until(&informer, "relisted", |view| view.get(("a", "w001")).unwrap().number == 4).await;
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    set(&server, "a", "odd", 5);
    eventually("it is tried", || (tries.load(Ordering::Relaxed) == 2).then_some(())).await;
    set(&server, "a", "odd", 6);
    until(&informer, "it is good", |view| view.len() == 6 && view.invalid_len() == 0).await;
}

/// A key that panics when it is hashed (13) or compared (14).
struct Touchy(u64);

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(self.0 != 13, "{EXPECTED}");
        // All keys have the same hash, so that they are compared.
        0_u64.hash(state);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        if self.0 == 14 || other.0 == 14 {
            std::panic::panic_any(EXPECTED);
        }
        self.0 == other.0
    }
}

impl Eq for Touchy {}

/// Returns three keys for each object; for one object it panics after two.
struct Three;

impl IndexBy<Kept> for Three {
    type Key = u64;

    fn index(&self, _: Key<'_>, kept: &Kept, emit: &mut dyn FnMut(u64)) {
        for at in 0..3 {
            if kept.number == 12 && at == 2 {
                std::panic::panic_any(EXPECTED);
            }
            emit(kept.number + at);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p10_closures_and_keys_that_panic_harm_only_the_object() {
    quiet_panics();
    let server = server();
    populate(&server, 5, 1);
    let mut builder = Informer::builder(api(&server)).project(|widget| {
        if widget.spec.number == 10 {
            std::panic::panic_any(EXPECTED);
        }
        Kept::from(widget)
    });
    let by_number = builder.index(|kept: &Kept| {
        if kept.number == 11 {
            std::panic::panic_any(EXPECTED);
        }
        kept.number
    });
    let by_many = builder.index(Three);
    let by_touchy = builder.index(|kept: &Kept| [Touchy(kept.number)]);
    let informer = builder.start();
    informer.synced().await.unwrap();
    let touched = informer.get(("a", "w001")).unwrap();
    for number in 10..=14 {
        set(&server, "a", "w001", number);
        server.create(widget("a", &format!("new{number}"), number)).unwrap();
        set(&server, "a", "w002", number + 100);
        let snapshot = until(&informer, "it goes on", |view| {
            view.get(("a", "w002")).unwrap().number == number + 100 && view.invalid_len() > 0
        })
        .await;
        assert!(Obj::ptr_eq(snapshot.get(("a", "w001")).unwrap(), &touched), "{number}");
        assert_eq!(snapshot.len(), 5, "{number}: the new one is kept out");
        assert_eq!(snapshot.invalid_len(), 2 + (number as usize - 10), "{number}: both are marked, and told");
        // No index contains a part of a failed object.
        assert_eq!(snapshot.by_index(&by_number, &1).len(), 4, "{number}");
        assert_eq!(snapshot.index_keys(&by_number).map(|(_, count)| count).sum::<usize>(), 5, "{number}");
        assert_eq!(snapshot.index_keys(&by_many).map(|(_, count)| count).sum::<usize>(), 15, "{number}");
        assert_eq!(snapshot.index_keys(&by_touchy).map(|(_, count)| count).sum::<usize>(), 5, "{number}");
    }
    // The next valid versions make all of them valid again.
    set(&server, "a", "w001", 50);
    for number in 10..=14 {
        set(&server, "a", &format!("new{number}"), 60 + number);
    }
    let snapshot = until(&informer, "all are good", |view| view.invalid_len() == 0 && view.len() == 10).await;
    assert_eq!(content(&snapshot), truth(&server));
    assert_eq!(informer.stats().lists, 1, "no relist was needed");
}

#[tokio::test(start_paused = true)]
async fn p10_a_predicate_that_panics_takes_down_its_consumer_only() {
    quiet_panics();
    let server = server();
    populate(&server, 2, 1);
    let indexed = start(kept(&server));
    let mut changes = indexed.informer.subscribe().filter_changes(|_, _| std::panic::panic_any(EXPECTED));
    let consumer = tokio::spawn(async move { while changes.next().await.is_some() {} });
    assert!(indexed.informer.synced().await.is_ok());
    set(&server, "a", "w001", 2);
    assert!(consumer.await.unwrap_err().is_panic());
    set(&server, "a", "w001", 3);
    agree(&indexed, &server).await;
}
