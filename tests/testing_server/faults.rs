//! Tokens, rules, scripted faults, latency and the request log.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kube_client::Client;
use kube_informer::testing::{ApiServer, Fault, FaultAction, Rule};
use serde_json::{Value, json};

use crate::support::{
    NAME, WIDGETS, client, events, get, next, send, server, summaries, watch, widget, widgets,
};

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

/// Each condition meets its own forms of a request and no other.
#[tokio::test]
async fn faults_tell_the_forms_of_a_request_apart() {
    let server = server();
    let client = client(&server);
    (0..4).for_each(|x| drop(server.create(widget(&format!("w{x}"), x)).unwrap()));
    let (_, page) = get(&client, &format!("{WIDGETS}?limit=2")).await;
    let (more, version) = (&page["metadata"]["continue"], &page["metadata"]["resourceVersion"]);
    let (more, version) = (more.as_str().unwrap(), version.as_str().unwrap());
    let initial =
        "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let forms = [
        format!("{initial}&timeoutSeconds=1"),
        format!("{initial}&timeoutSeconds=1&resourceVersion={version}"),
        format!("watch=true&timeoutSeconds=1&resourceVersion={version}"),
        "limit=2".into(),
        format!("limit=2&resourceVersion={version}"),
        format!("limit=2&continue={more}"),
        String::new(),
        format!("resourceVersion={version}"),
    ];
    let fault = || Fault::new(FaultAction::Respond { code: 418, retry_after: None }).times(0);
    for (fault, met) in [
        (fault(), "11111111"),
        (fault().streaming(), "11000000"),
        (fault().changes(), "00100000"),
        (fault().paged(), "00011100"),
        (fault().unpaged(), "00000011"),
        (fault().versioned(), "01101001"),
        (fault().unversioned(), "10010010"),
        (fault().streaming().versioned(), "01000000"),
        (fault().paged().unversioned(), "00010000"),
        (fault().unpaged().resource("pods"), "00000000"),
    ] {
        server.inject(fault.clone());
        let mut codes = String::new();
        for form in &forms {
            let request = http::Request::get(format!("{WIDGETS}?{form}"));
            let request = request.body(kube_client::client::Body::empty()).unwrap();
            let response = client.send(request).await.unwrap();
            codes.push(if response.status() == 418 { '1' } else { '0' });
        }
        assert_eq!(codes, met, "{fault:?}");
        server.clear_faults();
    }
}

#[tokio::test]
async fn a_version_too_large_is_said_in_words_only() {
    let server = server();
    server.inject(Fault::new(FaultAction::TooLargeVersion));
    let (code, status) = get(&client(&server), &format!("{WIDGETS}?resourceVersion=1")).await;
    assert_eq!((code, &status["reason"], &status["details"]), (504, &json!("Timeout"), &json!({})));
    assert!(status["message"].as_str().unwrap().contains("Too large resource version"));
}

#[tokio::test(start_paused = true)]
async fn a_body_is_cut_or_stalls_at_any_byte() {
    let server = server();
    server.create(widget("a", 1)).unwrap();
    let serving = server.serve().await.unwrap();
    let over_http = Client::try_from(kube_client::Config::new(serving.url().parse().unwrap())).unwrap();
    let whole = collect(&client(&server), WIDGETS).await.1.len() as u64;
    assert!(whole > 100);
    let limit = Duration::from_secs(3);
    for path in [WIDGETS.to_owned(), format!("{WIDGETS}?watch=true&resourceVersion=0")] {
        for bytes in [0, 1, 70, whole] {
            let bytes = if path.contains("watch") { bytes.min(70) } else { bytes };
            server.inject(Fault::new(FaultAction::CutAfter(bytes)));
            assert_eq!(collect(&client(&server), &path).await, (Some(false), vec![b' '; bytes as usize]));
            server.inject(Fault::new(FaultAction::StallAfter(bytes)));
            let stalled = tokio::time::timeout(limit, collect(&client(&server), &path)).await;
            assert!(stalled.is_err(), "{path} after {bytes}");
        }
        server.inject(Fault::new(FaultAction::CutAfter(70)));
        assert_eq!(collect(&over_http, &path).await, (Some(false), vec![b' '; 70]), "{path} over HTTP");
    }
    serving.shutdown().await;
}

/// Whether the body came to its end, and as many blanks as it had bytes.
async fn collect(client: &Client, path: &str) -> (Option<bool>, Vec<u8>) {
    let request = http::Request::get(path).body(kube_client::client::Body::empty()).unwrap();
    let mut body = client.send(request).await.unwrap().into_body();
    let mut blanks = Vec::new();
    loop {
        match http_body_util::BodyExt::frame(&mut body).await {
            None => return (Some(true), blanks),
            Some(Err(_)) => return (Some(false), blanks),
            Some(Ok(frame)) => blanks.resize(blanks.len() + frame.into_data().unwrap().len(), b' '),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_may_never_end() {
    let server = ApiServer::builder().kind(widgets()).bookmark_interval(Duration::from_secs(10)).build();
    server.create(widget("a", 1)).unwrap();
    server.inject(Fault::new(FaultAction::NoInitialEventsEnd));
    let query =
        "allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=15";
    let endless = events(&client(&server), query).await;
    assert_eq!(summaries(&endless), ["ADDED a", "BOOKMARK ", "BOOKMARK "], "at 10 s, and 2 s before the end");
    assert!(endless.iter().all(|event| event["object"]["metadata"]["annotations"].is_null()));
    let complete = events(&client(&server), query).await;
    assert_eq!(summaries(&complete), ["ADDED a", "BOOKMARK ", "BOOKMARK ", "BOOKMARK "]);
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
