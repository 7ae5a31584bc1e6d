//! The result of a route, before it becomes a response.

use bytes::Bytes;
use serde_json::Value;

use super::object::to_bytes;
use super::watch::Watch;

/// The result of a route.
pub(super) enum Answer {
    Json(u16, Bytes),
    Text(u16, Bytes),
    Watch(Box<Watch>),
}

pub(super) fn json(code: u16, value: &Value) -> Answer {
    Answer::Json(code, to_bytes(value))
}
