//! Sends the script and records the answers.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::LocalBoxFuture;
use http::Request;
use http_body_util::BodyExt;
use kube_client::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::normalise::Symbols;
use super::step::{As, Step};

/// A server, with clients that do not retry by themselves.
pub(crate) struct Target<'a> {
    /// May do everything.
    pub(crate) admin: Client,
    /// Authenticated, and allowed nothing.
    pub(crate) nobody: Client,
    /// What the server calls that user.
    pub(crate) nobody_name: String,
    /// Sends a token the server does not know.
    pub(crate) stranger: Client,
    /// Makes the server forget its history up to now.
    pub(crate) compact: Box<dyn Fn() -> LocalBoxFuture<'a, Result<()>> + 'a>,
}

/// An answer without what differs from run to run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Recorded {
    pub(crate) request: String,
    pub(crate) code: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    /// The JSON values of the body: one, or the events of a watch. Plain text is one string.
    pub(crate) body: Vec<Value>,
}

/// Sends every step in turn; fails only when the server cannot be spoken to.
pub(crate) async fn run(target: &Target<'_>, script: &[Step]) -> Result<Vec<Recorded>> {
    let mut symbols = Symbols::new(&target.nobody_name);
    let mut records = Vec::new();
    for step in script {
        let record = one(target, step, &mut symbols).await.with_context(|| step.title())?;
        records.push(record);
    }
    Ok(records)
}

async fn one(target: &Target<'_>, step: &Step, symbols: &mut Symbols) -> Result<Recorded> {
    let mut record = Recorded {
        request: step.title(),
        code: 0,
        content_type: String::new(),
        retry_after: None,
        body: Vec::new(),
    };
    if step.method == "COMPACT" {
        (target.compact)().await?;
        return Ok(record);
    }
    let client = match step.user {
        As::Admin => &target.admin,
        As::Nobody => &target.nobody,
        As::Stranger => &target.stranger,
    };
    let path = symbols.fill(&step.path);
    let sent = step.body.as_deref().map(|body| symbols.fill(body));
    for attempt in 0.. {
        let mut request = Request::builder().method(step.method).uri(&path);
        if sent.is_some() {
            request = request.header("content-type", step.content_type);
        }
        if !step.accept.is_empty() {
            request = request.header("accept", step.accept);
        }
        let request = request.body(sent.clone().unwrap_or_default().into_bytes().into())?;
        let response = client.send(request).await?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        record.code = response.status().as_u16();
        record.content_type = header("content-type").unwrap_or_default();
        record.retry_after = header("retry-after");
        let bytes = response.into_body().collect().await?.to_bytes();
        record.body = match record.content_type.as_str() {
            "application/yaml" => vec![Value::String("<yaml>".into())],
            _ => values(&bytes),
        };
        // Near its end a watch gets one bookmark or two, as the server's timers fall.
        record.body.dedup_by(|a, b| a["type"] == "BOOKMARK" && b["type"] == "BOOKMARK");
        match step.until {
            Some(code) if code != record.code => {
                if attempt == 100 {
                    bail!("answered {} instead of {code} for ten seconds", record.code);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            _ => break,
        }
    }
    for (placeholder, pointer) in &step.captures {
        let value = record.body.first().and_then(|body| body.pointer(pointer)).and_then(Value::as_str);
        symbols.capture(placeholder, value.with_context(|| format!("no {pointer} in the answer"))?);
    }
    let said = step.title();
    for value in &mut record.body {
        symbols.normalise(value, &said, step);
    }
    Ok(record)
}

/// The JSON values one after the other, or the text if it is none.
fn values(bytes: &[u8]) -> Vec<Value> {
    let parsed: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(bytes).into_iter().collect();
    parsed.unwrap_or_else(|_| vec![Value::String(String::from_utf8_lossy(bytes).into_owned())])
}
