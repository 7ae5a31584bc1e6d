//! Who is not let in, and what is not allowed.

use serde_json::json;

use super::widget;
use crate::support::conformance::step::{ALL_WIDGETS, As, Step, WIDGETS, delete, get, merge, post, put};

pub(super) fn steps() -> Vec<Step> {
    let a = format!("{WIDGETS}/a");
    let nobody = [
        get(WIDGETS),
        get(ALL_WIDGETS),
        get(&a),
        get(format!("{a}/status")),
        get(format!("{WIDGETS}?watch=true")),
        get(format!("{WIDGETS}?labelSelector=a%20in%20(")),
        post(WIDGETS, widget("x", json!({}))),
        post(WIDGETS, json!({})).with_body("{"),
        put(&a, widget("a", json!({}))),
        merge(&a, json!({})),
        merge(format!("{a}/status"), json!({})),
        delete(&a),
        delete(WIDGETS),
        get("/api/v1/nodes"),
        get("/api/v1/nodes/x"),
        get("/api/v1/namespaces/default/pods"),
        get("/apis/conf.example.com/v1/wodgets"),
        get("/apis/absent.example.com/v1/widgets"),
        get("/absent"),
        get("/version").only(&["/major"]),
    ];
    let stranger = [get(WIDGETS), get(&a), post(WIDGETS, widget("x", json!({}))), get("/absent")];
    let nobody = nobody.into_iter().map(|step| step.by(As::Nobody));
    nobody.chain(stranger.into_iter().map(|step| step.by(As::Stranger))).collect()
}
