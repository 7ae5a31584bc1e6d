//! Everything the server stores: one version counter and the collections of all kinds, behind one lock.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::{Managers, Tracked};
use super::collection::Collection;
use super::garbage::Graph;
use super::kind::Kind;
use super::object::{Version, meta_str, metadata};
use super::status::ApiStatus;
use super::write::By;

/// The store. All functions are synchronous and short. No lock on it is held over an await.
#[derive(Debug)]
pub(super) struct State {
    version: u64,
    history_limit: usize,
    next_id: u64,
    /// By `plural.group`.
    names: HashMap<String, u64>,
    collections: HashMap<u64, Collection>,
    /// Whether objects have `metadata.managedFields`.
    shows_managers: bool,
    /// Which object owns which, if garbage is collected.
    pub(super) garbage: Option<Graph>,
}

impl State {
    pub(super) fn new(version: u64, history_limit: usize, shows_managers: bool, collects: bool) -> Self {
        Self {
            version,
            history_limit,
            next_id: 0,
            names: HashMap::new(),
            collections: HashMap::new(),
            shows_managers,
            garbage: collects.then(Graph::default),
        }
    }

    /// The version of the newest write to anything.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.names.values().filter_map(|id| self.collections.get(id)).map(Collection::kind)
    }

    /// The id of the collection called `plural.group`.
    pub(super) fn find(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }

    /// [`find`](State::find), with the error for a kind that is not served.
    pub(super) fn resolve(&self, name: &str) -> Result<u64, ApiStatus> {
        self.find(name).ok_or_else(ApiStatus::no_such_resource)
    }

    pub(super) fn collection(&self, id: u64) -> Result<&Collection, ApiStatus> {
        self.collections.get(&id).ok_or_else(ApiStatus::page_not_found)
    }

    pub(super) fn collection_mut(&mut self, id: u64) -> Result<&mut Collection, ApiStatus> {
        self.collections.get_mut(&id).ok_or_else(ApiStatus::page_not_found)
    }

    /// The served kind of an object, by its `apiVersion` and `kind`.
    pub(super) fn kind_of(&self, object: &Value) -> Option<Arc<Kind>> {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or("");
        let (version, name) = (text("apiVersion"), text("kind"));
        self.kinds().find(|kind| kind.kind() == name && kind.api_version() == version).cloned()
    }

    /// Serves `kind` from now on. Objects of a kind that is served already stay.
    pub(super) fn serve(&mut self, kind: Kind) {
        self.sweep();
        match self.find(&kind.name()).and_then(|id| self.collections.get_mut(&id)) {
            Some(collection) => collection.set_kind(kind),
            None => {
                let id = self.next_id;
                self.next_id += 1;
                self.names.insert(kind.name(), id);
                self.collections.insert(id, Collection::new(kind, self.version, self.history_limit));
            }
        }
    }

    /// Stops serving a kind: its objects are deleted, and its watches deliver these deletions and end.
    pub(super) fn unserve(&mut self, name: &str) -> bool {
        let Some(id) = self.names.remove(name) else { return false };
        let keys = self.keys(id, "");
        for key in keys {
            self.remove(id, &key);
        }
        if let Some(collection) = self.collections.get_mut(&id) {
            collection.close();
        }
        self.collect();
        self.sweep();
        true
    }

    /// Removes collections that are no longer served and have no watchers any more.
    fn sweep(&mut self) {
        self.collections.retain(|_, collection| !collection.is_closed() || !collection.is_abandoned());
    }

    /// The keys that begin with `prefix`.
    pub(super) fn keys(&self, id: u64, prefix: &str) -> Vec<String> {
        let Some(collection) = self.collections.get(&id) else { return Vec::new() };
        let kind = collection.kind();
        collection.at(self.version, prefix, "").map(|object| key_of(kind, object.value())).collect()
    }

    /// Writes `object` as the newest version of `key`.
    pub(super) fn store(&mut self, id: u64, key: &str, mut object: Value) -> Result<Arc<Version>, ApiStatus> {
        let version = self.next_version();
        let collection = self.collection_mut(id)?;
        collection.kind().stamp(&mut object, version);
        let old = collection.get(key).cloned();
        let stored = collection.apply(key, version, Some(Version::new(version, object)));
        let stored = stored.ok_or_else(|| ApiStatus::internal("nothing was stored"))?;
        if let Some(graph) = &mut self.garbage {
            graph.changed(id, key, old.as_ref().map(|old| old.value()), Some(stored.value()));
        }
        Ok(stored)
    }

    /// [`store`](State::store), with the managers of the object.
    pub(super) fn store_managed(
        &mut self,
        id: u64,
        key: &str,
        mut object: Value,
        managers: Tracked,
    ) -> Result<Arc<Version>, ApiStatus> {
        let kind = self.collection(id)?.kind().clone();
        self.show(&kind, &mut object, &managers);
        let stored = self.store(id, key, object)?;
        self.collection_mut(id)?.track(key, managers);
        Ok(stored)
    }

    /// The managers of an object that exists.
    pub(super) fn managers(&self, id: u64, key: &str) -> Managers {
        let collection = self.collections.get(&id);
        let known = collection.and_then(|all| Some((all.kind(), all.get(key)?, all.tracked(key)?)));
        known
            .map(|(kind, object, tracked)| tracked.managers(kind, &self.unmanaged(object.value())))
            .unwrap_or_default()
    }

    /// An object without `metadata.managedFields`, which only [`store_managed`](State::store_managed) writes.
    pub(super) fn unmanaged<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        if object.pointer("/metadata/managedFields").is_none() {
            return Cow::Borrowed(object);
        }
        let mut object = object.clone();
        metadata(&mut object).remove("managedFields");
        Cow::Owned(object)
    }

    /// Writes the managers into an object, if this server shows them.
    pub(super) fn show(&self, kind: &Kind, object: &mut Value, managers: &Tracked) {
        if !self.shows_managers {
            return;
        }
        let managers = managers.managers(kind, object);
        if !managers.is_empty() {
            metadata(object).insert("managedFields".into(), managers.to_value());
        }
    }

    /// Deletes `key`, with or without finalizers.
    pub(super) fn remove(&mut self, id: u64, key: &str) -> Option<Arc<Version>> {
        let old = self.collections.get(&id)?.get(key)?.clone();
        let version = self.next_version();
        self.collections.get_mut(&id)?.apply(key, version, None);
        if let Some(graph) = &mut self.garbage {
            graph.changed(id, key, Some(old.value()), None);
        }
        Some(old)
    }

    /// Drops the history of every kind up to `version` (at most the newest one).
    pub(super) fn compact(&mut self, version: u64) {
        let version = version.min(self.version);
        for collection in self.collections.values_mut() {
            collection.compact(version);
        }
    }

    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        match self.find("namespaces").and_then(|id| self.collections.get(&id)) {
            Some(namespaces) => namespaces.get(namespace).is_some(),
            None => true,
        }
    }

    /// Creates the namespaces that each cluster has from the start.
    pub(super) fn found(&mut self) -> Result<(), ApiStatus> {
        if self.find("namespaces").is_none() {
            return Ok(());
        }
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            self.create("namespaces", None, namespace, By::SERVER)?;
        }
        Ok(())
    }
}

/// The key of an object within its collection: etcd's order, not that of (namespace, name) pairs.
pub(super) fn key(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

pub(super) fn key_of(kind: &Kind, object: &Value) -> String {
    key(kind.is_namespaced().then(|| meta_str(object, "namespace")), meta_str(object, "name"))
}
