//! Objects and responses as bytes.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::body::{Body, Piece};
use crate::history::Object;
use crate::kind::GROUP;

pub(crate) type Answer = Result<Response<Body>, BoxError>;
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The placeholder of a byte that is not UTF-8.
const ODD: &str = "<FF>";

/// The bytes to send for a text, with placeholders replaced.
pub(crate) fn bytes(text: &str) -> Bytes {
    let mut parts = text.split(ODD);
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(0xFF);
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes.into()
}

impl Object {
    /// The JSON of the object. A delete event has another version than the object.
    pub(crate) fn json(&self, version: u64) -> Value {
        let number = self.number.map_or(json!("not a number"), Value::from);
        let mut object = json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "Thing",
            "metadata": {
                "namespace": self.key.0, "name": self.key.1, "uid": self.uid,
                "resourceVersion": version.to_string(), "labels": { "group": self.group },
            },
            "spec": { "number": number, "group": self.group },
        });
        if self.odd {
            object["metadata"]["managedFields"] = json!([{ "manager": "m", "fieldsV1": { ODD: {} } }]);
        }
        object
    }
}

pub(crate) fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": kind, "object": object }))
}

pub(crate) fn bookmark(version: u64, ends: bool) -> String {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Thing",
        "metadata": { "resourceVersion": version.to_string() },
    });
    if ends {
        object["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
    }
    line("BOOKMARK", &object)
}

/// An object without a name, which no API server should send.
pub(crate) fn nameless(version: u64) -> Value {
    json!({ "metadata": { "resourceVersion": version.to_string(), "uid": "?" }, "spec": {} })
}

pub(crate) fn status(code: u16, reason: &str, cause: Option<&str>) -> Value {
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{reason}, says the model"), "reason": reason, "code": code,
    });
    if let Some(cause) = cause {
        status["details"] = json!({ "causes": [{ "reason": cause, "message": cause }] });
    }
    status
}

pub(crate) fn refuse(code: u16, reason: &str) -> Answer {
    json_answer(code, &status(code, reason, None))
}

pub(crate) fn gone() -> Answer {
    refuse(410, "Expired")
}

pub(crate) fn too_large(with_cause: bool) -> Answer {
    let cause = with_cause.then_some("ResourceVersionTooLarge");
    json_answer(504, &status(504, "Timeout", cause))
}

pub(crate) fn json_answer(code: u16, body: &Value) -> Answer {
    answer(code, Body::of([Piece::data(body.to_string())]))
}

pub(crate) fn answer(code: u16, body: Body) -> Answer {
    let code = StatusCode::from_u16(code)?;
    Ok(Response::builder().status(code).header("content-type", "application/json").body(body)?)
}
