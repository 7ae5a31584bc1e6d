//! Creates, good and bad.

use serde_json::json;

use super::{widget, with};
use crate::support::conformance::step::{ALL_WIDGETS, Step, WIDGETS, get, post};

pub(super) fn steps() -> Vec<Step> {
    let gadget = |name| {
        json!({
            "apiVersion": "conf.example.com/v1", "kind": "Gadget", "metadata": { "name": name },
            "spec": { "x": 1 }, "status": { "y": 1 },
        })
    };
    let gadgets = "/apis/conf.example.com/v1/gadgets";
    let mut with_status = widget("a", json!({ "x": 1 }));
    with_status["status"] = json!({ "ready": true });
    vec![
        get(WIDGETS).capture("begin", "/metadata/resourceVersion"),
        post(WIDGETS, with(with_status, json!({ "labels": { "color": "red" } })))
            .capture("a.created", "/metadata/resourceVersion")
            .capture("a.uid", "/metadata/uid"),
        post(WIDGETS, widget("a", json!({ "x": 1 }))),
        post(WIDGETS, with(widget("", json!({})), json!({ "name": null, "generateName": "made-" })))
            .capture("generated", "/metadata/name"),
        post(WIDGETS, with(widget("", json!({})), json!({ "name": null }))),
        post(WIDGETS, widget("Bad_Name", json!({}))),
        post(WIDGETS, widget("ends-", json!({}))),
        post(WIDGETS, widget(&"x".repeat(254), json!({}))),
        post(WIDGETS, with(widget("n", json!({})), json!({ "namespace": "other" }))),
        post(WIDGETS, with(widget("n", json!({})), json!({ "namespace": "default" }))),
        post(WIDGETS, with(widget("n2", json!({})), json!({ "resourceVersion": "5" }))),
        post(WIDGETS, with(widget("n2", json!({})), json!({ "labels": { "a b": "c d" } }))),
        post(WIDGETS, with(widget("n2", json!({})), json!({ "labels": { "a": 1 } }))),
        post(WIDGETS, with(widget("n2", json!({})), json!({ "annotations": { "a": true } }))),
        post(WIDGETS, with(widget("n2", json!({})), json!({ "finalizers": ["x"] })))
            .only(&["/metadata/finalizers"]),
        post(
            WIDGETS,
            with(
                widget("n3", json!({})),
                json!({ "uid": "mine", "generation": 7, "creationTimestamp": "2001-01-01T00:00:00Z",
                    "deletionTimestamp": "2001-01-01T00:00:00Z" }),
            ),
        ),
        post(
            WIDGETS,
            json!({ "apiVersion": "conf.example.com/v1", "kind": "Wodget", "metadata": { "name": "w" } }),
        ),
        post(
            WIDGETS,
            json!({ "apiVersion": "conf.example.com/v2", "kind": "Widget", "metadata": { "name": "w" } }),
        ),
        post(WIDGETS, json!({ "kind": "Widget", "metadata": { "name": "w" } })),
        post(WIDGETS, json!({ "metadata": { "name": "w" } })).loose(),
        post(WIDGETS, json!([])).loose(),
        post(WIDGETS, json!({})).with_body("{\"metadata\":").loose(),
        post(WIDGETS, json!({})).with_body("").loose(),
        post(WIDGETS, widget("w", json!({}))).content("text/plain"),
        post(ALL_WIDGETS, widget("w", json!({}))),
        post("/apis/conf.example.com/v1/namespaces/absent/widgets", widget("w", json!({}))),
        post(format!("{WIDGETS}?dryRun=All"), widget("dry", json!({}))),
        get(format!("{WIDGETS}/dry")),
        post(
            WIDGETS,
            with(widget("b", json!({ "x": 2 })), json!({ "labels": { "color": "blue", "n": "2" } })),
        )
        .capture("b.created", "/metadata/resourceVersion"),
        post(
            WIDGETS,
            with(widget("c", json!({ "x": 3 })), json!({ "labels": { "color": "red", "n": "3" } })),
        ),
        post(gadgets, gadget("g1")),
        post(gadgets, with(gadget("g2"), json!({ "namespace": "default" }))),
        post("/apis/conf.example.com/v1/namespaces/default/gadgets", gadget("g3")),
        get(format!("{gadgets}/g1")),
        get(format!("{gadgets}/g1/status")),
    ]
}
