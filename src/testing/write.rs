//! Create, update and patch, and what the API server changes in an object before it stores it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::{Managers, Tracked, Writer};
use super::built_in;
use super::finalizers::{finalizers, finalizers_added, is_deleting, new_finalizers};
use super::json_patch::{self, Operation};
use super::kind::Kind;
use super::merge_patch;
use super::object::{Version, map, meta_str, metadata};
use super::preconditions::{check_preconditions, same_name, same_namespace};
use super::state::{State, key};
use super::status::ApiStatus;
use super::time::now;
use super::validate;

/// A change of an existing object.
pub(super) enum Edit {
    /// PUT.
    Replace(Value),
    /// `application/merge-patch+json`, RFC 7386.
    Merge(Value),
    /// `application/json-patch+json`, RFC 6902.
    Json(Vec<Operation>),
}

/// The target of an edit.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) resource: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
    /// Whether the target is the status subresource.
    pub(super) status: bool,
    pub(super) by: By<'a>,
}

/// The author of a write.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    /// The manager of the fields that it writes.
    pub(super) manager: &'a str,
    pub(super) dry_run: bool,
}

impl By<'static> {
    /// The server itself.
    pub(super) const SERVER: Self = By { manager: "kube-apiserver", dry_run: false };
    /// The test, through the handle of the server.
    pub(super) const TEST: Self = By { manager: "test", dry_run: false };
}

impl State {
    pub(super) fn create(
        &mut self,
        resource: &str,
        namespace: Option<&str>,
        object: Value,
        by: By<'_>,
    ) -> Result<Arc<Version>, ApiStatus> {
        self.create_managed(resource, namespace, object, by, None)
    }

    /// Creates an object with these managers; without them, with that of `by`.
    pub(super) fn create_managed(
        &mut self,
        resource: &str,
        namespace: Option<&str>,
        mut object: Value,
        by: By<'_>,
        managers: Option<Managers>,
    ) -> Result<Arc<Version>, ApiStatus> {
        let id = self.resolve(resource)?;
        let kind = self.collection(id)?.kind().clone();
        validate::shape(&kind, &object)?;
        same_namespace(&object, namespace)?;
        if let Some(namespace) = namespace.filter(|namespace| !self.has_namespace(namespace)) {
            let namespaces = Kind::cluster("", "v1", "Namespace", "namespaces").built_in();
            return Err(ApiStatus::not_found(&namespaces, namespace));
        }
        self.generate_name(id, namespace, &mut object)?;
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
        built_in::on_create(&kind, &mut object);
        built_in::on_write(&kind, &mut object);
        let managers = match managers {
            Some(managers) => Tracked::Known(managers),
            None => Tracked::Created { manager: by.manager.to_owned(), time: now() },
        };
        if by.dry_run {
            metadata(&mut object).remove("resourceVersion");
            self.show(&kind, &mut object, &managers);
            return Ok(Arc::new(Version::new(0, object)));
        }
        let stored = self.store_managed(id, &key, object, managers)?;
        self.collect();
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
                merge_patch::apply(&mut object, patch);
                object
            }
            Edit::Json(patch) => {
                let mut object = old.value().clone();
                json_patch::apply(&mut object, &patch)?;
                object
            }
        };
        if !replaces {
            validate::shape(&kind, &new).map_err(|status| match kind.is_custom() {
                true => status,
                false => ApiStatus::unreadable_patch(status.message()),
            })?;
            same_name(&new, name)?;
            same_namespace(&new, namespace)?;
        }
        check_preconditions(&kind, &old, &new, replaces)?;
        let reset = resets_managers(&new).then(Managers::default);
        self.replace(target, &old, new, reset)
    }

    /// Stores `new` in place of `old` with these managers; without them, with those that result from the
    /// change.
    pub(super) fn replace(
        &mut self,
        target: Target<'_>,
        old: &Arc<Version>,
        new: Value,
        managers: Option<Managers>,
    ) -> Result<Arc<Version>, ApiStatus> {
        let id = self.resolve(target.resource)?;
        let kind = self.collection(id)?.kind().clone();
        let key = key(target.namespace, target.name);
        let mut new = merge_old(&kind, old, new, target.status)?;
        validate::metadata(&kind, &new, true)?;
        built_in::on_write(&kind, &mut new);
        let before = self.unmanaged(old.value());
        if managers.is_none() && new == *before {
            return Ok(old.clone());
        }
        let had = self.managers(id, &key);
        let now = now();
        let managers = managers.unwrap_or_else(|| {
            // Without managers there is nothing to follow until the first apply.
            if had.is_empty() {
                return Managers::default();
            }
            Writer::new(&kind, target.by.manager, target.status, &now).update(&before, &new, had.clone())
        });
        if new == *before && managers.agree(&had) {
            return Ok(old.clone());
        }
        if kind.counts_generation() && !target.status && spec_differs(&kind, &before, &new) {
            let generation = before.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or(0);
            metadata(&mut new).insert("generation".into(), json!(generation + 1));
        }
        let managers = Tracked::Known(managers);
        if target.by.dry_run {
            self.show(&kind, &mut new, &managers);
            return Ok(Arc::new(Version::new(old.version(), new)));
        }
        if is_deleting(&new) && finalizers(&new).is_empty() {
            self.remove(id, &key);
            self.after_delete(&kind, old)?;
            self.collect();
            return Ok(Arc::new(Version::new(old.version(), new)));
        }
        let stored = self.store_managed(id, &key, new, managers)?;
        self.collect();
        self.after_write(&kind, &stored)?;
        Ok(stored)
    }
}

/// The object to store: what the client sent, with the old values of everything that a client cannot change.
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
    Ok(object)
}

/// A write to `/status`: it changes only the status, and the metadata of built-in kinds.
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

/// Whether anything except metadata (and the status, if it is a subresource) differs.
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

/// Whether a client requests to clear all managers: by an empty list, or one empty entry.
fn resets_managers(object: &Value) -> bool {
    object
        .pointer("/metadata/managedFields")
        .is_some_and(|fields| *fields == json!([]) || *fields == json!([{}]))
}
