//! The manager of a write, and checks of its options.

use http::{HeaderMap, header};

use crate::testing::query::is_true;
use crate::testing::request::{RequestInfo, Verb};
use crate::testing::status::{ApiStatus, StatusCause};

const LONGEST_MANAGER: usize = 128;

/// The name of the manager: `fieldManager`, or the name of the program at the start of the user agent.
pub(in crate::testing) fn manager(info: &RequestInfo, headers: &HeaderMap) -> String {
    let named = info.parameter("fieldManager");
    if !named.is_empty() {
        return named.to_owned();
    }
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    match agent.split('/').next().unwrap_or_default() {
        "" => "unknown".to_owned(),
        program => program.chars().take(LONGEST_MANAGER).collect(),
    }
}

/// Whether an apply takes fields from other managers.
pub(in crate::testing) fn force(info: &RequestInfo) -> bool {
    info.query.iter().any(|(key, value)| key == "force" && is_true(value))
}

/// Refuses options that a write of this form cannot have.
pub(in crate::testing) fn check(info: &RequestInfo, applies: bool) -> Result<(), ApiStatus> {
    let named = info.parameter("fieldManager");
    let mut causes = Vec::new();
    if applies && named.is_empty() {
        causes.push(StatusCause {
            reason: "FieldValueRequired",
            field: "fieldManager",
            message: "Required value: is required for apply patch".into(),
        });
    }
    if info.verb == Verb::Patch && !applies && info.query.iter().any(|(key, _)| key == "force") {
        causes.push(StatusCause {
            reason: "FieldValueForbidden",
            field: "force",
            message: "Forbidden: may not be specified for non-apply patch".into(),
        });
    }
    if named.len() > LONGEST_MANAGER {
        causes.push(StatusCause {
            reason: "FieldValueTooLong",
            field: "fieldManager",
            message: format!("Too long: may not be more than {LONGEST_MANAGER} bytes"),
        });
    }
    if causes.is_empty() {
        return Ok(());
    }
    let options = match info.verb {
        Verb::Create => "CreateOptions",
        Verb::Update => "UpdateOptions",
        _ => "PatchOptions",
    };
    Err(ApiStatus::invalid_as("meta.k8s.io", options, "", &causes))
}
