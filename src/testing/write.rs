//! Create, update and patch: what the API server changes in an object on its way into the store.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kind::Kind;
use super::object::{Version, map, meta_str, metadata};
use super::state::{State, key};
use super::status::{ApiStatus, StatusCause};
use super::validate;

/// A change of an existing object.
pub(super) enum Edit {
    /// PUT.
    Replace(Value),
    /// `application/merge-patch+json`, RFC 7386.
    Merge(Value),
    /// `application/json-patch+json`, RFC 6902.
    Json(json_patch::Patch),
}

/// Where an edit goes.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) resource: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
    /// True for the status subresource.
    pub(super) status: bool,
    pub(super) dry_run: bool,
}

impl State {
    pub(super) fn create(
        &mut self,
        resource: &str,
        namespace: Option<&str>,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Arc<Version>, ApiStatus> {
        let id = self.resolve(resource)?;
        let kind = self.collection(id)?.kind().clone();
        validate::shape(&kind, &object)?;
        same_namespace(&object, namespace)?;
        if let Some(namespace) = namespace.filter(|namespace| !self.has_namespace(namespace)) {
            let namespaces = Kind::cluster("", "v1", "Namespace", "namespaces").built_in();
            return Err(ApiStatus::not_found(&namespaces, namespace));
        }
        generate_name(&mut object);
        validate::metadata(&kind, &object, false)?;
        if !meta_str(&object, "resourceVersion").is_empty() {
            return Err(ApiStatus::internal("resourceVersion should not be set on objects to be created"));
        }
        let name = meta_str(&object, "name").to_owned();
        let key = key(namespace, &name);
        if let Some(other) = self.collection(id)?.get(&key) {
            return Err(ApiStatus::already_exists(&kind, &name, is_deleting(other.value())));
        }
        let meta = metadata(&mut object);
        for field in
            ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "generation"]
        {
            meta.remove(field);
        }
        meta.retain(|_, value| !value.is_null());
        match namespace {
            Some(namespace) => meta.insert("namespace".into(), json!(namespace)),
            None => meta.remove("namespace"),
        };
        meta.insert("uid".into(), json!(uuid::Uuid::new_v4().to_string()));
        meta.insert("creationTimestamp".into(), json!(now()));
        if kind.counts_generation() {
            meta.insert("generation".into(), json!(1));
        }
        initial_status(&kind, &mut object);
        if dry_run {
            metadata(&mut object).remove("resourceVersion");
            return Ok(Arc::new(Version::new(0, object)));
        }
        let stored = self.store(id, &key, object)?;
        self.after_write(&kind, &stored)?;
        Ok(stored)
    }

    pub(super) fn edit(&mut self, target: Target<'_>, edit: Edit) -> Result<Arc<Version>, ApiStatus> {
        let Target { resource, namespace, name, .. } = target;
        let id = self.resolve(resource)?;
        let kind = self.collection(id)?.kind().clone();
        if target.status && !kind.has_status() {
            return Err(ApiStatus::no_such_resource());
        }
        let key = key(namespace, name);
        let replaces = matches!(edit, Edit::Replace(_));
        if let Edit::Replace(object) = &edit {
            validate::shape(&kind, object)?;
            same_name(object, name)?;
            same_namespace(object, namespace)?;
        }
        let old = self.collection(id)?.get(&key).cloned().ok_or_else(|| ApiStatus::not_found(&kind, name))?;
        let new = match edit {
            Edit::Replace(object) => object,
            Edit::Merge(patch) => {
                let mut object = old.value().clone();
                json_patch::merge(&mut object, &patch);
                object
            }
            Edit::Json(patch) => {
                let mut object = old.value().clone();
                json_patch::patch(&mut object, &patch).map_err(|_| ApiStatus::invalid_patch())?;
                object
            }
        };
        if !replaces {
            validate::shape(&kind, &new)?;
            same_name(&new, name)?;
            same_namespace(&new, namespace)?;
        }
        check_preconditions(&kind, &old, &new, replaces)?;
        let new = merge_old(&kind, &old, new, target.status)?;
        validate::metadata(&kind, &new, true)?;
        if new == *old.value() {
            return Ok(old);
        }
        if target.dry_run {
            return Ok(Arc::new(Version::new(old.version(), new)));
        }
        if is_deleting(&new) && finalizers(&new).is_empty() {
            self.remove(id, &key);
            self.after_delete(&kind, &old)?;
            return Ok(Arc::new(Version::new(old.version(), new)));
        }
        let stored = self.store(id, &key, new)?;
        self.after_write(&kind, &stored)?;
        Ok(stored)
    }
}

/// The object to store: what the client sent, with everything that is not the client's to change.
fn merge_old(kind: &Kind, old: &Version, new: Value, status: bool) -> Result<Value, ApiStatus> {
    let before = old.value();
    let mut object = if status { status_write(kind, before, new) } else { new };
    if !status && kind.has_status() {
        match before.get("status") {
            Some(status) => map(&mut object).insert("status".into(), status.clone()),
            None => map(&mut object).remove("status"),
        };
    }
    if finalizers_added(before, &object) {
        return Err(new_finalizers(kind, before, &object));
    }
    let meta = metadata(&mut object);
    meta.remove("managedFields");
    meta.retain(|_, value| !value.is_null());
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "namespace",
    ] {
        match before.get("metadata").and_then(|meta| meta.get(field)) {
            Some(value) => meta.insert(field.into(), value.clone()),
            None => meta.remove(field),
        };
    }
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = |value: &Value| {
            value.as_object().is_some_and(serde_json::Map::is_empty)
                || value.as_array().is_some_and(Vec::is_empty)
        };
        if meta.get(field).is_some_and(empty) {
            meta.remove(field);
        }
    }
    // Under the old version the two compare equal exactly when the write changes nothing.
    kind.stamp(&mut object, old.version());
    if kind.counts_generation() && !status && spec_differs(kind, before, &object) {
        let generation = before.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or(0);
        metadata(&mut object).insert("generation".into(), json!(generation + 1));
    }
    Ok(object)
}

/// A write to `/status`: nothing but the status counts, except that built-in kinds let metadata through too.
fn status_write(kind: &Kind, before: &Value, mut new: Value) -> Value {
    let mut object = before.clone();
    match new.get_mut("status").map(Value::take) {
        Some(status) => map(&mut object).insert("status".into(), status),
        None => map(&mut object).remove("status"),
    };
    if !kind.is_custom() {
        for field in ["labels", "annotations", "finalizers"] {
            match metadata(&mut new).remove(field) {
                Some(value) => metadata(&mut object).insert(field.into(), value),
                None => metadata(&mut object).remove(field),
            };
        }
    }
    object
}

/// True when something outside metadata (and the status, where it is a subresource) differs.
fn spec_differs(kind: &Kind, before: &Value, after: &Value) -> bool {
    let relevant = |object: &Value| {
        let mut object = object.clone();
        map(&mut object).remove("metadata");
        if kind.has_status() {
            map(&mut object).remove("status");
        }
        object
    };
    relevant(before) != relevant(after)
}

fn check_preconditions(kind: &Kind, old: &Version, new: &Value, replaces: bool) -> Result<(), ApiStatus> {
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

fn same_name(object: &Value, name: &str) -> Result<(), ApiStatus> {
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

fn same_namespace(object: &Value, namespace: Option<&str>) -> Result<(), ApiStatus> {
    let own = meta_str(object, "namespace");
    // What is said of a cluster-scoped object is dropped, not refused.
    if own.is_empty() || namespace.is_none_or(|namespace| own == namespace) {
        return Ok(());
    }
    Err(ApiStatus::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}

/// What kube-apiserver's own strategies set when an object is born.
fn initial_status(kind: &Kind, object: &mut Value) {
    if kind.is_core("Namespace") {
        let name = meta_str(object, "name").to_owned();
        let labels = metadata(object).entry("labels").or_insert_with(|| json!({}));
        map(labels).insert("kubernetes.io/metadata.name".into(), json!(name));
        map(object).insert("spec".into(), json!({ "finalizers": ["kubernetes"] }));
        map(object).insert("status".into(), json!({ "phase": "Active" }));
    } else if kind.is_core("Pod") {
        map(object).insert("status".into(), json!({ "phase": "Pending", "qosClass": "BestEffort" }));
    } else if kind.has_status() && !kind.is_core("Node") {
        map(object).remove("status");
    }
}

/// The suffix alphabet of `generateName`: no vowels, nothing that reads like another character.
fn generate_name(object: &mut Value) {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let base = meta_str(object, "generateName").to_owned();
    if base.is_empty() || !meta_str(object, "name").is_empty() {
        return;
    }
    let mut name: String = base.chars().take(58).collect();
    let random = uuid::Uuid::new_v4();
    name.extend(random.as_bytes().iter().take(5).map(|byte| char::from(ALPHABET[usize::from(*byte) % 27])));
    metadata(object).insert("name".into(), json!(name));
}

pub(super) fn is_deleting(object: &Value) -> bool {
    !meta_str(object, "deletionTimestamp").is_empty()
}

pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn finalizers_added(before: &Value, after: &Value) -> bool {
    is_deleting(before) && finalizers(after).iter().any(|one| !finalizers(before).contains(one))
}

fn new_finalizers(kind: &Kind, before: &Value, after: &Value) -> ApiStatus {
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

/// The time as Kubernetes writes it: RFC 3339, whole seconds, UTC.
pub(super) fn now() -> String {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    rfc3339(elapsed.as_secs())
}

/// Civil date from the days since 1970, by the era arithmetic of the proleptic Gregorian calendar.
fn rfc3339(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_written_as_kubernetes_writes_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(4_102_444_800), "2100-01-01T00:00:00Z");
    }
}
