//! Merge patches (RFC 7386).

use serde_json::Value;

use super::object::map;

/// Applies `patch`: `null` removes a member, an object merges with one, anything else replaces.
pub(super) fn apply(document: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *document = patch;
        return;
    };
    let members = map(document);
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            apply(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_merges_objects_and_replaces_all_else() {
        let mut document = json!({ "a": { "b": 1, "c": 2 }, "l": [1], "s": "x" });
        apply(&mut document, json!({ "a": { "b": null, "d": { "e": null } }, "l": [], "s": { "n": 1 } }));
        assert_eq!(document, json!({ "a": { "c": 2, "d": {} }, "l": [], "s": { "n": 1 } }));
    }
}
