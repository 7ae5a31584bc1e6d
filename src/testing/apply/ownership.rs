//! How a write changes the ownership of fields.

use std::sync::Arc;

use serde_json::{Value, json};

use super::compare::compare;
use super::conflict;
use super::field_set::FieldSet;
use super::fields::fields;
use super::managers::{Manager, Managers, Owned};
use super::merge::{merge, without};
use super::schema::Schema;
use crate::testing::kind::Kind;
use crate::testing::status::ApiStatus;

/// Fields that the server maintains, and that no manager owns.
const UNOWNED: [&[&str]; 12] = [
    &["f:apiVersion"],
    &["f:kind"],
    &["f:metadata", "f:name"],
    &["f:metadata", "f:namespace"],
    &["f:metadata", "f:creationTimestamp"],
    &["f:metadata", "f:deletionTimestamp"],
    &["f:metadata", "f:deletionGracePeriodSeconds"],
    &["f:metadata", "f:selfLink"],
    &["f:metadata", "f:uid"],
    &["f:metadata", "f:generation"],
    &["f:metadata", "f:managedFields"],
    &["f:metadata", "f:resourceVersion"],
];
/// The manager of the existing fields when an object without managers gets its first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// A writer, and the part of the object that it may write.
#[derive(Clone, Copy)]
pub(in crate::testing) struct Writer<'a> {
    pub(super) kind: &'a Kind,
    pub(super) manager: &'a str,
    pub(super) status: bool,
    pub(super) now: &'a str,
}

impl<'a> Writer<'a> {
    pub(in crate::testing) fn new(kind: &'a Kind, manager: &'a str, status: bool, now: &'a str) -> Self {
        Self { kind, manager, status, now }
    }

    /// The managers after this writer has changed `old` to `new`. For a creation, `old` is null.
    pub(in crate::testing) fn update(&self, old: &Value, new: &Value, mut managers: Managers) -> Managers {
        let empty;
        let old = match old {
            Value::Null => {
                empty = self.empty(new);
                &empty
            }
            old => old,
        };
        let found = compare(old, new, self.schema());
        let written = self.own(&found.added.union(&found.modified));
        let removed = self.writable(&found.removed);
        let id = self.id(false);
        managers.take(&written, &id);
        managers.0.values_mut().for_each(|owned| owned.lose(&removed));
        if !written.is_empty() {
            let owned = managers.0.entry(id).or_default();
            owned.gain(&written);
            owned.time = Some(self.now.to_owned());
        }
        managers.drop_empty();
        managers
    }

    /// The object and its managers after this writer has applied `applied`. For a creation, `live` is null.
    pub(in crate::testing) fn apply(
        &self,
        live: &Value,
        applied: &Value,
        managers: &Managers,
        force: bool,
    ) -> Result<(Value, Managers), ApiStatus> {
        let mut managers = managers.clone();
        if managers.is_empty() && !live.is_null() {
            let before = Self { manager: BEFORE_FIRST_APPLY, ..*self };
            managers = before.update(&Value::Null, live, managers);
        }
        let empty = json!({ "apiVersion": applied["apiVersion"], "kind": applied["kind"] });
        let live = if live.is_null() { &empty } else { live };
        let id = self.id(true);
        let last = managers.0.remove(&id);
        let time = last.as_ref().and_then(|last| last.time.clone());
        let applies = self.writable(&fields(applied, self.schema()));
        let owned = Owned { fields: Arc::new(applies), time };
        managers.0.insert(id.clone(), owned);
        let mut new = merge(live, applied, self.schema());
        if let Some(last) = last {
            new = self.prune(&new, &managers, &last.fields);
            if !self.kind.is_custom() {
                drop_nulls(&mut new);
            }
        }
        let found = compare(live, &new, self.schema());
        let written = self.writable(&found.added.union(&found.modified));
        if !force {
            conflict::check(&managers, &id, &written)?;
        }
        managers.take(&written.union(&self.writable(&found.removed)), &id);
        if let Some(owned) = managers.0.get_mut(&id) {
            owned.fields = Arc::new(self.own(&owned.fields));
            if new != *live {
                owned.time = Some(self.now.to_owned());
            }
        }
        managers.drop_empty();
        Ok((new, managers))
    }

    /// `merged` without the fields that this manager applied the last time and that no manager owns now.
    fn prune(&self, merged: &Value, managers: &Managers, last: &FieldSet) -> Value {
        let schema = self.schema();
        let named = |value: &Value| fields(value, schema).with_named(schema);
        let remove = |value: &Value, gone: &FieldSet| without(value, gone, schema).unwrap_or(json!({}));
        let last = last.with_named(schema);
        let all = named(merged);
        let owned = managers.0.values().fold(FieldSet::default(), |all, owned| all.union(&owned.fields));
        // First remove everything that was applied. Then restore what others own, with the fields above it, and what is
        // below a removed field and never belonged to this manager.
        let left = named(&remove(merged, &last));
        let left = named(&remove(merged, &all.difference(&left.union(&owned.with_named(schema)))));
        remove(merged, &all.difference(&left).intersection(&last))
    }

    fn id(&self, applies: bool) -> Manager {
        let subresource = if self.status { "status" } else { "" };
        Manager { applies, name: self.manager.to_owned(), api_version: self.kind.api_version(), subresource }
    }

    fn schema(&self) -> &'a Schema {
        self.kind.schema()
    }

    /// The fields that a write by this writer can change.
    fn writable(&self, fields: &FieldSet) -> FieldSet {
        let mut fields = fields.clone();
        if self.status {
            fields.remove_tree(&["f:spec"]);
            if self.kind.is_custom() {
                fields.remove_tree(&["f:metadata"]);
            }
        } else if self.kind.has_status() {
            fields.remove_tree(&["f:status"]);
        }
        fields
    }

    /// The fields that a manager can own.
    fn own(&self, fields: &FieldSet) -> FieldSet {
        let mut unowned = FieldSet::default();
        UNOWNED.iter().for_each(|path| unowned.insert(path));
        unowned.insert(&["f:metadata"]);
        self.writable(fields).difference(&unowned)
    }

    /// The object with which a creation is compared: the parts that an object of a built-in kind has in Go even when
    /// empty.
    fn empty(&self, new: &Value) -> Value {
        const PARTS: [(&str, &str); 7] = [
            ("", "spec"),
            ("", "status"),
            ("/spec", "containers"),
            ("/spec", "template"),
            ("/spec/template", "metadata"),
            ("/spec/template", "spec"),
            ("/spec/template/spec", "containers"),
        ];
        let mut empty = json!({ "metadata": {} });
        for (parent, name) in PARTS.into_iter().filter(|_| !self.kind.is_custom()) {
            let part = match new.pointer(parent).and_then(|parent| parent.get(name)) {
                Some(Value::Object(_)) => json!({}),
                Some(Value::Array(_)) => Value::Null,
                _ => continue,
            };
            if let Some(Value::Object(parent)) = empty.pointer_mut(parent) {
                parent.insert(name.to_owned(), part);
            }
        }
        empty
    }
}

/// Removes nulls, as decoding into a Go type does, except in `data`: there a null is an empty text.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.iter_mut().filter(|(name, _)| *name != "data").for_each(|(_, member)| drop_nulls(member));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
