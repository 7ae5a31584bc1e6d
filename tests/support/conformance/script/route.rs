//! Paths that lead nowhere, and methods that are not served.

use serde_json::json;

use super::widget;
use crate::support::conformance::step::{
    ALL_WIDGETS, MAPS, Step, WIDGETS, delete, get, merge, method, post, put,
};

pub(super) fn steps() -> Vec<Step> {
    vec![
        get(format!("{WIDGETS}/a")),
        get(format!("{WIDGETS}/absent")),
        get(format!("{WIDGETS}/a/status")),
        get(format!("{WIDGETS}/a/scale")),
        get(format!("{ALL_WIDGETS}/a")),
        get("/apis/conf.example.com/v1/wodgets"),
        get("/apis/conf.example.com/v9/widgets"),
        get("/apis/absent.example.com/v1/widgets"),
        get("/apis/absent.example.com"),
        get("/api/v1/absent"),
        get("/api/v1/namespaces/default/absent"),
        get("/api/v1/namespaces/default/absent/x"),
        get("/api/v1/namespaces/default/configmaps/absent/status"),
        get("/absent"),
        get("/apis/conf.example.com/v1/namespaces/absent/widgets"),
        put(WIDGETS, widget("a", json!({}))),
        merge(WIDGETS, json!({})),
        post(format!("{WIDGETS}/a/status"), widget("a", json!({}))),
        delete(format!("{WIDGETS}/a/status")),
        put(MAPS, json!({})),
        method("OPTIONS", WIDGETS),
        method("HEAD", format!("{WIDGETS}/a")),
    ]
}
