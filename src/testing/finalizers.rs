//! Finalizers: an object that is being deleted stays while it has one, and gets no new one.

use serde_json::Value;

use super::kind::Kind;
use super::object::meta_str;
use super::status::{ApiStatus, StatusCause};
use super::validate;

pub(super) fn is_deleting(object: &Value) -> bool {
    !meta_str(object, "deletionTimestamp").is_empty()
}

pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(super) fn finalizers_added(before: &Value, after: &Value) -> bool {
    is_deleting(before) && finalizers(after).iter().any(|one| !finalizers(before).contains(one))
}

pub(super) fn new_finalizers(kind: &Kind, before: &Value, after: &Value) -> ApiStatus {
    let had = finalizers(before);
    let added: Vec<String> = finalizers(after)
        .into_iter()
        .filter(|one| !had.contains(one))
        .map(|one| format!("{one:?}"))
        .collect();
    let cause = StatusCause {
        reason: "FieldValueForbidden",
        field: "metadata.finalizers",
        message: format!(
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \
             []string{{{}}}",
            added.join(", ")
        ),
    };
    validate::invalid_update(kind, meta_str(before, "name"), vec![cause])
}
