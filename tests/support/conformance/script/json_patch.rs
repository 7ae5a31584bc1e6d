//! The six operations of a JSON patch, on what is there and on what is not.

use serde_json::{Value, json};

use super::{widget, with};
use crate::support::conformance::step::{MAPS, Step, WIDGETS, delete, json_patch, post};

pub(super) fn steps() -> Vec<Step> {
    let map = format!("{MAPS}/patched");
    let widget_path = format!("{WIDGETS}/patched");
    let metadata = json!({ "annotations": { "x": "y" } });
    let mut steps = vec![
        post(
            MAPS,
            json!({ "metadata": { "name": "patched", "annotations": { "x": "y" } }, "data": { "a": "1" } }),
        ),
        post(WIDGETS, with(widget("patched", json!({ "x": 1, "n": null })), metadata)),
    ];
    for (data, path) in [("data", &map), ("spec", &widget_path)] {
        let patch = |operations: Value| {
            let text = operations.to_string().replace("/data", &format!("/{data}"));
            json_patch(path, json!([])).with_body(text)
        };
        let one = |operation: Value| patch(json!([operation]));
        steps.extend([
            // What kube's finalizer() sends to an object without finalizers.
            patch(json!([
                { "op": "test", "path": "/metadata/finalizers", "value": null },
                { "op": "add", "path": "/metadata/finalizers", "value": ["conf.example.com/f"] },
            ])),
            patch(json!([
                { "op": "test", "path": "/metadata/finalizers/0", "value": "conf.example.com/f" },
                { "op": "remove", "path": "/metadata/finalizers/0" },
            ])),
            one(json!({ "op": "test", "path": "/metadata/finalizers" })),
            one(json!({ "op": "test", "path": "/absent/deeper", "value": null })),
            one(json!({ "op": "test", "path": "/data/a", "value": "2" })),
            one(json!({ "op": "test", "path": "/data/absent", "value": "2" })),
            one(json!({ "op": "remove", "path": "/data/absent" })),
            one(json!({ "op": "remove", "path": "/absent/deeper" })),
            one(json!({ "op": "replace", "path": "/data/absent", "value": "q" })),
            one(json!({ "op": "replace", "path": "/absent/deeper", "value": "q" })),
            one(json!({ "op": "add", "path": "/absent/deeper", "value": "q" })),
            one(json!({ "op": "add", "path": "/metadata/name/deeper", "value": "q" })),
            one(json!({ "op": "move", "from": "/data/none", "path": "/data/b" })),
            one(json!({ "op": "move", "from": "/data/absent", "path": "/data/b" })),
            one(json!({ "op": "move", "path": "/data/b" })),
            one(json!({ "op": "copy", "from": "/data/b", "path": "/data/c" })),
            one(json!({ "op": "copy", "from": "/absent/deeper", "path": "/data/c" })),
            one(json!({ "op": "copy", "path": "/data/c" })),
            one(json!({ "op": "other", "path": "/data/c" })),
            one(json!({ "path": "/data/c" })),
            one(json!({ "op": "add", "value": "q" })),
            one(json!({ "op": "add", "path": "data", "value": "q" })),
            one(json!({ "op": "add", "path": "", "value": {} })),
            one(json!({ "op": "remove", "path": "" })),
            one(json!({ "op": "test", "path": "", "value": {} })),
            patch(json!([1])),
            patch(json!("text")),
            one(json!({ "op": 1 })),
            one(json!({ "op": "add", "path": ["data"] })),
            patch(json!([
                { "op": "add", "path": "/metadata/finalizers", "value": ["a.b/a"] },
                { "op": "add", "path": "/metadata/finalizers/-", "value": "a.b/b" },
                { "op": "add", "path": "/metadata/finalizers/-1", "value": "a.b/c" },
                { "op": "add", "path": "/metadata/finalizers/0", "value": "a.b/d" },
                { "op": "add", "path": "/metadata/finalizers/04", "value": "a.b/e" },
                { "op": "test", "path": "/metadata/finalizers/-2", "value": "a.b/c" },
            ])),
            one(json!({ "op": "remove", "path": "/metadata/finalizers/9" })),
            one(json!({ "op": "remove", "path": "/metadata/finalizers/-9" })),
            one(json!({ "op": "remove", "path": "/metadata/finalizers/-" })),
            one(json!({ "op": "add", "path": "/metadata/finalizers/9", "value": "a.b/f" })),
            one(json!({ "op": "add", "path": "/metadata/finalizers/-9", "value": "a.b/f" })),
            one(json!({ "op": "test", "path": "/metadata/finalizers/9", "value": null })),
            one(json!({ "op": "replace", "path": "/metadata/finalizers/-", "value": "a.b/f" })),
            one(json!({ "op": "replace", "path": "/metadata/finalizers/-1", "value": "a.b/f" })),
            one(json!({ "op": "add", "path": "/metadata/annotations/m~1n", "value": "1" })),
            one(json!({ "op": "remove", "path": "/metadata/finalizers" })),
        ]);
    }
    steps.extend([
        json_patch(&map, json!([{ "op": "add", "path": "/data/n", "value": null }])),
        json_patch(&map, json!([{ "op": "copy", "from": "/data/none", "path": "/data/m" }])),
        json_patch(&map, json!([{ "op": "add", "path": "/metadata/annotations/n", "value": null }])),
        delete(&map),
        delete(&widget_path),
    ]);
    steps
}
