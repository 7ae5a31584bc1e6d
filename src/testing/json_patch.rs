//! JSON patches (RFC 6902), as kube-apiserver applies them.
//!
//! The library of kube-apiserver accepts what the RFC forbids: an absent member of an object equals `null` in a test,
//! and can be replaced and copied; a negative index counts from the end of an array.

use serde_json::Value;

use super::status::ApiStatus;
use super::validate::type_name;

/// One operation. An absent value is `null`.
#[derive(Debug)]
pub(super) struct Operation {
    op: String,
    path: Option<String>,
    from: Option<String>,
    value: Value,
}

/// The operations in the body of a request.
pub(super) fn parse(patch: Value) -> Result<Vec<Operation>, ApiStatus> {
    match patch {
        Value::Array(operations) => operations.into_iter().map(operation).collect(),
        other => Err(undecodable(&other, "value of type []handlers.jsonPatchOp")),
    }
}

/// Applies the operations in turn. After an error, `document` may be changed in part.
pub(super) fn apply(document: &mut Value, patch: &[Operation]) -> Result<(), ApiStatus> {
    patch.iter().try_for_each(|operation| apply_one(document, operation).ok_or_else(ApiStatus::invalid_patch))
}

fn operation(operation: Value) -> Result<Operation, ApiStatus> {
    let mut members = match operation {
        Value::Object(members) => members,
        Value::Null => serde_json::Map::new(),
        other => return Err(undecodable(&other, "value of type handlers.jsonPatchOp")),
    };
    let mut text = |name: &str| match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(undecodable(&other, &format!("struct field jsonPatchOp.{name} of type string"))),
    };
    let (op, path, from) = (text("op")?.unwrap_or_default(), text("path")?, text("from")?);
    Ok(Operation { op, path, from, value: members.remove("value").unwrap_or_default() })
}

fn undecodable(value: &Value, of_go: &str) -> ApiStatus {
    ApiStatus::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {} into Go {of_go}",
        type_name(value)
    ))
}

/// Returns `None` if the operation does not apply.
fn apply_one(document: &mut Value, operation: &Operation) -> Option<()> {
    let path = operation.path.as_deref()?;
    match operation.op.as_str() {
        "add" => add(document, path, operation.value.clone()),
        "remove" => remove(document, path).map(drop),
        "replace" => replace(document, path, operation.value.clone()),
        "test" => (get(document, path)? == operation.value).then_some(()),
        "copy" => {
            let value = get(document, operation.from.as_deref().filter(|from| !from.is_empty())?)?;
            add(document, path, value)
        }
        "move" => {
            let value = remove(document, operation.from.as_deref()?)?;
            add(document, path, value)
        }
        _ => None,
    }
}

/// The value at `path`; `null` for an absent member of an object that exists.
fn get(document: &mut Value, path: &str) -> Option<Value> {
    if path.is_empty() {
        return Some(document.clone());
    }
    match parent(document, path)? {
        (Value::Object(members), key) => Some(members.get(&key).cloned().unwrap_or_default()),
        (Value::Array(items), key) => items.get(index(&key, items.len())?).cloned(),
        _ => None,
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Option<()> {
    match parent(document, path)? {
        (Value::Object(members), key) => {
            members.insert(key, value);
        }
        (Value::Array(items), key) => {
            // There is one more place than items, and `-1` means that place.
            let at = if key == "-" { items.len() } else { index(&key, items.len() + 1)? };
            if at > items.len() {
                return None;
            }
            items.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(document: &mut Value, path: &str) -> Option<Value> {
    match parent(document, path)? {
        (Value::Object(members), key) => members.remove(&key),
        (Value::Array(items), key) => {
            let at = index(&key, items.len())?;
            (at < items.len()).then(|| items.remove(at))
        }
        _ => None,
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *document = Some(value).filter(|value| value.is_object() || value.is_array())?;
        return Some(());
    }
    match parent(document, path)? {
        (Value::Object(members), key) => {
            members.insert(key, value);
        }
        (Value::Array(items), key) => {
            let at = index(&key, items.len())?;
            *items.get_mut(at)? = value;
        }
        _ => return None,
    }
    Some(())
}

/// The object or array that contains the last part of `path`, and that part.
fn parent<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (_, path) = path.split_once('/')?;
    let mut parts = path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
    let last = parts.next_back()?;
    let mut at = document;
    for part in parts {
        at = match at {
            Value::Object(members) => members.get_mut(&part)?,
            Value::Array(items) => {
                let index = index(&part, items.len())?;
                items.get_mut(index)?
            }
            _ => return None,
        };
    }
    Some((at, last))
}

/// An index into an array of `len` elements. It may be beyond the end.
fn index(key: &str, len: usize) -> Option<usize> {
    let index: i64 = key.parse().ok()?;
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { len.checked_sub(from_end) } else { Some(from_end) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(document: Value, patch: Value) -> Option<Value> {
        let mut document = document;
        let patch = parse(patch).unwrap();
        apply(&mut document, &patch).ok().map(|()| document)
    }

    #[test]
    fn indexes_count_from_either_end() {
        let list = || json!({ "l": [1, 2, 3] });
        let one = |op: &str, path: &str| patched(list(), json!([{ "op": op, "path": path, "value": 9 }]));
        assert_eq!(one("add", "/l/-1"), Some(json!({ "l": [1, 2, 3, 9] })));
        assert_eq!(one("add", "/l/-4"), Some(json!({ "l": [9, 1, 2, 3] })));
        assert_eq!(one("add", "/l/-5"), None);
        assert_eq!(one("add", "/l/4"), None);
        assert_eq!(one("remove", "/l/-1"), Some(json!({ "l": [1, 2] })));
        assert_eq!(one("replace", "/l/-3"), Some(json!({ "l": [9, 2, 3] })));
        assert_eq!(one("replace", "/l/3"), None);
        assert_eq!(one("replace", "/l/-"), None);
    }

    #[test]
    fn slashes_and_tildes_are_escaped() {
        let found =
            patched(json!({ "a/b": { "m~1n": 1 } }), json!([{ "op": "remove", "path": "/a~1b/m~01n" }]));
        assert_eq!(found, Some(json!({ "a/b": {} })));
    }
}
