//! Kinds without versions.

use kube_informer::testing::{ApiServer, Kind};
use serde_json::{Value, json};

use crate::support::{WIDGETS, client, events, get, summaries, widget, widgets};

fn server(kind: Kind) -> ApiServer {
    let server = ApiServer::builder().kind(kind).build();
    server.create(widget("a", 1)).unwrap();
    server.create(widget("b", 2)).unwrap();
    server
}

async fn verbs(server: &ApiServer) -> Value {
    get(&client(server), "/apis/example.com/v1").await.1["resources"][0]["verbs"].clone()
}

#[tokio::test]
async fn a_kind_without_versions_is_listed_whole_and_not_watched() {
    let server = server(widgets().unversioned());
    for query in
        ["", "?limit=1", "?resourceVersion=77&resourceVersionMatch=NotOlderThan", "?resourceVersion=0"]
    {
        let (code, list) = get(&client(&server), &format!("{WIDGETS}{query}")).await;
        assert_eq!((code, &list["metadata"], list["items"].as_array().unwrap().len()), (200, &json!({}), 2));
        for item in list["items"].as_array().unwrap() {
            let metadata = &item["metadata"];
            assert_eq!((&metadata["resourceVersion"], &metadata["uid"]), (&Value::Null, &Value::Null));
        }
    }
    let (_, selected) = get(&client(&server), &format!("{WIDGETS}?labelSelector=x%3D2")).await;
    assert_eq!(selected["items"][0]["metadata"]["name"], "b");
    assert_eq!(
        get(&client(&server), &format!("{WIDGETS}/a")).await.1["metadata"]["resourceVersion"],
        Value::Null
    );
    for query in ["watch=true", "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"] {
        assert_eq!(get(&client(&server), &format!("{WIDGETS}?{query}")).await.0, 405);
    }
    assert!(!verbs(&server).await.as_array().unwrap().contains(&json!("watch")));
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_versions_may_be_watched_from_all_its_objects() {
    let server = server(widgets().unversioned_with_watch());
    let follow = tokio::spawn({
        let client = client(&server);
        async move { events(&client, "resourceVersion=77&allowWatchBookmarks=true&timeoutSeconds=200").await }
    });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    server
        .merge_patch("widgets.example.com", "default", "a", json!({"metadata": {"labels": {"x": "3"}}}))
        .unwrap();
    server.delete("widgets.example.com", "default", "b").unwrap();
    let events = follow.await.unwrap();
    assert_eq!(summaries(&events), ["ADDED a", "ADDED b", "BOOKMARK ", "MODIFIED a", "DELETED b"]);
    assert_eq!(events[2]["object"]["metadata"], json!({}));
    for event in &events {
        assert_eq!(event["object"]["metadata"]["resourceVersion"], Value::Null);
    }
    assert!(events[0]["object"]["metadata"]["uid"].is_string());
    assert!(verbs(&server).await.as_array().unwrap().contains(&json!("watch")));
}
