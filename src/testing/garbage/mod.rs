//! The garbage collector: deletes dependents with their owners.
//!
//! It runs as part of the write that makes something garbage, and ends before the response. Objects to check are in a
//! queue, so a chain of owners may have any length.

mod graph;
mod owners;

use serde_json::{Value, json};

pub(super) use graph::Graph;
use graph::Task;
use owners::{Owner, references};

use super::delete::DeleteOptions;
use super::finalizers::{finalizers, is_deleting};
use super::object::{meta_str, metadata};
use super::state::State;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

impl State {
    /// Deletes what has become garbage. No effect if it is running already, or if the server does not collect garbage.
    pub(super) fn collect(&mut self) {
        if !self.garbage.as_mut().is_some_and(Graph::begin) {
            return;
        }
        while let Some(task) = self.garbage.as_mut().and_then(Graph::next) {
            match task {
                Task::Dependent(id, key) => self.look_at_dependent(id, &key),
                Task::Owner(id, key) => self.look_at_owner(id, &key),
            }
        }
        if let Some(graph) = &mut self.garbage {
            graph.end();
        }
    }

    /// Deletes an object if none of its owners exist; otherwise removes its references to owners that do not exist.
    fn look_at_dependent(&mut self, id: u64, key: &str) {
        let Some(object) = self.object(id, key) else { return };
        let references = references(&object);
        if references.is_empty() || is_deleting(&object) {
            return;
        }
        let namespace = meta_str(&object, "namespace");
        let is = |which: Owner| references.iter().any(|one| self.owner(&one.uid, namespace) == which);
        if is(Owner::There) {
            let gone = |uid: &str| self.owner(uid, namespace) != Owner::There;
            let uids: Vec<&str> =
                references.iter().map(|one| one.uid.as_str()).filter(|uid| gone(uid)).collect();
            self.disown(id, key, object.clone(), &uids);
            return;
        }
        let has_dependents = !self.dependents(meta_str(&object, "uid")).is_empty();
        let policy = if finalizers(&object).contains(&ORPHAN) {
            "Orphan"
        } else if finalizers(&object).contains(&FOREGROUND) || (is(Owner::Waiting) && has_dependents) {
            "Foreground"
        } else {
            "Background"
        };
        let Ok(kind) = self.collection(id).map(|collection| collection.kind().name()) else { return };
        let options = DeleteOptions { propagation: Some(policy.to_owned()), ..DeleteOptions::default() };
        let namespace = (!namespace.is_empty()).then_some(namespace);
        // An object that is gone meanwhile needs no delete.
        let _ = self.delete(&kind, namespace, meta_str(&object, "name"), &options);
    }

    /// Completes what a deleted object waits for: orphans its dependents, or deletes them.
    fn look_at_owner(&mut self, id: u64, key: &str) {
        let Some(object) = self.object(id, key).filter(is_deleting) else { return };
        let uid = meta_str(&object, "uid");
        let dependents = self.dependents(uid);
        if finalizers(&object).contains(&ORPHAN) {
            for (id, key) in dependents {
                if let Some(object) = self.object(id, &key) {
                    self.disown(id, &key, object, &[uid]);
                }
            }
            self.finish(id, key, object.clone(), ORPHAN);
        } else if finalizers(&object).contains(&FOREGROUND) {
            let blocks = |(id, key): &(u64, String)| {
                let references = self.object(*id, key).map(|object| references(&object)).unwrap_or_default();
                references.iter().any(|one| one.uid == uid && one.blocks)
            };
            if !dependents.iter().any(blocks) {
                self.finish(id, key, object.clone(), FOREGROUND);
            }
        }
    }

    /// Removes references to these owners from an object.
    fn disown(&mut self, id: u64, key: &str, mut object: Value, owners: &[&str]) {
        if owners.is_empty() {
            return;
        }
        let metadata = metadata(&mut object);
        if let Some(Value::Array(references)) = metadata.get_mut("ownerReferences") {
            references.retain(|one| !one["uid"].as_str().is_some_and(|uid| owners.contains(&uid)));
            if references.is_empty() {
                metadata.remove("ownerReferences");
            }
        }
        // The kind is served, since the object exists.
        let _ = self.store(id, key, object);
    }

    /// Removes a finalizer from an object that is being deleted; with the last one, also the object.
    fn finish(&mut self, id: u64, key: &str, mut object: Value, finalizer: &str) {
        let left: Vec<&str> = finalizers(&object).into_iter().filter(|one| *one != finalizer).collect();
        if left.is_empty() {
            let Ok(kind) = self.collection(id).map(|collection| collection.kind().clone()) else { return };
            if let Some(old) = self.remove(id, key) {
                let _ = self.after_delete(&kind, &old);
            }
            return;
        }
        let left = json!(left);
        metadata(&mut object).insert("finalizers".into(), left);
        let _ = self.store(id, key, object);
    }

    /// The state of an owner for a dependent in that namespace (empty: at cluster scope).
    fn owner(&self, uid: &str, namespace: &str) -> Owner {
        let place = self.garbage.as_ref().and_then(|graph| graph.place(uid));
        let Some(owner) = place.and_then(|(id, key)| self.object(*id, key)) else { return Owner::Absent };
        let of_owner = meta_str(&owner, "namespace");
        if !of_owner.is_empty() && !namespace.is_empty() && of_owner != namespace {
            return Owner::Absent;
        }
        if is_deleting(&owner) && finalizers(&owner).contains(&FOREGROUND) {
            return Owner::Waiting;
        }
        Owner::There
    }

    fn dependents(&self, uid: &str) -> Vec<(u64, String)> {
        self.garbage.as_ref().map(|graph| graph.dependents(uid)).unwrap_or_default()
    }

    fn object(&self, id: u64, key: &str) -> Option<Value> {
        self.collection(id).ok()?.get(key).map(|object| object.value().clone())
    }
}
