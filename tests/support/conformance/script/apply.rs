//! Server-side apply: managers, conflicts, and the fields that go when their manager no longer applies them.

use serde_json::{Value, json};

use super::{widget, with};
use crate::support::conformance::step::{
    DEFINITIONS, MAPS, PODS, Step, WIDGETS, apply, apply_by, delete, get, json_patch, merge, post, put,
};

const GIZMOS: &str = "/apis/conf.example.com/v1/namespaces/default/gizmos";

pub(super) fn steps() -> Vec<Step> {
    [requests(), maps(), metadata(), statuses(), pods(), described()].into_iter().flatten().collect()
}

fn map(name: &str, data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data })
}

/// What is refused before anything is merged.
fn requests() -> Vec<Step> {
    let m = format!("{MAPS}/refused");
    let w = format!("{WIDGETS}/refused");
    let uid = json!({ "uid": "11111111-1111-1111-1111-111111111111" });
    let too_long = "x".repeat(129);
    let mut steps = Vec::new();
    for (path, object) in [(&m, map("refused", json!({}))), (&w, widget("refused", json!({})))] {
        let without = |field: &str| {
            let mut object = object.clone();
            object.as_object_mut().into_iter().for_each(|members| drop(members.remove(field)));
            object
        };
        steps.extend([
            apply(path, object.clone()),
            apply(format!("{path}?fieldManager="), object.clone()),
            apply_by(&too_long, path, object.clone()),
            merge(format!("{path}?force=true"), json!({})),
            merge(format!("{path}?fieldManager={too_long}"), json!({})),
            put(format!("{path}?fieldManager={too_long}"), object.clone()),
            apply_by("a", path, json!({})).with_body(": x\n- [").loose(),
            apply_by("a", path, json!([1])),
            apply_by("a", path, json!("text")),
            apply_by("a", path, without("kind")),
            apply_by("a", path, without("apiVersion")),
            apply_by("a", path, json!({ "apiVersion": "v7", "kind": "Other", "metadata": {} })),
            apply_by("a", path, with(object.clone(), json!({ "name": "other" }))),
            apply_by("a", path, with(object.clone(), json!({ "namespace": "other" }))),
            apply_by("a", path, with(object.clone(), json!({ "managedFields": [{ "manager": "x" }] }))),
            apply_by("a", path, with(object.clone(), uid.clone())),
            apply_by("a", format!("{path}/status"), object.clone()),
            apply_by("a", path.replace("default", "absent"), object.clone()),
            // A version says nothing of an absent object, and an object that exists has a name.
            apply_by("a", path, without("metadata")),
            apply_by("a", path, with(object.clone(), json!({ "resourceVersion": "1" }))).managers(),
            apply_by("a", path, without("metadata")),
            apply_by("a", path, with(object.clone(), json!({ "resourceVersion": "1" }))),
            apply_by("a", path, with(object.clone(), uid.clone())),
            apply_by("a", path, with(object.clone(), json!({ "labels": { "bad key": "x" } }))).loose(),
            delete(path),
        ]);
    }
    steps.push(apply_by("a", &m, map("refused", json!({ "a": 1 }))).loose());
    steps.push(post(format!("{MAPS}?fieldManager={too_long}"), map("refused", json!({}))));
    steps.push(apply_by("a", format!("{MAPS}/Bad_Name"), map("Bad_Name", json!({}))));
    steps
}

/// Managers of the members of a map.
fn maps() -> Vec<Step> {
    let m = format!("{MAPS}/applied");
    let by = |manager: &str, data| apply_by(manager, &m, map("applied", data)).managers();
    let forced = |manager: &str, data| {
        apply(format!("{m}?fieldManager={manager}&force=true"), map("applied", data)).managers()
    };
    vec![
        apply(format!("{m}?fieldManager=a&dryRun=All"), map("applied", json!({ "a": "1" }))).managers(),
        get(&m),
        by("a", json!({ "a": "1", "b": "2" })),
        by("a", json!({ "a": "1", "b": "2" })),
        by("b", json!({ "a": "1" })),
        by("b", json!({ "a": "9", "b": "8", "c": "3" })),
        by("b", json!({ "a": "1", "b": "8" })),
        forced("b", json!({ "a": "9", "c": "3" })),
        by("a", json!({})),
        apply_by("a", &m, json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {} })).managers(),
        merge(format!("{m}?fieldManager=m"), json!({ "data": { "c": "4" } })).managers(),
        by("b", json!({ "c": "5" })),
        by("a", json!({ "a": "0", "c": "5" })),
        by("b", json!({ "a": "9" })),
        put(format!("{m}?fieldManager=p"), map("applied", json!({ "a": "9", "c": "4", "d": "5" })))
            .managers(),
        put(format!("{m}?fieldManager=p"), map("applied", json!({ "a": "9" }))).managers(),
        json_patch(format!("{m}?fieldManager=j"), json!([{ "op": "add", "path": "/data/a", "value": "6" }]))
            .managers(),
        by("b", json!({ "a": "6" })),
        // A client may forget all managers; the next apply finds what was there before.
        merge(&m, json!({ "metadata": { "managedFields": [] } })).managers(),
        merge(format!("{m}?fieldManager=m"), json!({ "data": { "e": "1" } })).managers(),
        by("a", json!({ "e": "2" })),
        by("a", json!({ "e": "1" })),
        delete(&m),
        post(format!("{MAPS}?fieldManager=c"), map("applied", json!({ "a": "1" }))).managers(),
        by("a", json!({ "a": "2" })),
        by("a", json!({ "a": "1", "b": "1" })),
        by("a", json!({})),
        delete(&m),
    ]
}

/// Labels, finalizers and owners.
fn metadata() -> Vec<Step> {
    let m = format!("{MAPS}/owned");
    let owner = |name: &str| json!({ "apiVersion": "v1", "kind": "Node", "name": name, "uid": format!("uid-{name}") });
    let by = |manager: &str, metadata: Value| {
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "owned" } });
        let object = with(object, metadata);
        apply_by(manager, &m, object).managers()
    };
    vec![
        by("a", json!({ "labels": { "l": "1" }, "finalizers": ["a.b/a"], "ownerReferences": [owner("x")] })),
        by(
            "b",
            json!({ "annotations": { "n": "1" }, "finalizers": ["a.b/b"], "ownerReferences": [owner("y")] }),
        ),
        by("c", json!({ "labels": { "l": "2" } })),
        by("a", json!({ "labels": { "l": "1" }, "finalizers": ["a.b/c", "a.b/b"] })),
        by("a", json!({ "finalizers": ["a.b/c", "a.b/c"] })),
        by("b", json!({})),
        by("a", json!({})),
        by("c", json!({ "labels": {} })),
        delete(&m),
    ]
}

/// The object and its status have managers of their own.
fn statuses() -> Vec<Step> {
    let w = format!("{WIDGETS}/applied");
    let s = format!("{w}/status");
    let object = |spec: Value, status: Value| {
        let mut object = widget("applied", spec);
        object["status"] = status;
        object
    };
    let by =
        |manager: &str, path: &str, spec, status| apply_by(manager, path, object(spec, status)).managers();
    vec![
        by("a", &w, json!({ "a": { "b": 1 }, "l": [1, 2] }), json!({ "s": 1 })),
        by("a", &w, json!({ "a": { "b": 1 }, "l": [1, 2] }), json!({ "s": 2 })),
        by("s", &s, json!({ "a": 5 }), json!({ "s": 1, "c": [{ "type": "A" }] })),
        by("s", &s, json!({}), json!({ "s": 1, "c": [{ "type": "A" }] })),
        by("t", &s, json!({}), json!({ "s": 2 })),
        apply_by("t", &s, with(object(json!({}), json!({ "s": 1 })), json!({ "labels": { "q": "r" } })))
            .managers(),
        merge(format!("{s}?fieldManager=m"), json!({ "status": { "s": 7 } })).managers(),
        by("s", &s, json!({}), json!({ "s": 2 })),
        by("b", &w, json!({ "a": { "b": 2 } }), Value::Null),
        by("b", &w, json!({ "a": { "c": 2 } }), Value::Null),
        by("a", &w, json!({ "a": {} }), Value::Null),
        by("b", &w, json!({}), Value::Null),
        apply_by("a", &w, json!({ "apiVersion": "conf.example.com/v1", "kind": "Widget", "metadata": {} }))
            .managers(),
        delete(&w),
        post(
            format!("{WIDGETS}?fieldManager=c"),
            object(json!({ "a": { "b": 1 }, "e": {}, "l": [] }), json!({})),
        )
        .managers(),
        by("a", &w, json!({ "l": [1] }), Value::Null),
        delete(&w),
    ]
}

/// The lists of a kind that the server has of its own.
fn pods() -> Vec<Step> {
    const PARTS: [&str; 6] = [
        "/reason",
        "/details",
        "/metadata/managedFields",
        "/spec/containers/0/name",
        "/spec/containers/0/image",
        "/spec/containers/1",
    ];
    let p = format!("{PODS}/applied");
    let pod = |containers: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "applied" },
            "spec": { "containers": containers },
        })
    };
    let by = |manager: &str, containers| apply_by(manager, &p, pod(containers)).managers();
    let ports = json!([{ "containerPort": 80 }, { "containerPort": 80, "protocol": "UDP" }]);
    vec![
        by(
            "a",
            json!([{
                "name": "c", "image": "i", "ports": ports, "args": ["x"],
                "env": [{ "name": "A", "value": "1" }, { "name": "B", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
                "resources": { "limits": { "cpu": "1" } },
            }]),
        )
        .only(&PARTS[..5]),
        by("b", json!([{ "name": "c", "image": "j" }])).only(&PARTS[..5]),
        apply(format!("{p}?fieldManager=b&force=true"), pod(json!([{ "name": "c", "image": "j" }])))
            .managers()
            .only(&PARTS[..5]),
        by("a", json!([{ "name": "c", "image": "i" }, { "name": "c", "image": "i" }])),
        delete(format!("{p}?gracePeriodSeconds=0")).only(&["/kind"]),
    ]
}

/// The lists and maps that a definition declares.
fn described() -> Vec<Step> {
    let items = json!({
        "type": "object", "required": ["name"], "properties": {
            "name": { "type": "string" }, "side": { "type": "string", "default": "left" }, "x": { "type": "integer" },
        },
    });
    let spec = json!({ "type": "object", "properties": {
        "keyed": {
            "type": "array", "items": items, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name", "side"],
        },
        "set": { "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set" },
        "list": { "type": "array", "items": { "type": "string" } },
        "whole": {
            "type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": { "type": "string" },
        },
        "map": { "type": "object", "additionalProperties": { "type": "string" } },
        "fields": { "type": "object", "properties": { "x": { "type": "integer" }, "y": { "type": "integer" } } },
        "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    }});
    let version = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": spec } } },
    });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "gizmos.conf.example.com" },
        "spec": {
            "group": "conf.example.com", "scope": "Namespaced", "versions": [version],
            "names": { "plural": "gizmos", "singular": "gizmo", "kind": "Gizmo", "listKind": "GizmoList" },
        },
    });
    let g = format!("{GIZMOS}/g");
    let gizmo = |spec: Value| json!({ "apiVersion": "conf.example.com/v1", "kind": "Gizmo", "metadata": { "name": "g" }, "spec": spec });
    let by = |manager: &str, spec| apply_by(manager, &g, gizmo(spec)).managers();
    let item = |name: &str, x: u32| json!({ "name": name, "side": "left", "x": x });
    vec![
        post(DEFINITIONS, definition).only(&["/metadata/name"]),
        get(GIZMOS).until(200),
        by(
            "a",
            json!({
                "keyed": [item("a", 1), item("b", 2)], "set": ["a", "b"], "list": ["a"], "whole": { "a": "1" },
                "map": { "a": "1" }, "fields": { "x": 1 }, "free": { "m": { "n": 1 }, "l": [1] },
            }),
        ),
        by(
            "b",
            json!({
                "keyed": [item("c", 3), item("a", 1)], "set": ["c", "a"], "map": { "b": "1" }, "fields": { "y": 1 },
                "free": { "m": { "o": 1 } },
            }),
        ),
        by(
            "b",
            json!({
                "keyed": [item("a", 2)], "list": ["a", "b"], "whole": { "b": "1" }, "free": { "l": [1, 2] },
            }),
        ),
        by("b", json!({ "keyed": [item("d", 1), { "name": "d", "side": "right" }] })),
        by("a", json!({ "keyed": [item("b", 2)], "set": ["b"], "whole": {} })),
        by("b", json!({ "keyed": [item("d", 1), item("d", 2)] })).loose(),
        by("b", json!({ "set": ["x", "x"] })).loose(),
        by("b", json!({})),
        merge(
            format!("{g}?fieldManager=m"),
            json!({ "spec": { "keyed": [item("z", 1)], "set": ["z", "b"] } }),
        )
        .managers(),
        by("a", json!({ "keyed": [item("z", 5)] })),
        delete(&g),
        delete(format!("{DEFINITIONS}/gizmos.conf.example.com")).only(&["/kind"]),
    ]
}
