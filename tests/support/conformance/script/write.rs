//! Updates, patches, the status subresource, generations.

use serde_json::json;

use super::{widget, with};
use crate::support::conformance::step::{Step, WIDGETS, get, json_patch, merge, put};

pub(super) fn steps() -> Vec<Step> {
    let a = format!("{WIDGETS}/a");
    let a_status = format!("{WIDGETS}/a/status");
    let at = |version: &str, spec| with(widget("a", spec), json!({ "resourceVersion": version }));
    vec![
        put(&a, widget("a", json!({ "x": 2 }))),
        put(&a, at("1", json!({ "x": 2 }))),
        put(&a, at("<a.created>", json!({ "x": 2 }))).capture("a.2", "/metadata/resourceVersion"),
        put(&a, at("<a.created>", json!({ "x": 3 }))),
        put(&a, at("<a.2>", json!({ "x": 2 }))),
        put(
            &a,
            with(at("<a.2>", json!({ "x": 2 })), json!({ "uid": "11111111-1111-1111-1111-111111111111" })),
        )
        .loose(),
        put(&a, with(widget("b", json!({})), json!({ "resourceVersion": "1" }))),
        put(&a, with(widget("", json!({})), json!({ "name": null, "resourceVersion": "1" }))),
        put(&a, with(at("<a.2>", json!({})), json!({ "namespace": "other" }))),
        put(format!("{WIDGETS}/absent"), widget("absent", json!({}))),
        put(
            format!("{WIDGETS}/absent"),
            with(widget("absent", json!({})), json!({ "resourceVersion": "1" })),
        ),
        merge(format!("{WIDGETS}/absent"), json!({})),
        merge(&a, json!({ "spec": { "x": 3 } })),
        merge(&a, json!({ "spec": { "x": 3 } })),
        merge(&a, json!({ "metadata": { "labels": { "color": "green" }, "annotations": { "note": "1" } } })),
        merge(&a, json!({ "metadata": { "labels": { "color": "red" }, "annotations": null } })),
        merge(&a, json!({ "metadata": { "resourceVersion": "1" }, "spec": { "x": 4 } })),
        merge(&a, json!({ "metadata": { "name": "other" } })),
        merge(&a, json!({ "metadata": { "namespace": "other" } })),
        merge(&a, json!({ "metadata": { "uid": "other" } })),
        merge(&a, json!({ "kind": "Other" })),
        merge(&a, json!({ "metadata": { "generation": 70, "creationTimestamp": "2001-01-01T00:00:00Z" } })),
        merge(&a, json!({ "metadata": { "deletionTimestamp": "2001-01-01T00:00:00Z" } })),
        merge(&a, json!({ "metadata": { "labels": { "bad key": "x" } } })),
        merge(&a, json!([1])),
        merge(&a, json!({})).with_body("{\"spec\":"),
        merge(&a, json!({})),
        merge(&a, json!({})).content("application/strategic-merge-patch+json"),
        merge(&a, json!({})).content("application/json"),
        merge(&a, json!({})).content("text/plain"),
        merge(format!("{a}?dryRun=All"), json!({ "spec": { "x": 99 } })).only(&["/spec"]),
        json_patch(&a, json!([{ "op": "replace", "path": "/spec/x", "value": 9 }])),
        json_patch(&a, json!([{ "op": "test", "path": "/spec/x", "value": 10 }])),
        json_patch(&a, json!([{ "op": "remove", "path": "/spec/absent" }])),
        json_patch(&a, json!([{ "op": "add", "path": "/spec/list", "value": [1, 2] }])),
        json_patch(&a, json!({ "a": 1 })),
        json_patch(&a, json!([])).only(&["/spec", "/metadata/resourceVersion"]),
        // The status subresource: each side ignores the other's part.
        merge(&a, json!({ "status": { "ready": true } })),
        merge(
            &a_status,
            json!({
                "status": { "ready": true }, "spec": { "x": 100 },
                "metadata": { "labels": { "b": "2" }, "annotations": { "q": "r" }, "finalizers": ["a/b"] },
            }),
        )
        .capture("a.status", "/metadata/resourceVersion"),
        merge(&a_status, json!({ "status": { "ready": true } })),
        merge(&a_status, json!({ "status": { "ready": null, "count": 3 } }))
            .capture("a.s2", "/metadata/resourceVersion"),
        put(&a_status, at("1", json!({}))),
        put(&a_status, at("<a.status>", json!({}))),
        put(
            &a_status,
            with(
                json!({
                    "apiVersion": "conf.example.com/v1", "kind": "Widget", "metadata": { "name": "a" },
                    "status": { "count": 4 },
                }),
                json!({ "resourceVersion": "<a.s2>" }),
            ),
        ),
        json_patch(&a_status, json!([{ "op": "replace", "path": "/status/count", "value": 5 }])),
        merge(format!("{WIDGETS}/absent/status"), json!({ "status": {} })),
        get(&a),
        // Without the subresource a status is part of the whole.
        merge("/apis/conf.example.com/v1/gadgets/g1", json!({ "status": { "y": 2 } })),
        merge("/apis/conf.example.com/v1/gadgets/g1", json!({ "metadata": { "labels": { "a": "1" } } })),
        merge("/apis/conf.example.com/v1/gadgets/g1/status", json!({ "status": { "y": 3 } })),
    ]
}
