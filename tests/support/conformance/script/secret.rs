//! `stringData` of a Secret, which only a write has.

use serde_json::json;

use crate::support::conformance::step::{Step, delete, get, json_patch, merge, post, put};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

pub(super) fn steps() -> Vec<Step> {
    let s = format!("{SECRETS}/conf");
    let secret = |texts| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "conf" }, "type": "Opaque",
            "data": { "a": "MQ==", "b": "Mg==" }, "stringData": texts,
        })
    };
    vec![
        post(SECRETS, secret(json!({ "b": "two", "c": "" }))),
        get(&s),
        put(&s, secret(json!({ "d": "é?>~" }))),
        merge(&s, json!({ "stringData": { "a": "five", "e": "123456" } })),
        merge(&s, json!({ "stringData": null })),
        json_patch(&s, json!([{ "op": "add", "path": "/stringData", "value": { "f": "1234567" } }])),
        merge(&s, json!({ "stringData": { "a": 1 } })).loose(),
        merge(&s, json!({ "stringData": "text" })).loose(),
        get(&s),
        delete(&s),
        post(
            SECRETS,
            json!({ "metadata": { "name": "conf" }, "type": "Opaque", "stringData": { "a": "1" } }),
        ),
        merge(&s, json!({ "data": null, "stringData": { "z": "26" } })),
        delete(&s),
    ]
}
