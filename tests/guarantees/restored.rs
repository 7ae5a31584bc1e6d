//! Promise 4: versions only increase within an epoch, and a restore of the server from a backup begins a new
//! epoch.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use kube_client::client::Body;
use kube_client::{Api, Client};
use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Change, Informer, Obj};
use serde_json::{Value, json};
use tower::{Service, service_fn};

use crate::support::*;

fn line(kind: &str, object: &Value) -> FaultAction {
    FaultAction::Insert(format!("{}\n", json!({ "type": kind, "object": object })).into())
}

#[tokio::test(start_paused = true)]
async fn p04_an_event_below_its_streams_version_is_neither_applied_nor_dropped_silently() {
    let server = server();
    populate(&server, 5, 1);
    let indexed = start(kept(&server));
    agree(&indexed, &server).await;
    let old = server.get(WIDGETS, "a", "w001").unwrap();
    for (round, kind) in (2..).zip(["MODIFIED", "DELETED", "ADDED"]) {
        settle().await;
        set(&server, "a", "w001", round);
        agree(&indexed, &server).await;
        let mut changes = indexed.informer.subscribe();
        next(&mut changes).await;
        let lists = indexed.informer.stats().lists;
        server.inject(Fault::new(line(kind, &old)).verb("watch"));
        set(&server, "a", "w002", round);
        let batch = next(&mut changes).await;
        let changed: Vec<_> = batch.changes().map(|change| change.key().name().to_owned()).collect();
        assert_eq!(changed, ["w002"], "{kind}: the old version of w001 is nowhere");
        agree(&indexed, &server).await;
        let status = indexed.informer.status();
        assert_eq!(indexed.informer.stats().lists, lists + 1, "{kind}: a broken stream, so all is listed");
        assert!(status.last_error.unwrap().to_string().contains("older"));
    }
}

#[tokio::test(start_paused = true)]
async fn p04_a_list_from_a_server_that_lags_behind_is_not_taken_for_news() {
    let server = paging_server();
    populate(&server, 5, 1);
    let indexed = start(kept(&server));
    agree(&indexed, &server).await;
    let old = server.list(WIDGETS, None).unwrap().to_string();
    set(&server, "a", "w001", 2);
    server.delete(WIDGETS, "a", "w002").unwrap();
    agree(&indexed, &server).await;
    settle().await;
    let mut changes = indexed.informer.subscribe();
    next(&mut changes).await;
    server.inject(Fault::new(FaultAction::Garbage(old.into())).verb("list"));
    set(&server, "a", "w003", 3);
    force_relist(&server);
    let batch = next(&mut changes).await;
    let changed: Vec<_> = batch.changes().map(|change| change.key().name().to_owned()).collect();
    assert_eq!(changed, ["w003"]);
    agree(&indexed, &server).await;
}

#[tokio::test(start_paused = true)]
async fn p04_versions_that_are_no_decimals_are_said_to_have_no_order() {
    let server = paging_server();
    let mut object = widget("a", "x", 1);
    object["metadata"]["resourceVersion"] = json!("one");
    object["metadata"]["uid"] = json!("u");
    let list = json!({ "metadata": { "resourceVersion": "first" }, "items": [object] });
    server.inject(Fault::new(FaultAction::Garbage(list.to_string().into())).verb("list"));
    let informer = kept(&server).start();
    informer.synced().await.unwrap();
    assert_eq!(informer.get(("a", "x")).unwrap().number, 1);
    eventually("its status says so", || (!informer.status().ordered_versions).then_some(())).await;
}

/// Two servers behind one address; the second is the first one restored from an old backup.
#[tokio::test(start_paused = true)]
async fn p04_a_restored_server_begins_a_new_epoch() {
    let lived = server();
    populate(&lived, 10, 1);
    for round in 2..60 {
        set(&lived, "a", "w001", round);
    }
    let restored = server();
    populate(&restored, 4, 1);
    set(&restored, "a", "w003", 500);
    assert!(restored.resource_version() + 20 < lived.resource_version());

    let current: Arc<Mutex<ApiServer>> = Arc::new(Mutex::new(lived.clone()));
    let service = {
        let current = current.clone();
        service_fn(move |request: Request<Body>| current.lock().unwrap().service().call(request))
    };
    let api = Api::<Widget>::all(Client::new(service, "default"));
    let indexed = start(Informer::builder(api).project(Kept::from));
    let before = agree(&indexed, &lived).await;
    let mut changes = indexed.informer.subscribe();
    next(&mut changes).await;
    settle().await;

    // A wait for a write that the restore loses.
    let informer = indexed.informer.clone();
    let mut ahead = from_json(&lived.get(WIDGETS, "a", "w001").unwrap());
    ahead.metadata.resource_version = Some((lived.resource_version() + 50).to_string());
    let waiter = tokio::spawn(async move { informer.at_least(&ahead).await.map(drop) });
    settle().await;

    *current.lock().unwrap() = restored.clone();
    lived.disconnect_watches();
    let moved = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(content(&indexed.informer.snapshot()), content(&before));
    agree(&indexed, &restored).await;
    assert!(moved.elapsed() < Duration::from_secs(300), "{:?}", moved.elapsed());

    let waited =
        tokio::time::timeout(Duration::from_secs(1), waiter).await.expect("the wait is over").unwrap();
    let error = waited.unwrap_err();
    assert!(error.is_new_epoch(), "{error}");

    // Changes are delivered as usual, and nothing of the old epoch is reused.
    let batch = next(&mut changes).await;
    let (mut replaced, mut deleted) = (0, 0);
    for change in batch.changes() {
        match change {
            Change::Replaced { old, new } => {
                assert!(!Obj::ptr_eq(old, new));
                replaced += 1;
            }
            Change::Deleted(_) => deleted += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((replaced, deleted), (4, 6));
    // The informer follows the restored server.
    set(&restored, "a", "w000", 7);
    agree(&indexed, &restored).await;
}
