//! The schema of a custom resource, as its definition declares it.

use serde_json::Value;

use super::built_in;
use super::schema::{Key, Others, Schema, UNDESCRIBED};

/// Made from `openAPIV3Schema`. Fields that it does not describe are stored too, and merged as in a kind
/// without a schema.
pub(in crate::testing) fn schema(described: Option<&Value>) -> Schema {
    let mut schema = described.map_or_else(|| UNDESCRIBED.clone(), object);
    if let Schema::Fields { named, .. } = &mut schema {
        named.extend(built_in::head());
    }
    schema
}

fn of(described: &Value) -> Schema {
    let text = |name: &str| described.get(name).and_then(Value::as_str).unwrap_or_default();
    match (text("type"), text("x-kubernetes-list-type"), text("x-kubernetes-map-type")) {
        ("array", "map", _) => keyed(described),
        ("array", "set", _) => Schema::Set,
        ("array", ..) | (.., "atomic") => Schema::Atomic,
        _ => object(described),
    }
}

fn object(described: &Value) -> Schema {
    if let Some(members) = described.get("additionalProperties").filter(|members| members.is_object()) {
        return Schema::Map(Box::new(of(members)));
    }
    let properties = described.get("properties").and_then(Value::as_object);
    let named = properties.into_iter().flatten().map(|(name, field)| (name.clone(), of(field))).collect();
    Schema::Fields { named, others: Others::Undescribed }
}

fn keyed(described: &Value) -> Schema {
    let items = described.get("items").unwrap_or(&Value::Null);
    let names = described.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let keys = names.into_iter().flatten().filter_map(Value::as_str).map(|name| Key {
        name: name.to_owned(),
        default: items.pointer(&format!("/properties/{name}/default")).cloned(),
    });
    Schema::Keyed { keys: keys.collect(), items: Box::new(of(items)) }
}
