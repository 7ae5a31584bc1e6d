//! Deletes: finalizers, preconditions, and what is deleted with a namespace or a definition.

use std::sync::Arc;

use serde_json::{Value, json};

use super::definition;
use super::finalizers::{finalizers, is_deleting};
use super::kind::Kind;
use super::list::Query;
use super::object::{Version, metadata};
use super::state::{State, key};
use super::status::{ApiStatus, StatusCause};
use super::time::now;

/// The body and query of a delete: `meta/v1` DeleteOptions.
#[derive(Clone, Debug, Default)]
pub(super) struct DeleteOptions {
    pub(super) uid: Option<String>,
    pub(super) version: Option<String>,
    pub(super) propagation: Option<String>,
    pub(super) dry_run: bool,
}

/// The state of an object after a delete.
#[derive(Debug)]
pub(super) enum Deleted {
    /// It is gone; this was its last version.
    Gone(Arc<Version>),
    /// It waits for its finalizers.
    Waiting(Arc<Version>),
}

impl DeleteOptions {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiStatus> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let options: Value = serde_json::from_slice(body)
            .map_err(|_| ApiStatus::bad_request("couldn't get version/kind; json parse error"))?;
        let text = |path: &str| options.pointer(path).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            uid: text("/preconditions/uid"),
            version: text("/preconditions/resourceVersion"),
            propagation: text("/propagationPolicy"),
            dry_run: options.get("dryRun").and_then(Value::as_array).is_some_and(|all| !all.is_empty()),
        })
    }

    pub(super) fn check(&self) -> Result<(), ApiStatus> {
        match self.propagation.as_deref() {
            None | Some("Foreground" | "Background" | "Orphan") => Ok(()),
            Some(other) => Err(ApiStatus::invalid_as(
                "meta.k8s.io",
                "DeleteOptions",
                "",
                &[StatusCause {
                    reason: "FieldValueNotSupported",
                    field: "propagationPolicy",
                    message: format!(
                        "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \
                         \"Orphan\", \"nil\""
                    ),
                }],
            )),
        }
    }
}

impl Deleted {
    /// The body of the response.
    pub(super) fn answer(&self, kind: &Kind) -> Value {
        match self {
            Self::Waiting(object) => object.value().clone(),
            Self::Gone(object) if kind.returns_deleted() => object.value().clone(),
            Self::Gone(object) => {
                let mut details =
                    json!({ "name": object.name(), "kind": kind.plural(), "uid": object.uid() });
                if !kind.group().is_empty() {
                    details["group"] = json!(kind.group());
                }
                json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
                })
            }
        }
    }
}

impl State {
    pub(super) fn delete(
        &mut self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiStatus> {
        let deleted = self.delete_alone(resource, namespace, name, options);
        self.collect();
        deleted
    }

    fn delete_alone(
        &mut self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiStatus> {
        options.check()?;
        let id = self.resolve(resource)?;
        let kind = self.collection(id)?.kind().clone();
        let key = key(namespace, name);
        let old = self.collection(id)?.get(&key).cloned().ok_or_else(|| ApiStatus::not_found(&kind, name))?;
        check_preconditions(&kind, &old, options)?;
        let mut object = old.value().clone();
        let waits_for = match options.propagation.as_deref() {
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            _ => None,
        };
        if let Some(finalizer) = waits_for.filter(|one| !finalizers(&object).contains(one)) {
            let mut all: Vec<String> = finalizers(&object).into_iter().map(str::to_owned).collect();
            all.push(finalizer.to_owned());
            metadata(&mut object).insert("finalizers".into(), json!(all));
        }
        if finalizers(&object).is_empty() {
            if options.dry_run {
                return Ok(Deleted::Gone(old));
            }
            let mut old = old;
            if kind.is_core("Pod") && !is_deleting(old.value()) {
                // The kubelet's work is done at once, in two writes as on a real server.
                mark(&kind, &mut object);
                old = self.store(id, &key, object)?;
            }
            self.remove(id, &key);
            let version = self.version();
            self.after_delete(&kind, &old)?;
            return Ok(Deleted::Gone(if kind.returns_deleted() {
                marked(&kind, &old, version)
            } else {
                old
            }));
        }
        if !is_deleting(&object) {
            mark(&kind, &mut object);
        }
        if object == *old.value() {
            return Ok(Deleted::Waiting(old));
        }
        if options.dry_run {
            return Ok(Deleted::Waiting(Arc::new(Version::new(old.version(), object))));
        }
        Ok(Deleted::Waiting(self.store(id, &key, object)?))
    }

    /// Deletes every object that `query` selects. Returns the list of the objects before the delete.
    pub(super) fn delete_collection(
        &mut self,
        resource: &str,
        namespace: Option<&str>,
        query: &Query,
        options: &DeleteOptions,
    ) -> Result<super::list::Page, ApiStatus> {
        options.check()?;
        let id = self.resolve(resource)?;
        let page = self.list(id, namespace, query)?;
        let namespaced = self.collection(id)?.kind().is_namespaced();
        for object in &page.items {
            let namespace = namespaced.then(|| super::object::meta_str(object.value(), "namespace"));
            match self.delete(resource, namespace, object.name(), options) {
                Err(status) if status.code() != 404 => return Err(status),
                _ => {}
            }
        }
        Ok(page)
    }

    /// The effects of a write to a definition.
    pub(super) fn after_write(&mut self, kind: &Kind, stored: &Arc<Version>) -> Result<(), ApiStatus> {
        if !definition::is_definition(kind) {
            return Ok(());
        }
        if let Some(served) = definition::kind(stored.value()) {
            self.serve(served);
            let established = definition::established(stored.value());
            if established != *stored.value() {
                let id = self.resolve(&kind.name())?;
                self.store(id, stored.name(), established)?;
            }
        }
        Ok(())
    }

    /// Deletes what belongs to a deleted object: the objects of a namespace, the kind of a definition.
    pub(super) fn after_delete(&mut self, kind: &Kind, old: &Arc<Version>) -> Result<(), ApiStatus> {
        if definition::is_definition(kind) {
            if let Some(served) = definition::kind(old.value()) {
                self.unserve(&served.name());
            }
        } else if kind.is_core("Namespace") {
            let resources: Vec<String> =
                self.kinds().filter(|kind| kind.is_namespaced()).map(|kind| kind.name()).collect();
            let namespace = old.name();
            for resource in resources {
                let id = self.resolve(&resource)?;
                for key in self.keys(id, &format!("{namespace}/")) {
                    let name = key.split_once('/').map_or("", |(_, name)| name);
                    self.delete(&resource, Some(namespace), name, &DeleteOptions::default())?;
                }
            }
        }
        Ok(())
    }
}

/// The object with which some built-in kinds respond to its delete, at the version of the delete.
fn marked(kind: &Kind, old: &Version, version: u64) -> Arc<Version> {
    let mut object = old.value().clone();
    if !is_deleting(&object) {
        mark(kind, &mut object);
    }
    kind.stamp(&mut object, version);
    Arc::new(Version::new(version, object))
}

/// Marks the object as being deleted. That is a change of the desired state, so the generation counts it.
fn mark(kind: &Kind, object: &mut Value) {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_u64);
    let meta = metadata(object);
    meta.insert("deletionTimestamp".into(), json!(now()));
    meta.insert("deletionGracePeriodSeconds".into(), json!(0));
    if let Some(generation) = generation.filter(|_| kind.counts_generation()) {
        meta.insert("generation".into(), json!(generation + 1));
    }
}

fn check_preconditions(kind: &Kind, old: &Version, options: &DeleteOptions) -> Result<(), ApiStatus> {
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != old.uid()) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            old.uid()
        );
        return Err(ApiStatus::precondition(kind, old.name(), &why));
    }
    if let Some(version) = options.version.as_deref().filter(|version| *version != old.version().to_string())
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            old.version()
        );
        return Err(ApiStatus::precondition(kind, old.name(), &why));
    }
    Ok(())
}
