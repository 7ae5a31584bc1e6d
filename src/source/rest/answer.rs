//! Errors of a request: what an API server means by an answer that is not a success.

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use kube_client::client::Body;
use kube_core::response::reason;
use serde::Deserialize;

use super::body::read_at_most;
use crate::error::{Error, Kind};
use crate::source::Limits;

/// Who asked for what: the opening words of every error.
#[derive(Clone, Debug)]
pub(in crate::source) struct Call {
    pub(in crate::source) verb: &'static str,
    pub(in crate::source) resource: Arc<str>,
}

/// The parts of a `Status` that are of use.
#[derive(Default, Deserialize)]
struct Status {
    kind: Option<String>,
    code: Option<u16>,
    reason: Option<String>,
    /// Quotes what users sent.
    message: Option<String>,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u64>,
    causes: Option<Vec<Cause>>,
}

#[derive(Deserialize)]
struct Cause {
    reason: Option<String>,
}

/// How much of a message is kept.
const MESSAGE_BYTES: usize = 4096;

/// What is said of a version that is too large where the cause is not: servers before 1.16 and aggregated ones.
const TOO_LARGE: &str = "Too large resource version";

// === impl Call ===

impl Call {
    /// The answer broke off.
    pub(in crate::source) fn transport(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        let (verb, resource) = (self.verb, self.resource());
        Kind::Transport { verb, resource, answered: true, source: source.into() }.into()
    }

    /// No answer began.
    pub(super) fn unanswered(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let (verb, resource) = (self.verb, self.resource());
        Kind::Transport { verb, resource, answered: false, source: source.into() }.into()
    }

    pub(super) fn page_too_large(&self, limit: usize) -> Error {
        Kind::PageTooLarge { verb: self.verb, resource: self.resource(), limit }.into()
    }

    pub(in crate::source) fn timeout(&self, after: Duration) -> Error {
        Kind::Timeout { verb: self.verb, resource: self.resource(), after }.into()
    }

    pub(in crate::source) fn protocol(&self, what: &'static str) -> Error {
        Kind::Protocol { verb: self.verb, resource: self.resource(), what }.into()
    }

    /// What `Client::send` failed with.
    pub(super) fn failed(&self, error: kube_client::Error) -> Error {
        match error {
            // No layer of kube's own answers so, but one of the application's may.
            kube_client::Error::Api(status) => {
                self.api(status.code, &status.reason, &status.message, None, false)
            }
            error => self.unanswered(error),
        }
    }

    fn api(
        &self,
        code: u16,
        why: &str,
        message: &str,
        retry_after: Option<Duration>,
        too_large: bool,
    ) -> Error {
        let reason = if reason::is_known(why) { why.to_owned() } else { reason_of(code) };
        Kind::Api {
            verb: self.verb,
            resource: self.resource(),
            code,
            reason,
            retry_after,
            version_too_large: too_large || (code == 504 && message.contains(TOO_LARGE)),
            message: beginning(message).into(),
        }
        .into()
    }

    fn resource(&self) -> String {
        self.resource.as_ref().to_owned()
    }
}

/// What a response that is not a success says. Its body is read as far as a `Status` may be long.
pub(super) async fn api_error(call: &Call, response: Response<Body>, limits: &Limits) -> Error {
    let code = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let header = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let body = read_at_most(response.into_body(), limits.error_bytes, limits.body_silence).await;
    let status: Status = serde_json::from_slice(&body).unwrap_or_default();
    // The head of the response decides: proxies answer with bodies of their own.
    describe(call, code, &status, header)
}

/// What a `Status` object in a stream says; `None` when it is none.
pub(in crate::source) fn status_error(call: &Call, object: &str) -> Option<Error> {
    let status: Status = serde_json::from_str(object).ok()?;
    if status.kind.as_deref() != Some("Status") {
        return None;
    }
    Some(describe(call, status.code.unwrap_or(500), &status, None))
}

fn describe(call: &Call, code: u16, status: &Status, header: Option<Duration>) -> Error {
    let details = status.details.as_ref();
    let body = details.and_then(|details| details.retry_after_seconds).map(Duration::from_secs);
    let causes = details.and_then(|details| details.causes.as_deref()).unwrap_or_default();
    let too_large = causes.iter().any(|cause| cause.reason.as_deref() == Some("ResourceVersionTooLarge"));
    let (reason, message) = (status.reason.as_deref(), status.message.as_deref());
    call.api(code, reason.unwrap_or_default(), message.unwrap_or_default(), header.max(body), too_large)
}

/// The standard words for a code, written as the API writes reasons.
fn reason_of(code: u16) -> String {
    let words = StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()).unwrap_or("Unknown");
    words.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// As much of a message as is kept.
fn beginning(message: &str) -> &str {
    let mut end = message.len().min(MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}
