//! Preconditions of a write: the version and uid of the object, and the name and namespace of the path.

use serde_json::Value;

use super::kind::Kind;
use super::object::{Version, meta_str};
use super::status::{ApiStatus, StatusCause};
use super::validate;

pub(super) fn check_preconditions(
    kind: &Kind,
    old: &Version,
    new: &Value,
    replaces: bool,
) -> Result<(), ApiStatus> {
    let name = old.name();
    let version = meta_str(new, "resourceVersion");
    if version.is_empty() {
        if kind.is_custom() {
            return Err(ApiStatus::invalid_as(
                kind.group(),
                kind.plural(),
                name,
                &[StatusCause {
                    reason: "FieldValueInvalid",
                    field: "metadata.resourceVersion",
                    message: "Invalid value: 0: must be specified for an update".into(),
                }],
            ));
        }
    } else if version != old.version().to_string() {
        return Err(ApiStatus::modified(kind, name));
    }
    let uid = meta_str(new, "uid");
    let immutable = |field, value: &str| StatusCause {
        reason: "FieldValueInvalid",
        field,
        message: format!("Invalid value: {value:?}: field is immutable"),
    };
    if !uid.is_empty() && uid != old.uid() {
        if replaces || !kind.is_custom() {
            let why =
                format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", old.uid());
            return Err(ApiStatus::conflict(kind, name, &why));
        }
        return Err(validate::invalid_update(kind, name, vec![immutable("metadata.uid", uid)]));
    }
    let deletion = meta_str(new, "deletionTimestamp");
    if !deletion.is_empty() && deletion != meta_str(old.value(), "deletionTimestamp") {
        let cause = immutable("metadata.deletionTimestamp", deletion);
        return Err(validate::invalid_update(kind, name, vec![cause]));
    }
    Ok(())
}

pub(super) fn same_name(object: &Value, name: &str) -> Result<(), ApiStatus> {
    match meta_str(object, "name") {
        "" => Err(ApiStatus::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        own if own == name => Ok(()),
        own => Err(ApiStatus::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({name})"
        ))),
    }
}

pub(super) fn same_namespace(object: &Value, namespace: Option<&str>) -> Result<(), ApiStatus> {
    let own = meta_str(object, "namespace");
    // The namespace of a cluster-scoped object is dropped, not refused.
    if own.is_empty() || namespace.is_none_or(|namespace| own == namespace) {
        return Ok(());
    }
    Err(ApiStatus::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}
