//! A server of widgets, and requests to it.

use std::time::Duration;

use futures_util::{AsyncBufRead, AsyncBufReadExt, TryStreamExt};
use http::{Method, Request};
use kube_client::Client;
use kube_informer::testing::{ApiServer, Kind};
use serde_json::{Value, json};

pub(crate) const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";
pub(crate) const NAME: &str = "widgets.example.com";

pub(crate) fn widgets() -> Kind {
    Kind::namespaced("example.com", "v1", "Widget", "widgets").with_status()
}

pub(crate) fn server() -> ApiServer {
    ApiServer::builder().kind(widgets()).build()
}

pub(crate) fn widget(name: &str, x: u32) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": { "name": name, "labels": { "x": x.to_string() } }, "spec": { "x": x },
    })
}

pub(crate) fn client(server: &ApiServer) -> Client {
    Client::new(server.service(), "default")
}

/// Code and body; the body as a string where it is no JSON.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    content: &str,
    body: Value,
) -> (u16, Value) {
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

pub(crate) async fn get(client: &Client, path: &str) -> (u16, Value) {
    send(client, Method::GET, path, "application/json", Value::Null).await
}

/// The stream of a watch of the widgets.
pub(crate) async fn watch(client: &Client, query: &str) -> impl AsyncBufRead + Unpin + Send + use<> {
    let request = Request::get(format!("{WIDGETS}?watch=true&{query}")).body(Vec::new()).unwrap();
    Box::pin(client.request_stream(request).await.unwrap())
}

/// Its next event; None at a clean end. What does not come is a failure, not a hang.
pub(crate) async fn next(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_line(&mut line)).await??;
    Ok((read > 0).then(|| summary(&line)))
}

/// The events of a watch that ends by itself.
pub(crate) async fn events(client: &Client, query: &str) -> Vec<Value> {
    let lines: Vec<String> = watch(client, query).await.lines().try_collect().await.unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn summaries(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| summary(&event.to_string())).collect()
}

/// Type and name, or type and code.
fn summary(line: &str) -> String {
    let Ok(event) = serde_json::from_str::<Value>(line) else { return format!("garbage {}", line.trim()) };
    let object = &event["object"];
    let name = object["metadata"]["name"].as_str().map(str::to_owned);
    let code = object["code"].as_u64().map(|code| code.to_string());
    format!("{} {}", event["type"].as_str().unwrap_or("-"), name.or(code).unwrap_or_default())
}
