//! Watches while they are open.

use std::time::Duration;

use kube_informer::testing::{ApiServer, Kind};
use serde_json::json;

use crate::support::{NAME, client, events, next, server, summaries, watch, widget, widgets};

#[tokio::test(start_paused = true)]
async fn a_watch_follows_writes_and_selectors() {
    let server = server();
    let client = client(&server);
    let from = server.resource_version();
    server.create(widget("a", 1)).unwrap();
    server.create(widget("b", 2)).unwrap();
    server.merge_patch(NAME, "default", "a", json!({ "metadata": { "labels": { "x": "2" } } })).unwrap();
    server.delete(NAME, "default", "b").unwrap();

    let all = events(&client, &format!("resourceVersion={from}&timeoutSeconds=1")).await;
    assert_eq!(summaries(&all), ["ADDED a", "ADDED b", "MODIFIED a", "DELETED b"]);
    let last = server.resource_version().to_string();
    assert_eq!(all[3]["object"]["metadata"]["resourceVersion"], last.as_str());

    let ones = events(&client, &format!("resourceVersion={from}&timeoutSeconds=1&labelSelector=x%3D1")).await;
    assert_eq!(summaries(&ones), ["ADDED a", "DELETED a"]);
    assert_eq!(ones[1]["object"]["metadata"]["labels"]["x"], "1");
    let twos = events(&client, &format!("resourceVersion={from}&timeoutSeconds=1&labelSelector=x%3D2")).await;
    assert_eq!(summaries(&twos), ["ADDED b", "ADDED a", "DELETED b"]);

    server.compact_all();
    let old = events(&client, &format!("resourceVersion={from}&timeoutSeconds=1")).await;
    assert_eq!(summaries(&old), ["ERROR 410"]);
}

#[tokio::test]
async fn a_waiting_watch_is_woken_by_a_write() {
    let server = server();
    let mut stream = watch(&client(&server), &format!("resourceVersion={}", server.resource_version())).await;
    let reader = tokio::spawn(async move {
        let first = next(&mut stream).await.unwrap();
        (first, next(&mut stream).await.unwrap())
    });
    tokio::task::yield_now().await;
    server.create(widget("a", 1)).unwrap();
    tokio::task::yield_now().await;
    server.delete(NAME, "default", "a").unwrap();
    let (first, second) = reader.await.unwrap();
    assert_eq!((first.as_deref(), second.as_deref()), (Some("ADDED a"), Some("DELETED a")));
}

#[tokio::test]
async fn a_watcher_that_falls_behind_the_history_is_told_so() {
    let server = ApiServer::builder().kind(widgets()).history(10).build();
    let mut stream = watch(&client(&server), &format!("resourceVersion={}", server.resource_version())).await;
    for x in 0..30 {
        server.create(widget(&format!("w{x}"), x)).unwrap();
    }
    assert_eq!(next(&mut stream).await.unwrap().as_deref(), Some("ERROR 410"));
    assert_eq!(next(&mut stream).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_at_the_interval_and_carry_the_newest_version() {
    let server = ApiServer::builder().kind(widgets()).bookmark_interval(Duration::from_secs(10)).build();
    let from = server.resource_version();
    server
        .create(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "other" } }))
        .unwrap();
    let query = format!("resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=35");
    let events = events(&client(&server), &query).await;
    assert_eq!(summaries(&events), ["BOOKMARK "; 4], "at 10, 20, 30 and two seconds before the end");
    let newest = server.resource_version().to_string();
    assert_eq!(events[0]["object"]["metadata"]["resourceVersion"], newest.as_str());
    assert!(server.resource_version() > from);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_version_of_the_future_hears_nothing_until_the_server_is_there() {
    let server = ApiServer::builder().kind(widgets()).bookmark_interval(Duration::from_secs(10)).build();
    let from = server.resource_version() + 3;
    server.create(widget("w0", 0)).unwrap();
    let query = format!("resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=35");
    let silent = events(&client(&server), &query).await;
    assert_eq!(summaries(&silent), [""; 0]);

    let mut stream = watch(&client(&server), &query).await;
    let reader = tokio::spawn(async move { next(&mut stream).await.unwrap() });
    for x in 1..4 {
        tokio::time::sleep(Duration::from_secs(6)).await;
        server.create(widget(&format!("w{x}"), x)).unwrap();
    }
    let first = reader.await.unwrap();
    assert_eq!(first.as_deref(), Some("ADDED w3"), "w1 and w2 are not above what was asked for");
}

/// As a real server whose cache was behind: the client must take all of it for the list.
#[tokio::test]
async fn what_changes_during_the_initial_events_comes_before_their_end() {
    let server = server();
    (0..1000).for_each(|x| drop(server.create(widget(&format!("w{x:04}"), x)).unwrap()));
    let query = "allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut stream = watch(&client(&server), query).await;
    assert_eq!(next(&mut stream).await.unwrap().as_deref(), Some("ADDED w0000"));
    server.delete(NAME, "default", "w0000").unwrap();
    server.create(widget("x", 1)).unwrap();
    let mut rest = Vec::new();
    while rest.last().is_none_or(|last| last != "BOOKMARK ") {
        rest.push(next(&mut stream).await.unwrap().unwrap());
    }
    assert_eq!(rest.len(), 999 + 3);
    assert_eq!(rest[999..], ["DELETED w0000", "ADDED x", "BOOKMARK "]);
}

#[tokio::test]
async fn disconnecting_ends_the_watches_that_are_open_and_no_later_one() {
    let server = server();
    let client = client(&server);
    let query = format!("resourceVersion={}", server.resource_version());
    let mut open = watch(&client, &query).await;
    server.disconnect_watches();
    assert_eq!(next(&mut open).await.unwrap(), None);
    let mut later = watch(&client, &query).await;
    server.create(widget("a", 1)).unwrap();
    assert_eq!(next(&mut later).await.unwrap().as_deref(), Some("ADDED a"));
}

#[tokio::test]
async fn a_kind_that_goes_deletes_its_objects_and_ends_its_watches() {
    let server = server();
    let client = client(&server);
    server.create(widget("a", 1)).unwrap();
    let mut open = watch(&client, &format!("resourceVersion={}", server.resource_version())).await;
    assert!(server.uninstall(NAME));
    assert_eq!(next(&mut open).await.unwrap().as_deref(), Some("DELETED a"));
    assert_eq!(next(&mut open).await.unwrap(), None);
    assert_eq!(crate::support::get(&client, crate::support::WIDGETS).await.0, 404);
    assert!(!server.uninstall(NAME));

    server.install(widgets()).unwrap();
    assert_eq!(server.count(NAME), 0);
    server.create(widget("a", 1)).unwrap();
    server.install(Kind::cluster("example.com", "v1", "Gadget", "gadgets")).unwrap();
    assert_eq!(server.count("customresourcedefinitions.apiextensions.k8s.io"), 2);
}
