//! One version of one object, and its wire forms, each serialised at most once.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

/// The form of an object in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// With `apiVersion` and `kind`.
    Full,
    /// Without them: list items of built-in kinds.
    Bare,
    /// `PartialObjectMetadata`.
    Partial,
}

/// An immutable version of an object. Watchers, pages and the store share it.
#[derive(Debug)]
pub(super) struct Version {
    version: u64,
    value: Value,
    full: OnceLock<Bytes>,
    bare: OnceLock<Bytes>,
    partial: OnceLock<Bytes>,
}

impl Version {
    /// `value` must have `version` as its `metadata.resourceVersion`, unless its kind has none.
    pub(super) fn new(version: u64, value: Value) -> Self {
        Self { version, value, full: OnceLock::new(), bare: OnceLock::new(), partial: OnceLock::new() }
    }

    /// The same content with another resourceVersion, for a DELETED event.
    pub(super) fn at(&self, version: u64) -> Self {
        let mut value = self.value.clone();
        if !meta_str(&value, "resourceVersion").is_empty() {
            metadata(&mut value).insert("resourceVersion".into(), json!(version.to_string()));
        }
        Self::new(version, value)
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn name(&self) -> &str {
        meta_str(&self.value, "name")
    }

    pub(super) fn uid(&self) -> &str {
        meta_str(&self.value, "uid")
    }

    /// The JSON text in `form`. The first call serialises, later ones increment a reference count.
    pub(super) fn bytes(&self, form: Form) -> Bytes {
        match form {
            Form::Full => self.full.get_or_init(|| to_bytes(&self.value)),
            Form::Bare => self.bare.get_or_init(|| to_bytes(&Untyped(&self.value))),
            Form::Partial => self.partial.get_or_init(|| {
                let metadata = self.value.get("metadata");
                to_bytes(&json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                }))
            }),
        }
        .clone()
    }
}

/// A string of the metadata; empty if it is absent or of another type.
pub(super) fn meta_str<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or("")
}

/// The metadata of an object; created if it is missing or not an object.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    let slot = child(object, "metadata");
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    map(slot)
}

/// The members of `value`, which is replaced by an empty object if it is not an object.
pub(super) fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

pub(super) fn to_bytes(value: &impl Serialize) -> Bytes {
    // All keys of a JSON value are strings, so writing it cannot fail.
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn child<'a>(object: &'a mut Value, field: &str) -> &'a mut Value {
    map(object).entry(field).or_insert(Value::Null)
}

struct Untyped<'a>(&'a Value);

impl Serialize for Untyped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        for (field, value) in self.0.as_object().into_iter().flatten() {
            if field != "apiVersion" && field != "kind" {
                out.serialize_entry(field, value)?;
            }
        }
        out.end()
    }
}
