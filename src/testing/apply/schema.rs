//! How the parts of an object are merged: member by member, item by item, or as a whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The type of a value, as far as a merge depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::testing) enum Schema {
    /// Objects with named fields. Values of other types are merged as a whole.
    Fields { named: BTreeMap<String, Schema>, others: Others },
    /// An object with members of one type by any name.
    Map(Box<Schema>),
    /// A list whose items are found by keys.
    Keyed { keys: Vec<Key>, items: Box<Schema> },
    /// A list of unique values.
    Set,
    /// A value that is replaced as a whole.
    Atomic,
}

/// The meaning of a field that the schema does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testing) enum Others {
    /// A field like the named ones: the table of built-in kinds names only what differs from [`PLAIN`].
    Fields,
    /// A member of a map. No schema describes it or its content.
    Undescribed,
}

/// A field that identifies an item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::testing) struct Key {
    pub(super) name: String,
    /// The value that it has in an item without it.
    pub(super) default: Option<Value>,
}

/// A field of a built-in kind with nothing special below it.
pub(super) static PLAIN: Schema = Schema::Fields { named: BTreeMap::new(), others: Others::Fields };
/// A value that no schema describes: objects are maps, lists are replaced as a whole.
pub(super) static UNDESCRIBED: Schema =
    Schema::Fields { named: BTreeMap::new(), others: Others::Undescribed };

/// A value, as its schema interprets it.
pub(super) enum Seen<'a> {
    /// Merged member by member.
    Members(&'a Map<String, Value>),
    /// Merged item by item.
    Items(&'a [Value]),
    Whole,
}

impl Schema {
    pub(super) fn see<'a>(&self, value: &'a Value) -> Seen<'a> {
        match (self, value) {
            (Self::Fields { .. } | Self::Map(_), Value::Object(members)) => Seen::Members(members),
            (Self::Keyed { .. } | Self::Set, Value::Array(items)) => Seen::Items(items),
            _ => Seen::Whole,
        }
    }

    /// The schema of a member, and whether it is a named field.
    pub(super) fn member(&self, name: &str) -> (&Self, bool) {
        match self {
            Self::Fields { named, others } => match (named.get(name), others) {
                (Some(field), _) => (field, true),
                (None, Others::Fields) => (&PLAIN, true),
                (None, Others::Undescribed) => (&UNDESCRIBED, false),
            },
            Self::Map(members) => (members, false),
            _ => (&UNDESCRIBED, false),
        }
    }

    pub(super) fn item(&self) -> &Self {
        match self {
            Self::Keyed { items, .. } => items,
            _ => &UNDESCRIBED,
        }
    }

    /// As [`member`](Schema::member) or [`item`](Schema::item), by the element of a path.
    pub(super) fn element(&self, element: &str) -> (&Self, bool) {
        match element.strip_prefix("f:") {
            Some(name) => self.member(name),
            None => (self.item(), false),
        }
    }

    /// The path element for an item of a list. `None` for an item without any key.
    pub(super) fn item_element(&self, item: &Value) -> Option<String> {
        let Self::Keyed { keys, .. } = self else {
            return (!item.is_object() && !item.is_array()).then(|| format!("v:{item}"));
        };
        let found: Map<String, Value> = keys
            .iter()
            .filter_map(|key| {
                let value = item.get(&key.name).or(key.default.as_ref())?;
                Some((key.name.clone(), value.clone()))
            })
            .collect();
        (item.is_object() && !found.is_empty()).then(|| format!("k:{}", Value::Object(found)))
    }
}
