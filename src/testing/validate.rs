//! Validates names, labels and the shape of objects, which kube-apiserver refuses with 400 or 422.

use serde_json::Value;

use super::kind::Kind;
use super::object::meta_str;
use super::status::{ApiStatus, StatusCause};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
     regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Decodes the body as an object of `kind`. Adds `apiVersion` and `kind` where a built-in kind may omit them.
pub(super) fn decode(kind: &Kind, body: &[u8]) -> Result<Value, ApiStatus> {
    let unrecognized = |why: &str| {
        ApiStatus::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why}",
            kind.kind()
        ))
    };
    let mut object: Value = serde_json::from_slice(body)
        .map_err(|_| unrecognized("couldn't get version/kind; json parse error"))?;
    let Some(members) = object.as_object_mut() else {
        return Err(unrecognized("couldn't get version/kind; json parse error: not an object"));
    };
    if !kind.is_custom() {
        members.entry("kind").or_insert_with(|| kind.kind().into());
        members.entry("apiVersion").or_insert_with(|| kind.api_version().into());
    } else if !members.contains_key("kind") {
        return Err(unrecognized("Object 'Kind' is missing"));
    }
    shape(kind, &object)?;
    Ok(object)
}

/// Refuses an object of another kind or version, or with invalid metadata.
pub(super) fn shape(kind: &Kind, object: &Value) -> Result<(), ApiStatus> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or("");
    let cannot = |why: &str| {
        ApiStatus::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {why}",
            text("kind"),
            kind.version(),
            kind.kind()
        ))
    };
    if text("apiVersion") != kind.api_version() {
        return Err(ApiStatus::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            text("apiVersion"),
            kind.api_version()
        )));
    }
    if text("kind") != kind.kind() {
        if !kind.is_custom() {
            return Err(cannot("no such kind"));
        }
        return Err(ApiStatus::invalid_as(
            kind.group(),
            text("kind"),
            meta_str(object, "name"),
            &[StatusCause {
                reason: "FieldValueInvalid",
                field: "kind",
                message: format!("Invalid value: {:?}: must be {}", text("kind"), kind.kind()),
            }],
        ));
    }
    let wrong = |value: &Value, field: &str| {
        cannot(&format!("json: cannot unmarshal {} into Go struct field {field}", type_name(value)))
    };
    if kind.is_core("ConfigMap")
        && let Some(data) = object.get("data").and_then(Value::as_object)
        && let Some(other) = data.values().find(|value| !value.is_string() && !value.is_null())
    {
        return Err(wrong(other, "ConfigMap.data of type string"));
    }
    if kind.is_core("Secret") {
        match object.get("stringData") {
            None | Some(Value::Null) => {}
            Some(Value::Object(texts)) => {
                if let Some(other) = texts.values().find(|value| !value.is_string() && !value.is_null()) {
                    return Err(wrong(other, "Secret.stringData of type string"));
                }
            }
            Some(other) => return Err(wrong(other, "Secret.stringData of type map[string]string")),
        }
    }
    let metadata = match object.get("metadata") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(metadata)) => metadata,
        Some(other) => return Err(wrong(other, "metadata of type ObjectMeta")),
    };
    for field in ["name", "generateName", "namespace", "uid", "resourceVersion"] {
        if let Some(other) = metadata.get(field).filter(|value| !value.is_string() && !value.is_null()) {
            return Err(wrong(other, &format!("ObjectMeta.{field} of type string")));
        }
    }
    for field in ["labels", "annotations"] {
        match metadata.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::Object(texts)) => {
                if let Some(other) = texts.values().find(|value| !value.is_string() && !value.is_null()) {
                    return Err(wrong(other, &format!("ObjectMeta.{field} of type string")));
                }
            }
            Some(other) => {
                return Err(wrong(other, &format!("ObjectMeta.{field} of type map[string]string")));
            }
        }
    }
    match metadata.get("finalizers") {
        None | Some(Value::Null) => {}
        Some(Value::Array(texts)) => {
            if let Some(other) = texts.iter().find(|value| !value.is_string()) {
                return Err(wrong(other, "ObjectMeta.finalizers of type string"));
            }
        }
        Some(other) => return Err(wrong(other, "ObjectMeta.finalizers of type []string")),
    }
    Ok(())
}

/// Validates name and labels. Lists the errors as the real server does: those of an update of a custom resource three
/// times, since three of its layers validate.
pub(super) fn metadata(kind: &Kind, object: &Value, update: bool) -> Result<(), ApiStatus> {
    let name = meta_str(object, "name");
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(StatusCause {
            reason: "FieldValueRequired",
            field: "metadata.name",
            message: "Required value: name or generateName is required".into(),
        });
    } else if let Some(why) = bad_name(kind, name) {
        causes.push(invalid("metadata.name", name, &why));
    }
    if let Some(labels) = object.pointer("/metadata/labels").and_then(Value::as_object) {
        for (key, value) in labels {
            if !is_qualified(key) {
                causes.push(invalid("metadata.labels", key, QUALIFIED));
            }
            let value = value.as_str().unwrap_or("");
            if value.len() > 63 {
                causes.push(invalid("metadata.labels", value, "must be no more than 63 characters"));
            } else if !value.is_empty() && !is_label_text(value) {
                causes.push(invalid("metadata.labels", value, LABEL_VALUE));
            }
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    if update && kind.is_custom() {
        causes = [causes.clone(), causes.clone(), causes].concat();
    }
    Err(ApiStatus::invalid(kind, name, &causes))
}

/// The refusal of an update. For a custom resource it has every error twice.
pub(super) fn invalid_update(kind: &Kind, name: &str, mut causes: Vec<StatusCause>) -> ApiStatus {
    if kind.is_custom() {
        causes.extend(causes.clone());
    }
    ApiStatus::invalid(kind, name, &causes)
}

fn invalid(field: &'static str, value: &str, why: &str) -> StatusCause {
    StatusCause { reason: "FieldValueInvalid", field, message: format!("Invalid value: {value:?}: {why}") }
}

fn bad_name(kind: &Kind, name: &str) -> Option<String> {
    if kind.is_core("Namespace") && name.contains('.') {
        return Some("must not contain dots".into());
    }
    if kind.is_core("Namespace") || kind.is_core("Service") {
        let good = name.len() <= 63 && is_dns_label(name);
        return (!good).then(|| {
            if name.len() > 63 { "must be no more than 63 characters".into() } else { LABEL.into() }
        });
    }
    if name.len() > 253 {
        return Some("must be no more than 253 characters".into());
    }
    (!name.split('.').all(is_dns_label)).then(|| SUBDOMAIN.into())
}

fn is_dns_label(text: &str) -> bool {
    let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    ends_with(text, good) && text.bytes().all(|c| good(c) || c == b'-')
}

fn is_label_text(text: &str) -> bool {
    let good = |c: u8| c.is_ascii_alphanumeric();
    text.len() <= 63 && ends_with(text, good) && text.bytes().all(|c| good(c) || b"-_.".contains(&c))
}

fn is_qualified(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => {
            prefix.len() <= 253 && prefix.split('.').all(is_dns_label) && is_label_text(name)
        }
        None => is_label_text(key),
    }
}

/// Why the name of a label in a selector is invalid; `None` if it is valid.
pub(super) fn bad_label_key(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            let form = QUALIFIED.replacen("name part", "a valid label key", 1);
            return Some(format!(
                "{form} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let mut faults = Vec::new();
    match prefix {
        Some("") => faults.push("prefix part must be non-empty".to_owned()),
        Some(prefix) if prefix.len() > 253 => {
            faults.push("prefix part must be no more than 253 bytes".to_owned())
        }
        Some(prefix) if !prefix.split('.').all(is_dns_label) => {
            faults.push(format!("prefix part {SUBDOMAIN}"))
        }
        _ => {}
    }
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_label_text(&name.chars().take(63).collect::<String>()) {
        faults.push(QUALIFIED.to_owned());
    }
    (!faults.is_empty()).then(|| faults.join("; "))
}

/// Why the value of a label in a selector is invalid; `None` if it is valid.
pub(super) fn bad_label_value(value: &str) -> Option<&'static str> {
    match value {
        "" => None,
        long if long.len() > 63 => Some("must be no more than 63 bytes"),
        value => (!is_label_text(value)).then_some(LABEL_VALUE),
    }
}

fn ends_with(text: &str, good: impl Fn(u8) -> bool) -> bool {
    text.bytes().next().is_some_and(&good) && text.bytes().next_back().is_some_and(good)
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
