//! CustomResourceDefinition objects, and the kinds that they define.
//!
//! The server serves one version of a definition, the storage version. It stores the schema, and does not
//! enforce it.

use serde_json::{Value, json};

use super::kind::Kind;
use super::object::map;
use super::time::now;

pub(super) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

pub(super) fn is_definition(kind: &Kind) -> bool {
    kind.group() == "apiextensions.k8s.io" && kind.kind() == "CustomResourceDefinition"
}

/// The kind that a definition defines; `None` if the definition is incomplete.
pub(super) fn kind(definition: &Value) -> Option<Kind> {
    let text = |path: &str| definition.pointer(path).and_then(Value::as_str);
    let (group, plural, name) =
        (text("/spec/group")?, text("/spec/names/plural")?, text("/spec/names/kind")?);
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let set = |version: &&Value, flag: &str| version.get(flag).and_then(Value::as_bool) == Some(true);
    let version = versions.iter().find(|version| set(version, "storage") && set(version, "served"))?;
    let version_name = version.get("name")?.as_str()?;
    let mut kind = match text("/spec/scope")? {
        "Namespaced" => Kind::namespaced(group, version_name, name, plural),
        _ => Kind::cluster(group, version_name, name, plural),
    };
    kind = kind.with_names(text("/spec/names/listKind"), text("/spec/names/singular"));
    kind = kind.described(version.pointer("/schema/openAPIV3Schema"));
    if version.pointer("/subresources/status").is_some_and(|status| !status.is_null()) {
        kind = kind.with_status();
    }
    for field in version.get("selectableFields").and_then(Value::as_array).into_iter().flatten() {
        if let Some(path) = field.get("jsonPath").and_then(Value::as_str) {
            kind = kind.selectable(path.trim_start_matches('.'));
        }
    }
    Some(kind)
}

/// The definition of a kind, which `install` stores so that clients find it.
pub(super) fn of(kind: &Kind) -> Value {
    let mut version = json!({
        "name": kind.version(), "served": true, "storage": true,
        "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
    });
    if kind.has_status() {
        version["subresources"] = json!({ "status": {} });
    }
    if !kind.selectable_fields().is_empty() {
        let path = |field: &String| json!({ "jsonPath": format!(".{field}") });
        version["selectableFields"] = kind.selectable_fields().iter().map(path).collect();
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": kind.name() },
        "spec": {
            "group": kind.group(),
            "scope": if kind.is_namespaced() { "Namespaced" } else { "Cluster" },
            "names": {
                "plural": kind.plural(), "singular": kind.singular(), "kind": kind.kind(),
                "listKind": kind.list_kind(),
            },
            "versions": [version],
        },
    })
}

/// The definition with the conditions that report it as served.
pub(super) fn established(definition: &Value) -> Value {
    let mut definition = definition.clone();
    let done = definition.pointer("/status/conditions").is_some_and(Value::is_array);
    let names = definition.pointer("/spec/names").cloned().unwrap_or(Value::Null);
    if done && definition.pointer("/status/acceptedNames") == Some(&names) {
        return definition;
    }
    let stored: Vec<Value> = definition
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|version| version.get("storage").and_then(Value::as_bool) == Some(true))
        .filter_map(|version| version.get("name").cloned())
        .collect();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message,
        })
    };
    let status = json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": names,
        "storedVersions": stored,
    });
    map(&mut definition).insert("status".into(), status);
    definition
}
