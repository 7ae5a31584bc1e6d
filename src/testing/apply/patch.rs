//! The requests of server-side apply.

use std::sync::Arc;

use serde_json::Value;

use super::{Managers, Writer, unique};
use crate::testing::kind::Kind;
use crate::testing::object::{Version, meta_str, metadata};
use crate::testing::preconditions::{check_preconditions, same_name, same_namespace};
use crate::testing::state::{State, key};
use crate::testing::status::{ApiStatus, StatusCause};
use crate::testing::time::now;
use crate::testing::validate;
use crate::testing::write::Target;

/// The body of an apply request.
pub(in crate::testing) struct Applied {
    object: Value,
    force: bool,
}

impl Applied {
    /// Reads the body of a request. It must be JSON, which is also YAML.
    pub(in crate::testing) fn parse(kind: &Kind, body: &[u8], force: bool) -> Result<Self, ApiStatus> {
        let undecodable = |why: &str| ApiStatus::bad_request(format!("error decoding YAML: {why}"));
        let mut object: Value = serde_json::from_slice(body)
            .map_err(|_| undecodable("the in-process server reads JSON only, and the body is no JSON"))?;
        if !object.is_object() {
            return Err(undecodable(&format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type \
                 map[string]interface {{}}",
                validate::type_name(&object)
            )));
        }
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, of_kind) = (text("apiVersion"), text("kind"));
        if version != kind.api_version() || of_kind != kind.kind() {
            // A version of the core group begins with the slash after the empty group.
            let slash = if version.contains('/') { "" } else { "/" };
            return Err(ApiStatus::bad_request(format!(
                "invalid object type: {slash}{version}, Kind={of_kind}"
            )));
        }
        validate::shape(kind, &object).map_err(|status| untyped(kind, &object, status.message()))?;
        if metadata(&mut object).remove("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(ApiStatus::bad_request("metadata.managedFields must be nil"));
        }
        Ok(Self { object, force })
    }
}

impl State {
    /// Applies an object. Returns true if that created it.
    pub(in crate::testing) fn apply(
        &mut self,
        target: Target<'_>,
        applied: Applied,
    ) -> Result<(bool, Arc<Version>), ApiStatus> {
        let Target { resource, namespace, name, status, by } = target;
        let Applied { mut object, force } = applied;
        let id = self.resolve(resource)?;
        let kind = self.collection(id)?.kind().clone();
        same_namespace(&object, namespace)?;
        unique::check(&object, kind.schema()).map_err(|why| untyped(&kind, &object, &why))?;
        let key = key(namespace, name);
        let now = now();
        let writer = Writer::new(&kind, by.manager, status, &now);
        let Some(old) = self.collection(id)?.get(&key).cloned() else {
            if status {
                return Err(ApiStatus::not_found(&kind, name));
            }
            same_name(&object, name)?;
            absent_uid(&kind, &object)?;
            metadata(&mut object).remove("resourceVersion");
            let (object, managers) = writer.apply(&Value::Null, &object, &Managers::default(), force)?;
            let stored = self.create_managed(resource, namespace, object, by, Some(managers))?;
            return Ok((true, stored));
        };
        same_uid(&kind, &old, &object)?;
        let managers = self.managers(id, &key);
        let before = self.unmanaged(old.value());
        let (new, managers) = writer.apply(&before, &object, &managers, force)?;
        same_name(&new, name)?;
        check_preconditions(&kind, &old, &new, false)?;
        let stored = self.replace(target, &old, new, Some(managers))?;
        Ok((false, stored))
    }
}

fn untyped(kind: &Kind, object: &Value, why: &str) -> ApiStatus {
    let (namespace, name) = (meta_str(object, "namespace"), meta_str(object, "name"));
    let slash = if kind.group().is_empty() { "/" } else { "" };
    ApiStatus::internal(format!(
        "failed to create typed patch object ({namespace}/{name}; {slash}{}, Kind={}): {why}",
        kind.api_version(),
        kind.kind()
    ))
}

fn absent_uid(kind: &Kind, object: &Value) -> Result<(), ApiStatus> {
    match meta_str(object, "uid") {
        "" => Ok(()),
        uid => {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            Err(ApiStatus::conflict(kind, meta_str(object, "name"), &why))
        }
    }
}

fn same_uid(kind: &Kind, old: &Version, applied: &Value) -> Result<(), ApiStatus> {
    let uid = meta_str(applied, "uid");
    if uid.is_empty() || uid == old.uid() {
        return Ok(());
    }
    let cause = StatusCause {
        reason: "FieldValueInvalid",
        field: "metadata.uid",
        message: format!("Invalid value: {uid:?}: field is immutable"),
    };
    Err(ApiStatus::invalid(kind, old.name(), &[cause.clone(), cause]))
}
