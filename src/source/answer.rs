//! Interprets responses that are not a success.

use std::time::Duration;

use http::Response;
use http::header::RETRY_AFTER;
use kube_client::client::Body;
use serde::Deserialize;

use super::body::read_at_most;
use super::call::Call;
use crate::error::Error;
use crate::source::Limits;

/// The relevant parts of a `Status`.
#[derive(Default, Deserialize)]
struct StatusBody {
    kind: Option<String>,
    code: Option<u16>,
    reason: Option<String>,
    /// May quote what users sent.
    message: Option<String>,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u64>,
    causes: Option<Vec<StatusCause>>,
}

#[derive(Deserialize)]
struct StatusCause {
    reason: Option<String>,
}

/// The error for a response that is not a success. Reads the body up to the longest possible `Status`.
pub(super) async fn api_error(call: &Call, response: Response<Body>, limits: &Limits) -> Error {
    let code = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let header = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let body = read_at_most(response.into_body(), limits.error_bytes, limits.body_silence).await;
    let status: StatusBody = serde_json::from_slice(&body).unwrap_or_default();
    // The status code of the response decides, because proxies send other bodies.
    describe(call, code, &status, header)
}

/// The error for a `Status` object in a stream; `None` if it is not a `Status`.
pub(super) fn status_error(call: &Call, object: &str) -> Option<Error> {
    let status: StatusBody = serde_json::from_str(object).ok()?;
    if status.kind.as_deref() != Some("Status") {
        return None;
    }
    Some(describe(call, status.code.unwrap_or(500), &status, None))
}

fn describe(call: &Call, code: u16, status: &StatusBody, header: Option<Duration>) -> Error {
    let details = status.details.as_ref();
    let body = details.and_then(|details| details.retry_after_seconds).map(Duration::from_secs);
    let causes = details.and_then(|details| details.causes.as_deref()).unwrap_or_default();
    let too_large = causes.iter().any(|cause| cause.reason.as_deref() == Some("ResourceVersionTooLarge"));
    let (reason, message) = (status.reason.as_deref(), status.message.as_deref());
    call.api(code, reason.unwrap_or_default(), message.unwrap_or_default(), header.max(body), too_large)
}
