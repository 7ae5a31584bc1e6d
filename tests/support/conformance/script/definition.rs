//! A custom resource definition comes and goes.

use serde_json::{Value, json};

use crate::support::conformance::step::{
    ALL_WIDGETS, DEFINITIONS, Step, WIDGETS, delete, get, merge, post, watch_of,
};

const CONDITIONS: [&str; 6] = [
    "/metadata/name",
    "/spec/names",
    "/status/conditions/0/type",
    "/status/conditions/1/type",
    "/status/conditions/1/status",
    "/status/acceptedNames",
];

fn definition(plural: &str, kind: &str, scope: &str, status: bool) -> Value {
    let mut version = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
    });
    if status {
        version["subresources"] = json!({ "status": {} });
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.conf.example.com") },
        "spec": {
            "group": "conf.example.com", "scope": scope, "versions": [version],
            "names": {
                "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"),
            },
        },
    })
}

pub(super) fn install() -> Vec<Step> {
    vec![
        get("/apis/conf.example.com"),
        get("/apis/conf.example.com/v1"),
        get(ALL_WIDGETS),
        get(format!("{DEFINITIONS}/widgets.conf.example.com")),
        post(DEFINITIONS, definition("widgets", "Widget", "Namespaced", true)).only(&[
            "/apiVersion",
            "/kind",
            "/metadata/name",
            "/metadata/generation",
            "/spec/scope",
            "/spec/group",
        ]),
        post(DEFINITIONS, definition("widgets", "Widget", "Namespaced", true)),
        get(ALL_WIDGETS).until(200),
        get(format!("{DEFINITIONS}/widgets.conf.example.com")).only(&CONDITIONS),
        post(DEFINITIONS, definition("gadgets", "Gadget", "Cluster", false))
            .only(&["/metadata/name", "/kind"]),
        get("/apis/conf.example.com/v1/gadgets").until(200),
        get("/apis/conf.example.com"),
        get("/apis/conf.example.com/v1").only(&["/kind", "/apiVersion", "/groupVersion"]),
        get("/apis/conf.example.com/v2"),
        get("/version").only(&["/major", "/minor", "/gitVersion"]),
        get("/readyz"),
        get("/livez"),
    ]
}

pub(super) fn uninstall() -> Vec<Step> {
    vec![
        get(ALL_WIDGETS).capture("before.end", "/metadata/resourceVersion"),
        delete(format!("{DEFINITIONS}/gadgets.conf.example.com")).only(&["/kind", "/metadata/name"]),
        get("/apis/conf.example.com/v1/gadgets").until(404),
        delete(format!("{DEFINITIONS}/nope.conf.example.com")),
        merge(format!("{WIDGETS}/n2"), json!({ "metadata": { "finalizers": null } }))
            .only(&["/metadata/name"]),
        delete(WIDGETS).only(&["/metadata/name"]),
        watch_of(ALL_WIDGETS, "resourceVersion=<before.end>").only(&["/metadata/name"]),
        delete(format!("{DEFINITIONS}/widgets.conf.example.com")).only(&["/kind", "/metadata/name"]),
        get(ALL_WIDGETS).until(404),
        get(format!("{WIDGETS}/a")),
        get("/apis/conf.example.com/v1").until(404),
        get("/apis/conf.example.com").until(404),
    ]
}
