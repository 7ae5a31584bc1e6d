//! Changes that kube-apiserver makes to objects of its own kinds when they are written.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::object::{map, meta_str, metadata};

/// Sets what each created object has, whatever the client sent.
pub(super) fn on_create(kind: &Kind, object: &mut Value) {
    if kind.is_core("Namespace") {
        let name = meta_str(object, "name").to_owned();
        let labels = metadata(object).entry("labels").or_insert_with(|| json!({}));
        map(labels).insert("kubernetes.io/metadata.name".into(), json!(name));
        map(object).insert("spec".into(), json!({ "finalizers": ["kubernetes"] }));
        map(object).insert("status".into(), json!({ "phase": "Active" }));
    } else if kind.is_core("Pod") {
        map(object).insert("status".into(), json!({ "phase": "Pending", "qosClass": "BestEffort" }));
    } else if kind.has_status() && !kind.is_core("Node") {
        map(object).remove("status");
    }
}

/// Changes an object as every write does.
pub(super) fn on_write(kind: &Kind, object: &mut Value) {
    if kind.is_custom() {
        return;
    }
    if kind.is_core("Secret") {
        encode_texts(object);
    }
    // In Go, a null in a map of texts is an empty text.
    for pointer in ["/data", "/metadata/labels", "/metadata/annotations"] {
        let texts = object.pointer_mut(pointer).and_then(Value::as_object_mut);
        texts.into_iter().flat_map(Map::values_mut).filter(|text| text.is_null()).for_each(|text| {
            *text = json!("");
        });
    }
    drop_empty(map(object), &["data", "binaryData"]);
    drop_empty(metadata(object), &["labels", "annotations", "finalizers", "ownerReferences"]);
}

/// Removes empty members, which Go omits.
fn drop_empty(members: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        let value = members.get(*name);
        if value.is_some_and(|value| *value == json!({}) || *value == json!([])) {
            members.remove(*name);
        }
    }
}

/// Moves the `stringData` of a Secret into its `data`.
fn encode_texts(secret: &mut Value) {
    let Some(Value::Object(texts)) = map(secret).remove("stringData") else { return };
    if texts.is_empty() {
        return;
    }
    let data = map(map(secret).entry("data").or_insert_with(|| json!({})));
    for (name, text) in texts {
        data.insert(name, json!(BASE64_STANDARD.encode(text.as_str().unwrap_or_default())));
    }
}
