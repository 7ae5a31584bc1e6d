//! Tokens, rules, scripted faults, latency and the request log.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kube_informer::testing::{ApiServer, Fault, FaultAction, Rule};
use serde_json::Value;

use crate::support::{NAME, WIDGETS, client, get, next, send, server, watch, widget, widgets};

#[tokio::test]
async fn a_server_with_tokens_wants_one() {
    let server = ApiServer::builder().kind(widgets()).token("secret", "app").build();
    let (code, status) = get(&client(&server), WIDGETS).await;
    assert_eq!((code, status["reason"].as_str()), (401, Some("Unauthorized")));
    server.remove_token("secret");
    assert_eq!(get(&client(&server), WIDGETS).await.0, 200);
}

#[tokio::test]
async fn the_newest_rule_that_fits_decides() {
    let server = server();
    let client = client(&server);
    server.deny(Rule::all());
    server.allow(Rule::all().verb("list").verb("get").resource(NAME).namespace("default"));
    assert_eq!(get(&client, WIDGETS).await.0, 200);
    assert_eq!(get(&client, "/apis/example.com/v1/widgets").await.0, 403);
    assert_eq!(get(&client, &format!("{WIDGETS}/a/status")).await.0, 403);
    let created = send(&client, Method::POST, WIDGETS, "application/json", widget("a", 1)).await;
    assert_eq!(created.0, 403);
    server.deny(Rule::all().verb("list").user("system:anonymous"));
    let (code, status) = get(&client, WIDGETS).await;
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "widgets.example.com is forbidden: User \"system:anonymous\" cannot list resource \"widgets\" in API \
         group \"example.com\" in the namespace \"default\""
    );
}

#[tokio::test]
async fn faults_meet_the_requests_they_name_as_often_as_they_say() {
    let server = server();
    let client = client(&server);
    let busy = FaultAction::Respond { code: 410, retry_after: Some(3) };
    server.inject(Fault::new(busy).verb("list").resource(NAME).after(1).times(2));
    let mut codes = Vec::new();
    for _ in 0..4 {
        assert_eq!(get(&client, "/api/v1/namespaces/default/pods").await.0, 200);
        codes.push(get(&client, WIDGETS).await.0);
    }
    assert_eq!(codes, [200, 410, 410, 200]);
    server.inject(Fault::new(FaultAction::Garbage(Bytes::from_static(b"<html>"))));
    assert_eq!(get(&client, WIDGETS).await, (200, Value::String("<html>".into())));
    server.inject(Fault::new(FaultAction::Reset).times(0));
    let request = http::Request::get(WIDGETS).body(kube_client::client::Body::empty()).unwrap();
    assert!(client.send(request).await.is_err());
    server.clear_faults();
    assert_eq!(get(&client, WIDGETS).await.0, 200);
}

#[tokio::test]
async fn streams_break_between_events() {
    let server = server();
    let client = client(&server);
    for (name, x) in [("a", 1), ("b", 2), ("c", 3)] {
        server.create(widget(name, x)).unwrap();
    }
    for (action, then) in [
        (FaultAction::EndStream, None),
        (FaultAction::ErrorEvent(410), Some("ERROR 410")),
        (FaultAction::Insert(Bytes::from_static(b"{\n")), Some("garbage {")),
    ] {
        server.inject(Fault::new(action).verb("watch").after(1));
        let mut stream = watch(&client, "resourceVersion=0").await;
        assert_eq!(next(&mut stream).await.unwrap().as_deref(), Some("ADDED a"));
        assert_eq!(next(&mut stream).await.unwrap().as_deref(), then);
    }
    server.inject(Fault::new(FaultAction::CutStream).after(2));
    let mut stream = watch(&client, "resourceVersion=0").await;
    assert_eq!(next(&mut stream).await.unwrap().as_deref(), Some("ADDED a"));
    assert_eq!(next(&mut stream).await.unwrap().as_deref(), Some("ADDED b"));
    assert!(next(&mut stream).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn latency_delays_requests_and_not_direct_access() {
    let server = ApiServer::builder().kind(widgets()).latency(Duration::from_millis(1200)).build();
    let begin = tokio::time::Instant::now();
    server.create(widget("a", 1)).unwrap();
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(get(&client(&server), WIDGETS).await.0, 200);
    assert_eq!(begin.elapsed(), Duration::from_millis(1200));
    server.set_latency(Duration::ZERO);
    get(&client(&server), WIDGETS).await;
    assert_eq!(begin.elapsed(), Duration::from_millis(1200));
}

#[tokio::test]
async fn requests_are_counted_by_verb_resource_and_user() {
    let server = server();
    let client = client(&server);
    server.create(widget("direct", 1)).unwrap();
    send(&client, Method::POST, WIDGETS, "application/json", widget("a", 1)).await;
    let patch = serde_json::json!({ "status": { "y": 1 } });
    send(&client, Method::PATCH, &format!("{WIDGETS}/a/status"), "application/merge-patch+json", patch).await;
    get(&client, &format!("{WIDGETS}?limit=1")).await;
    get(&client, &format!("{WIDGETS}/absent")).await;
    get(&client, "/version").await;
    let log = server.requests();
    assert_eq!((log.total(), log.reads(), log.writes()), (4, 2, 2));
    assert_eq!(log.count("patch", "widgets.example.com/status"), 1);
    assert_eq!(log.sum(|_, _, user| user == "system:anonymous"), 5);
    let last = log.recent().nth(3).unwrap();
    assert_eq!((last.method.as_str(), last.code), ("GET", 404));
    assert_eq!(last.path, format!("{WIDGETS}/absent"));
    server.reset_requests();
    assert_eq!(server.requests().total(), 0);
}
