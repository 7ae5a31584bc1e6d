//! The lists of an applied object: each item has a key that no other item has.

use serde_json::Value;

use super::schema::{Schema, Seen};

/// The first error, with its path: an item without a key, or two items with the same key.
pub(super) fn check(value: &Value, schema: &Schema) -> Result<(), String> {
    walk(value, schema, "")
}

fn walk(value: &Value, schema: &Schema, path: &str) -> Result<(), String> {
    match schema.see(value) {
        Seen::Whole => Ok(()),
        Seen::Members(members) => members
            .iter()
            .try_for_each(|(name, member)| walk(member, schema.member(name).0, &format!("{path}.{name}"))),
        Seen::Items(items) => {
            let mut seen = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let element = schema.item_element(item).ok_or_else(|| {
                    format!("{path}: element {index}: an item of this list must have a key and be no list")
                })?;
                let shown = super::field_set::shown(&element);
                if seen.contains(&element) {
                    return Err(format!("{path}: duplicate entries for key {shown}"));
                }
                walk(item, schema.item(), &format!("{path}{shown}"))?;
                seen.push(element);
            }
            Ok(())
        }
    }
}
