//! Kinds whose lists and objects have no versions, such as `PodMetrics`.

use std::time::Duration;

use kube_informer::testing::{ApiServer, Kind};
use kube_informer::{Change, Config, Obj, Phase};

use crate::support::*;

fn server_of(kind: Kind) -> ApiServer {
    let server = ApiServer::builder().without_built_ins().kind(kind).build();
    for name in ["x", "y", "z"] {
        server.create(widget("a", name, 1)).unwrap();
    }
    server
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_versions_is_synced_polled_and_compared_by_content() {
    let server = server_of(widgets().unversioned());
    let indexed = start(kept(&server).config(Config::new().poll_interval(Duration::from_secs(10))));
    indexed.informer.synced().await.unwrap();
    let first = until(&indexed.informer, "all are there", |view| view.len() == 3).await;
    indexed.assert_consistent(&first);
    assert!(first.resource_version().is_none());
    let status = eventually("it is polled", || {
        Some(indexed.informer.status()).filter(|status| status.phase == Phase::Polling)
    })
    .await;
    assert!(status.synced && status.unversioned && status.stale_since.is_some());
    let written = from_json(&server.get(WIDGETS, Some("a"), "x").unwrap());
    assert!(indexed.informer.at_least(&written).await.unwrap_err().is_version_unordered());

    let mut changes = indexed.informer.subscribe();
    next(&mut changes).await;
    set(&server, "a", "x", 2);
    server.delete(WIDGETS, "a", "y").unwrap();
    let batch = next(&mut changes).await;
    let mut seen: Vec<_> = batch
        .changes()
        .map(|change| match change {
            Change::Modified { old, new } => format!("{} {} -> {}", Obj::name(new), old.number, new.number),
            Change::Deleted(gone) => format!("{} gone", Obj::name(gone)),
            other => format!("{other:?}"),
        })
        .collect();
    seen.sort();
    assert_eq!(seen, ["x 1 -> 2", "y gone"]);
    indexed.assert_consistent(batch.snapshot());
    let (before, after) = (first.get(("a", "z")).unwrap(), batch.snapshot().get(("a", "z")).unwrap());
    assert!(Obj::ptr_eq(before, after), "what did not change keeps its allocation");

    // Lists with the same content publish no change.
    let revision = indexed.informer.snapshot().revision();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(indexed.informer.snapshot().revision(), revision);
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_versions_is_watched_where_that_needs_none() {
    let server = server_of(widgets().unversioned_with_watch());
    let indexed = start(kept(&server));
    indexed.informer.synced().await.unwrap();
    eventually("it is watched", || {
        let status = indexed.informer.status();
        (status.phase == Phase::Watching && status.stale_since.is_none() && status.unversioned).then_some(())
    })
    .await;
    let mut changes = indexed.informer.subscribe();
    next(&mut changes).await;
    let begun = tokio::time::Instant::now();
    set(&server, "a", "x", 2);
    server.delete(WIDGETS, "a", "y").unwrap();
    until(&indexed.informer, "the changes are seen", |view| {
        view.len() == 2 && view.get(("a", "x")).is_some_and(|x| x.number == 2)
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(1), "by the watch, and not by a poll");

    // While the watch is broken, the next list finds the delete.
    server.disconnect_watches();
    server.delete(WIDGETS, "a", "z").unwrap();
    let last = until(&indexed.informer, "the delete is found", |view| view.len() == 1).await;
    indexed.assert_consistent(&last);
}
