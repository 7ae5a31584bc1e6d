//! Which object owns which, and the objects to check after a write.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde_json::Value;

use super::owners::references;
use crate::testing::finalizers::is_deleting;
use crate::testing::object::meta_str;

/// An object, by its collection and key.
type Place = (u64, String);

#[derive(Debug)]
pub(super) enum Task {
    /// An object whose owners may be gone.
    Dependent(u64, String),
    /// A deleted object that may wait for its dependents.
    Owner(u64, String),
}

/// The objects by uid, and the dependents of each uid, even if no object has that uid.
#[derive(Debug, Default)]
pub(in crate::testing) struct Graph {
    places: HashMap<String, Place>,
    dependents: HashMap<String, BTreeSet<Place>>,
    tasks: VecDeque<Task>,
    busy: bool,
}

impl Graph {
    /// Records a write. `None` stands for an object that did not exist before, or does not exist after.
    pub(in crate::testing) fn changed(
        &mut self,
        id: u64,
        key: &str,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        let place = (id, key.to_owned());
        for one in old.map(references).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&one.uid) {
                dependents.remove(&place);
                if dependents.is_empty() {
                    self.dependents.remove(&one.uid);
                }
            }
            self.tasks.extend(self.places.get(&one.uid).map(|(id, key)| Task::Owner(*id, key.clone())));
        }
        if let Some(old) = old {
            self.places.remove(meta_str(old, "uid"));
        }
        if let Some(new) = new {
            self.places.insert(meta_str(new, "uid").to_owned(), place.clone());
            for one in references(new) {
                self.dependents.entry(one.uid).or_default().insert(place.clone());
            }
            self.tasks.push_back(Task::Dependent(id, key.to_owned()));
        }
        // Each dependent has one owner less, or one that waits.
        if let Some(object) = new.or(old).filter(|_| new.is_none_or(is_deleting)) {
            let dependents = self.dependents(meta_str(object, "uid"));
            self.tasks.extend(dependents.into_iter().map(|(id, key)| Task::Dependent(id, key)));
            self.tasks.push_back(Task::Owner(id, key.to_owned()));
        }
    }

    pub(super) fn place(&self, uid: &str) -> Option<&Place> {
        self.places.get(uid)
    }

    pub(super) fn dependents(&self, uid: &str) -> Vec<Place> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Begins to process the tasks. Returns false if they are already being processed.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.busy, true)
    }

    pub(super) fn next(&mut self) -> Option<Task> {
        self.tasks.pop_front()
    }

    pub(super) fn end(&mut self) {
        self.busy = false;
    }
}
