//! Merges an applied object into the stored object.

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::schema::{Schema, Seen};

/// Everything that is in either object. If both have a value that is merged as a whole, that of `applied`.
pub(super) fn merge(live: &Value, applied: &Value, schema: &Schema) -> Value {
    match (schema.see(live), schema.see(applied)) {
        (Seen::Members(live), Seen::Members(applied)) => {
            let mut merged = live.clone();
            for (name, value) in applied {
                let value = match live.get(name) {
                    Some(live) => merge(live, value, schema.member(name).0),
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Seen::Items(live), Seen::Items(applied)) => Value::Array(merge_items(live, applied, schema)),
        // A null beside a value with parts counts as absent.
        (Seen::Members(_) | Seen::Items(_), Seen::Whole) if applied.is_null() => live.clone(),
        _ => applied.clone(),
    }
}

/// The items of both lists: those of `applied` in its order, and each other one after the items that preceded it.
fn merge_items(live: &[Value], applied: &[Value], schema: &Schema) -> Vec<Value> {
    let keyed = |items: &[Value]| -> Vec<(Option<String>, Value)> {
        items.iter().map(|item| (schema.item_element(item), item.clone())).collect()
    };
    let (live, applied) = (keyed(live), keyed(applied));
    let in_applied =
        |key: &Option<String>| key.is_some() && applied.iter().any(|(applied, _)| applied == key);
    let in_live = |key: &Option<String>| live.iter().find(|(live, _)| key.is_some() && live == key);
    let mut shared = applied.iter().map(|(key, _)| key).filter(|key| in_live(key).is_some()).peekable();
    let mut rest = live.iter().peekable();
    let mut merged = Vec::new();
    for (key, item) in &applied {
        // A shared item that is not the next one has moved: it gets its position in `applied`.
        while let Some((live, value)) =
            rest.next_if(|(live, _)| !in_applied(live) || shared.peek().is_none_or(|next| *next != live))
        {
            if !in_applied(live) {
                merged.push(value.clone());
            }
        }
        merged.push(match in_live(key) {
            Some((_, live)) => merge(live, item, schema.item()),
            None => item.clone(),
        });
        if shared.next_if(|next| *next == key).is_some() {
            rest.next_if(|(live, _)| live == key);
        }
    }
    merged.extend(rest.filter(|(live, _)| !in_applied(live)).map(|(_, value)| value.clone()));
    merged
}

/// `value` without the fields of a set; `None` if nothing is left.
pub(super) fn without(value: &Value, fields: &FieldSet, schema: &Schema) -> Option<Value> {
    match schema.see(value) {
        Seen::Whole => Some(value.clone()),
        Seen::Members(members) if members.is_empty() => Some(value.clone()),
        Seen::Members(members) => {
            let mut left = Map::new();
            for (name, member) in members {
                let element = format!("f:{name}");
                if fields.has(&element) {
                    continue;
                }
                // On a real server, a value that is emptied but not removed itself becomes null.
                let member = match fields.below(&element) {
                    Some(below) => without(member, below, schema.member(name).0).unwrap_or_default(),
                    None => member.clone(),
                };
                left.insert(name.clone(), member);
            }
            (!left.is_empty()).then_some(Value::Object(left))
        }
        Seen::Items(items) => {
            let left: Vec<Value> = items
                .iter()
                .filter_map(|item| {
                    let Some(element) = schema.item_element(item) else { return Some(item.clone()) };
                    match fields.below(&element) {
                        _ if fields.has(&element) => None,
                        Some(below) => without(item, below, schema.item()),
                        None => Some(item.clone()),
                    }
                })
                .collect();
            (!left.is_empty()).then_some(Value::Array(left))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(live: &[&str], applied: &[&str]) -> String {
        let merged = merge(&json!(live), &json!(applied), &Schema::Set);
        merged.as_array().unwrap().iter().filter_map(Value::as_str).collect()
    }

    #[test]
    fn items_keep_their_order_as_far_as_the_applied_one_allows() {
        assert_eq!(order(&["a", "b", "c"], &["d"]), "abcd");
        assert_eq!(order(&["a", "b", "c"], &["b"]), "abc");
        assert_eq!(order(&["a", "b", "c"], &["c", "a"]), "bca");
        assert_eq!(order(&["a", "b", "c"], &["c", "x", "b"]), "acxb");
        assert_eq!(order(&["a", "x", "b"], &["b", "a"]), "xba");
        assert_eq!(order(&[], &["b", "a"]), "ba");
    }
}
