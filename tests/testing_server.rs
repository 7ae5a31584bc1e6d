//! The in-process API server by itself: over a kube client, over loopback HTTP, and directly.

use futures_util::{AsyncBufReadExt, TryStreamExt};
use http::{Method, Request};
use kube_client::Client;
use kube_informer::testing::{ApiServer, Fault, FaultAction, Kind, Rule};
use serde_json::{Value, json};

const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn server() -> ApiServer {
    ApiServer::builder().kind(widgets()).build()
}

fn widgets() -> Kind {
    Kind::namespaced("example.com", "v1", "Widget", "widgets").with_status()
}

fn widget(name: &str, x: u32) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": { "name": name, "labels": { "x": x.to_string() } }, "spec": { "x": x },
    })
}

fn client(server: &ApiServer) -> Client {
    Client::new(server.service(), "default")
}

async fn send(client: &Client, method: Method, path: &str, content: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(&body).unwrap() };
    let request =
        Request::builder().method(method).uri(path).header("content-type", content).body(body.into());
    let response = client.send(request.unwrap()).await.unwrap();
    let code = response.status().as_u16();
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let value = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    (code, value)
}

async fn get(client: &Client, path: &str) -> (u16, Value) {
    send(client, Method::GET, path, "application/json", Value::Null).await
}

/// The events of a watch that ends by itself.
async fn events(client: &Client, query: &str) -> Vec<Value> {
    let request = Request::get(format!("{WIDGETS}?watch=true&{query}")).body(Vec::new()).unwrap();
    let mut lines = client.request_stream(request).await.unwrap().lines();
    let mut events = Vec::new();
    while let Some(line) = lines.try_next().await.unwrap() {
        events.push(serde_json::from_str(&line).unwrap());
    }
    events
}

fn summary(events: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    events
        .iter()
        .map(|e| format!("{} {}", text(&e["type"]), text(&e["object"]["metadata"]["name"])))
        .collect()
}

#[tokio::test]
async fn pages_stay_at_the_version_of_the_first_one() {
    let server = server();
    let client = client(&server);
    for (name, x) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        server.create(widget(name, x)).unwrap();
    }
    let (_, first) = get(&client, &format!("{WIDGETS}?limit=2")).await;
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    server.delete("widgets.example.com", "default", "c").unwrap();
    server.create(widget("bb", 5)).unwrap();
    server.merge_patch("widgets.example.com", "default", "d", json!({ "spec": { "x": 9 } })).unwrap();

    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = get(&client, &format!("{WIDGETS}?limit=2&continue={token}")).await;
    let names: Vec<_> = second["items"].as_array().unwrap().iter().map(|o| &o["metadata"]["name"]).collect();
    assert_eq!(names, ["c", "d"]);
    assert_eq!(second["items"][1]["spec"]["x"], 4);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);

    server.compact_all();
    let (code, expired) = get(&client, &format!("{WIDGETS}?limit=2&continue={token}")).await;
    assert_eq!((code, expired["reason"].as_str()), (410, Some("Expired")));
    let rest = expired["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = get(&client, &format!("{WIDGETS}?limit=5&continue={rest}")).await;
    let names: Vec<_> = rest["items"].as_array().unwrap().iter().map(|o| &o["metadata"]["name"]).collect();
    assert_eq!(names, ["bb", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_follows_writes_and_selectors() {
    let server = server();
    let client = client(&server);
    let from = server.resource_version();
    server.create(widget("a", 1)).unwrap();
    server.create(widget("b", 2)).unwrap();
    let relabel = json!({ "metadata": { "labels": { "x": "2" } } });
    server.merge_patch("widgets.example.com", "default", "a", relabel).unwrap();
    server.delete("widgets.example.com", "default", "b").unwrap();

    let all = events(&client, &format!("resourceVersion={from}&timeoutSeconds=1")).await;
    assert_eq!(summary(&all), ["ADDED a", "ADDED b", "MODIFIED a", "DELETED b"]);
    let last = server.resource_version().to_string();
    assert_eq!(all[3]["object"]["metadata"]["resourceVersion"], last.as_str());

    let ones = events(&client, &format!("resourceVersion={from}&timeoutSeconds=1&labelSelector=x%3D1")).await;
    assert_eq!(summary(&ones), ["ADDED a", "DELETED a"]);
    assert_eq!(ones[1]["object"]["metadata"]["labels"]["x"], "1");
    let twos = events(&client, &format!("resourceVersion={from}&timeoutSeconds=1&labelSelector=x%3D2")).await;
    assert_eq!(summary(&twos), ["ADDED b", "ADDED a", "DELETED b"]);

    server.compact_all();
    let old = events(&client, &format!("resourceVersion={from}&timeoutSeconds=1")).await;
    assert_eq!((old[0]["type"].as_str(), old[0]["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
}

#[tokio::test]
async fn loopback_http_serves_and_leaves_no_task_behind() {
    let server = server();
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let serving = server.serve().await.unwrap();
    let config = kube_client::Config::new(serving.url().parse().unwrap());
    let client = Client::try_from(config).unwrap();
    let (code, created) = send(&client, Method::POST, WIDGETS, "application/json", widget("a", 1)).await;
    assert_eq!((code, created["metadata"]["generation"].as_u64()), (201, Some(1)));
    let request = Request::get(format!("{WIDGETS}?watch=true")).body(Vec::new()).unwrap();
    let mut lines = client.request_stream(request).await.unwrap().lines();
    assert!(lines.try_next().await.unwrap().unwrap().contains("ADDED"));
    serving.shutdown().await;
    assert!(lines.try_next().await.is_err() || lines.try_next().await.unwrap().is_none());
    drop((lines, client));
    while metrics.num_alive_tasks() > before {
        tokio::task::yield_now().await; // the client's own connection task
    }
}

#[tokio::test]
async fn tokens_rules_and_faults() {
    let server = ApiServer::builder().kind(widgets()).token("secret", "app").build();
    let (code, status) = get(&client(&server), WIDGETS).await;
    assert_eq!((code, status["reason"].as_str()), (401, Some("Unauthorized")));

    let server = self::server();
    server.deny(Rule::all().verb("list").resource("widgets.example.com"));
    let (code, status) = get(&client(&server), WIDGETS).await;
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "widgets.example.com is forbidden: User \"system:anonymous\" cannot list resource \"widgets\" in API group \
         \"example.com\" in the namespace \"default\""
    );
    server.allow(Rule::all());
    server.inject(Fault::new(FaultAction::Respond { code: 410, retry_after: None }).verb("list"));
    assert_eq!(get(&client(&server), WIDGETS).await.0, 410);
    assert_eq!(get(&client(&server), WIDGETS).await.0, 200);
    assert_eq!(server.requests().count("list", "widgets.example.com"), 3);
}
