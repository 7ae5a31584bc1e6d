//! Responses that are not objects: `meta/v1` `Status`, with the text of a real kube-apiserver.
//!
//! Clients use `reason` and `code`, people read `message`. All three are those of kube-apiserver 1.36, so that a test
//! on this server is valid for the real one.

use std::fmt;

use serde_json::{Map, Value, json};

use super::kind::Kind;

/// An error response of the API server, an object of `kind: Status`. See "Response status kind" in the Kubernetes API
/// concepts.
#[derive(Clone, PartialEq)]
pub struct ApiStatus {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    continue_token: Option<String>,
    plain: bool,
}

/// One entry of `details.causes`.
#[derive(Clone)]
pub(super) struct StatusCause {
    pub(super) reason: &'static str,
    pub(super) field: &'static str,
    pub(super) message: String,
}

impl ApiStatus {
    /// The HTTP status code. O(1).
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason for programs (`NotFound`, `Conflict`, `Expired`, ...); empty if the real server sends none. O(1).
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason
    }

    /// The text for people. O(1).
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the object that the server sends. Allocates.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".into(), json!(token));
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    /// The number of seconds that the client should wait, for the `Retry-After` header.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    /// Whether a real server sends this response as plain text, as its router's 404.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, continue_token: None, plain: false }
    }

    fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 500 without a reason, as a real server returns a plain Go error of its storage layer.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// The router's response for unknown paths.
    pub(super) fn page_not_found() -> Self {
        Self { plain: true, ..Self::new(404, "NotFound", "404 page not found\n") }
    }

    /// An unknown resource or subresource of a group that exists.
    pub(super) fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").details(json!({}))
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.qualified())).details(of(
            kind,
            kind.plural(),
            name,
        ))
    }

    pub(super) fn already_exists(kind: &Kind, name: &str, deleting: bool) -> Self {
        let prefix = if deleting { "object is being deleted: " } else { "" };
        Self::new(409, "AlreadyExists", format!("{prefix}{} {name:?} already exists", kind.qualified()))
            .details(of(kind, kind.plural(), name))
    }

    pub(super) fn modified(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(super) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified());
        Self::new(409, "Conflict", message).details(of(kind, kind.plural(), name))
    }

    /// An apply that conflicts with fields of other managers.
    pub(super) fn apply_conflict(message: String, causes: Value) -> Self {
        Self::new(409, "Conflict", message).details(json!({ "causes": causes }))
    }

    /// All generated names exist; this is the last of them.
    pub(super) fn no_unique_name(kind: &Kind, name: &str) -> Self {
        let mut details = of(kind, kind.plural(), name);
        details["retryAfterSeconds"] = json!(1);
        let message = format!(
            "{} {name:?} already exists, the server was not able to generate a unique name for the object",
            kind.qualified()
        );
        Self::new(409, "AlreadyExists", message).details(details)
    }

    /// A failed precondition of a delete. The real server names a custom kind here, not its resource.
    pub(super) fn precondition(kind: &Kind, name: &str, why: &str) -> Self {
        if !kind.is_custom() {
            return Self::conflict(kind, name, why);
        }
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified_kind());
        Self::new(409, "Conflict", message).details(of(kind, kind.kind(), name))
    }

    /// The refusal of a patch type by the built-in kinds.
    pub(super) fn unsupported_media_type() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").details(json!({}))
    }

    /// A JSON patch that does not apply.
    pub(super) fn invalid_patch() -> Self {
        let text = "the server rejected our request due to an error in our request";
        Self::new(422, "Invalid", text).details(json!({}))
    }

    /// A patch that makes an object invalid for its built-in kind. The real server quotes the object.
    pub(super) fn unreadable_patch(why: &str) -> Self {
        Self::new(422, "Invalid", format!(" \"\" is invalid: patch: {why}")).details(json!({}))
    }

    pub(super) fn invalid(kind: &Kind, name: &str, causes: &[StatusCause]) -> Self {
        Self::invalid_as(kind.group(), kind.kind(), name, causes)
    }

    /// 422 in the name of any group and kind: `ListOptions` and `DeleteOptions` are validated too.
    pub(super) fn invalid_as(group: &str, kind: &str, name: &str, causes: &[StatusCause]) -> Self {
        let texts: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        // Go's aggregate drops repeated texts; details.causes has them.
        let mut shown: Vec<&str> = Vec::new();
        for text in &texts {
            if !shown.contains(&text.as_str()) {
                shown.push(text);
            }
        }
        let joined = if shown.len() == 1 { shown.concat() } else { format!("[{}]", shown.join(", ")) };
        let of_what = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut details = json!({ "kind": kind });
        for (field, text) in [("group", group), ("name", name)] {
            if !text.is_empty() {
                details[field] = json!(text);
            }
        }
        details["causes"] = causes
            .iter()
            .map(|c| json!({ "reason": c.reason, "message": c.message, "field": c.field }))
            .collect();
        Self::new(422, "Invalid", format!("{of_what} {name:?} is invalid: {joined}")).details(details)
    }

    pub(super) fn forbidden(
        user: &str,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Self {
        let plural = resource.split('/').next().unwrap_or(resource);
        let qualified = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        let named = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        let scope = match namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let message = format!(
            "{qualified}{named} is forbidden: User {user:?} cannot {verb} resource {resource:?} in API group \
             {group:?} {scope}"
        );
        let mut details = json!({ "kind": plural });
        for (field, text) in [("group", group), ("name", name)] {
            if !text.is_empty() {
                details[field] = json!(text);
            }
        }
        Self::new(403, "Forbidden", message).details(details)
    }

    pub(super) fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: User {user:?} cannot {verb} path {path:?}"))
            .details(json!({}))
    }

    pub(super) fn method_not_allowed(kind: &Kind, verb: &str) -> Self {
        if kind.is_custom() {
            let text = format!("{verb} is not supported on resources of kind {:?}", kind.qualified());
            return Self::new(405, "MethodNotAllowed", text).details(of(kind, kind.plural(), ""));
        }
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .details(json!({}))
    }

    /// A version that does not exist yet. The client may wait and try again.
    pub(super) fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self::new(504, "Timeout", message).details(json!({
            "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
            "retryAfterSeconds": 1,
        }))
    }

    /// The same without its structured cause.
    pub(super) fn too_large_version_in_words() -> Self {
        Self::new(504, "Timeout", "Timeout: Too large resource version: 2, current: 1").details(json!({}))
    }

    pub(super) fn too_old_to_watch(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    pub(super) fn too_old_to_list() -> Self {
        Self::new(410, "Expired", "The resourceVersion for the provided list is too old.")
    }

    /// The 410 for a page whose snapshot is gone, with a token that continues the list inconsistently.
    pub(super) fn expired_continue(token: String) -> Self {
        let status = Self::new(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You can start a \
             new list without the continue parameter, or use the continue token in this response to retrieve \
             the remainder of the results. Continuing with the provided token results in an inconsistent list \
             - objects that were created, modified, or deleted between the time the first chunk was returned \
             and now may show up in the list.",
        );
        Self { continue_token: Some(token), ..status }
    }

    /// The response of a fault.
    pub(super) fn scripted(code: u16, retry_after: Option<u64>) -> Self {
        let reason = match code {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        let status = Self::new(code, reason, format!("scripted fault: {code}"));
        match retry_after {
            Some(seconds) => status.details(json!({ "retryAfterSeconds": seconds })),
            None => status,
        }
    }
}

impl fmt::Display for ApiStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl fmt::Debug for ApiStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({self})")
    }
}

impl std::error::Error for ApiStatus {}

fn of(kind: &Kind, called: &str, name: &str) -> Value {
    let mut details = json!({ "kind": called });
    for (field, text) in [("group", kind.group()), ("name", name)] {
        if !text.is_empty() {
            details[field] = json!(text);
        }
    }
    details
}
