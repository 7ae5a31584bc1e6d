//! Which manager owns which fields of an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::field_set::FieldSet;
use super::ownership::Writer;
use crate::testing::kind::Kind;

/// The managers of an object, with the fields of each.
#[derive(Clone, Debug, Default)]
pub(in crate::testing) struct Managers(pub(super) BTreeMap<Manager, Owned>);

/// What the server knows of the managers of a stored object.
#[derive(Clone, Debug)]
pub(in crate::testing) enum Tracked {
    /// The object is as this manager created it, at this time, so the manager owns all its fields.
    Created {
        manager: String,
        time: String,
    },
    Known(Managers),
}

/// An owner of fields: the name alone does not identify it, since apply and update, and each subresource,
/// have owners of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::testing) struct Manager {
    pub(super) applies: bool,
    pub(super) name: String,
    pub(super) api_version: String,
    pub(super) subresource: &'static str,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Owned {
    /// Shared by the versions of an object between which it does not change.
    pub(super) fields: Arc<FieldSet>,
    /// When the manager last changed the object; None if it never did.
    pub(super) time: Option<String>,
}

impl Managers {
    pub(in crate::testing) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both have the same managers with the same fields; the times may differ.
    pub(in crate::testing) fn agree(&self, other: &Self) -> bool {
        let fields = |owned: &Owned, other: &Owned| owned.fields == other.fields;
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|((a, x), (b, y))| a == b && fields(x, y))
    }

    /// `metadata.managedFields`.
    pub(in crate::testing) fn to_value(&self) -> Value {
        let mut entries: Vec<(&Manager, &Owned)> = self.0.iter().collect();
        entries.sort_by_key(|(manager, owned)| (!manager.applies, owned.time.as_deref(), *manager));
        entries.into_iter().map(|(manager, owned)| entry(manager, owned)).collect()
    }

    /// Removes fields from all managers except one.
    pub(super) fn take(&mut self, fields: &FieldSet, but: &Manager) {
        for (_, owned) in self.0.iter_mut().filter(|(manager, _)| *manager != but) {
            owned.lose(fields);
        }
        self.drop_empty();
    }

    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|_, owned| !owned.fields.is_empty());
    }
}

impl Owned {
    pub(super) fn lose(&mut self, fields: &FieldSet) {
        if self.fields.meets(fields) {
            self.fields = Arc::new(self.fields.difference(fields));
        }
    }

    pub(super) fn gain(&mut self, fields: &FieldSet) {
        if !self.fields.contains(fields) {
            self.fields = Arc::new(self.fields.union(fields));
        }
    }
}

impl Tracked {
    /// The managers; computed from the object if nothing else is known.
    pub(in crate::testing) fn managers(&self, kind: &Kind, object: &Value) -> Managers {
        match self {
            Self::Created { manager, time } => {
                Writer::new(kind, manager, false, time).update(&Value::Null, object, Managers::default())
            }
            Self::Known(managers) => managers.clone(),
        }
    }
}

impl Manager {
    /// Its name in conflicts.
    pub(super) fn shown(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.applies {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

fn entry(manager: &Manager, owned: &Owned) -> Value {
    let mut entry = json!({
        "manager": manager.name, "operation": if manager.applies { "Apply" } else { "Update" },
        "apiVersion": manager.api_version, "fieldsType": "FieldsV1", "fieldsV1": owned.fields.to_value(),
    });
    if let Some(time) = &owned.time {
        entry["time"] = json!(time);
    }
    if !manager.subresource.is_empty() {
        entry["subresource"] = json!(manager.subresource);
    }
    entry
}
