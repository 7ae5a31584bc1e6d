//! The fields of an object.

use serde_json::Value;

use super::field_set::FieldSet;
use super::schema::{Schema, Seen};

/// The paths of all values in `value` that are merged as a whole, and of the members of maps and the items of lists.
pub(super) fn fields(value: &Value, schema: &Schema) -> FieldSet {
    let mut set = FieldSet::default();
    collect(value, schema, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, schema: &Schema, path: &mut Vec<String>, set: &mut FieldSet) {
    match schema.see(value) {
        Seen::Whole => set.insert(path),
        Seen::Members(members) => {
            for (name, member) in members {
                let (inner, named) = schema.member(name);
                path.push(format!("f:{name}"));
                collect(member, inner, path, set);
                if !named || member.as_object().is_some_and(serde_json::Map::is_empty) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Seen::Items(items) => {
            for item in items {
                let Some(element) = schema.item_element(item) else { continue };
                path.push(element);
                collect(item, schema.item(), path, set);
                set.insert(path);
                path.pop();
            }
        }
    }
}
