//! Deletes: finalizers, preconditions, propagation, collections.

use serde_json::json;

use super::{widget, with};
use crate::support::conformance::step::{Step, WIDGETS, delete, get, merge, post, watch};

pub(super) fn steps() -> Vec<Step> {
    let f = format!("{WIDGETS}/f1");
    let d = format!("{WIDGETS}/d1");
    let body = |value: serde_json::Value| value.to_string();
    vec![
        get(WIDGETS).capture("d.begin", "/metadata/resourceVersion").only(&["/metadata/name"]),
        post(WIDGETS, with(widget("f1", json!({ "x": 1 })), json!({ "finalizers": ["x/y", "x/z"] }))),
        delete(&f),
        delete(&f),
        merge(&f, json!({ "spec": { "x": 2 } })),
        merge(&f, json!({ "metadata": { "finalizers": ["x/y", "x/z", "new/one"] } })),
        merge(&f, json!({ "metadata": { "finalizers": ["x/z"] } })),
        merge(&f, json!({ "metadata": { "deletionTimestamp": null } })),
        post(WIDGETS, widget("f1", json!({}))),
        merge(&f, json!({ "metadata": { "finalizers": null } })),
        get(&f),
        delete(&f),
        merge(&f, json!({ "metadata": { "finalizers": null } })),
        post(WIDGETS, widget("d1", json!({}))),
        delete(&d).with_body(body(json!({ "preconditions": { "uid": "other" } }))),
        delete(&d).with_body(body(json!({ "preconditions": { "resourceVersion": "1" } }))),
        delete(&d).with_body(body(json!({ "propagationPolicy": "Other" }))),
        delete(&d).with_body("{").loose(),
        delete(format!("{d}?dryRun=All")),
        delete(&d).with_body(body(json!({ "kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"] }))),
        delete(format!("{d}?propagationPolicy=Foreground")),
        get(&d),
        merge(&d, json!({ "metadata": { "finalizers": [] } })),
        get(&d),
        post(WIDGETS, widget("d1", json!({}))),
        delete(&d).with_body(body(json!({ "propagationPolicy": "Orphan" }))),
        merge(&d, json!({ "metadata": { "finalizers": [] } })).only(&["/metadata/name"]),
        post(WIDGETS, widget("d1", json!({}))).capture("d1.uid", "/metadata/uid"),
        delete(&d).with_body(body(json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
            "preconditions": { "uid": "<d1.uid>" },
        }))),
        delete(&d),
        // Collections.
        post(WIDGETS, with(widget("e1", json!({})), json!({ "labels": { "e": "1" } }))),
        post(
            WIDGETS,
            with(widget("e2", json!({})), json!({ "labels": { "e": "1" }, "finalizers": ["x/y"] })),
        ),
        post(WIDGETS, with(widget("e3", json!({})), json!({ "labels": { "e": "2" } }))),
        delete(format!("{WIDGETS}?labelSelector=e%3D1")),
        get(format!("{WIDGETS}?labelSelector=e")),
        delete(format!("{WIDGETS}?labelSelector=absent")),
        delete(format!("{WIDGETS}?fieldSelector=metadata.name%3De3")).only(&["/metadata/name"]),
        merge(format!("{WIDGETS}/e2"), json!({ "metadata": { "finalizers": null } }))
            .only(&["/metadata/name"]),
        // What all that looked like from outside.
        watch("resourceVersion=<d.begin>"),
    ]
}
