//! The query of a list or watch: `meta/v1` ListOptions, parsed and validated as kube-apiserver does it.

use serde_json::Value;

use super::kind::Kind;
use super::selector::Selector;
use super::shard::Shard;
use super::status::{ApiStatus, StatusCause};

/// ListOptions, with the selectors parsed.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) selector: Selector,
    /// `None`: all objects.
    pub(super) shard: Option<Shard>,
    pub(super) limit: Option<usize>,
    pub(super) continue_token: String,
    pub(super) version: String,
    pub(super) version_match: String,
    pub(super) watch: bool,
    pub(super) bookmarks: bool,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) initial_events: Option<bool>,
}

impl Query {
    /// Parses the decoded pairs of the query string. `shards`: whether the server knows shards.
    pub(super) fn parse(pairs: &[(String, String)], kind: &Kind, shards: bool) -> Result<Self, ApiStatus> {
        let text =
            |name: &str| pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let number = |name: &str| match text(name) {
            "" => Ok(None),
            digits => digits.parse::<i64>().map(Some).map_err(|_| {
                ApiStatus::bad_request(format!("strconv.ParseInt: parsing {digits:?}: invalid syntax"))
            }),
        };
        let flag = |name: &str| pairs.iter().any(|(key, value)| key == name && is_true(value));
        let positive = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        let limit = positive(number("limit")?).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let timeout_seconds = positive(number("timeoutSeconds")?);
        let initial_events =
            pairs.iter().find(|(key, _)| key == "sendInitialEvents").map(|(_, value)| is_true(value));
        let mut query = Self {
            selector: Selector::parse(text("labelSelector"), text("fieldSelector"), kind)?,
            shard: None,
            limit,
            continue_token: text("continue").to_owned(),
            version: text("resourceVersion").to_owned(),
            version_match: text("resourceVersionMatch").to_owned(),
            watch: flag("watch"),
            bookmarks: flag("allowWatchBookmarks"),
            timeout_seconds,
            initial_events,
        };
        query.set_defaults();
        query.validate()?;
        query.shard = match text("shardSelector") {
            selector if shards && !selector.is_empty() => Some(Shard::parse(selector)?),
            _ => None,
        };
        Ok(query)
    }

    /// Whether an object is of both selectors and of the shard.
    pub(super) fn selects(&self, object: &Value) -> bool {
        self.shard.as_ref().is_none_or(|shard| shard.has(object)) && self.selector.matches(object)
    }

    /// The query as a kind without versions interprets it: without a version, in one piece.
    pub(super) fn without_version(&self) -> Self {
        Self {
            limit: None,
            continue_token: String::new(),
            version: String::new(),
            version_match: String::new(),
            initial_events: None,
            ..self.clone()
        }
    }

    /// Makes a watch without a version that accepts bookmarks a streaming list, as KEP-3157 specifies for old
    /// clients.
    fn set_defaults(&mut self) {
        let from_nowhere = self.version.is_empty() || self.version == "0";
        if self.watch
            && self.bookmarks
            && from_nowhere
            && self.initial_events.is_none()
            && self.version_match.is_empty()
        {
            self.initial_events = Some(true);
            self.version_match = "NotOlderThan".into();
        }
    }

    fn validate(&self) -> Result<(), ApiStatus> {
        let causes = if self.watch { self.watch_faults() } else { self.list_faults() };
        if causes.is_empty() {
            return Ok(());
        }
        Err(ApiStatus::invalid_as("meta.k8s.io", "ListOptions", "", &causes))
    }

    fn list_faults(&self) -> Vec<StatusCause> {
        let mut causes = Vec::new();
        if self.initial_events.is_some() {
            causes.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
            return causes;
        }
        if self.version_match.is_empty() {
            return causes;
        }
        if !self.continue_token.is_empty() {
            causes.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if self.version.is_empty() {
            causes.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !matches!(self.version_match.as_str(), "Exact" | "NotOlderThan") {
            causes.push(unsupported(&self.version_match, "\"Exact\", \"NotOlderThan\", \"\""));
        }
        if self.version_match == "Exact" && self.version == "0" {
            causes.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
        causes
    }

    fn watch_faults(&self) -> Vec<StatusCause> {
        let mut causes = Vec::new();
        let matching = self.version_match.as_str();
        if self.initial_events.is_some() {
            if matching != "NotOlderThan" {
                causes.push(forbidden(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
        } else if !matching.is_empty() {
            causes.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if !matching.is_empty() && matching != "NotOlderThan" {
            causes.push(unsupported(matching, "\"NotOlderThan\""));
        }
        if !self.continue_token.is_empty() {
            causes.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        causes
    }
}

/// A flag, as Go's conversion reads it: everything except "false" and "0" is true, also `?watch` alone.
pub(super) fn is_true(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "false" | "0")
}

fn forbidden(field: &'static str, why: &str) -> StatusCause {
    StatusCause { reason: "FieldValueForbidden", field, message: format!("Forbidden: {why}") }
}

fn unsupported(value: &str, known: &str) -> StatusCause {
    StatusCause {
        reason: "FieldValueNotSupported",
        field: "resourceVersionMatch",
        message: format!("Unsupported value: {value:?}: supported values: {known}"),
    }
}

/// Parses a resourceVersion as the storage does.
pub(super) fn parse_version(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        )
    })
}
