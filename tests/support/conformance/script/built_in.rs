//! Kinds the server has of its own: other wire habits than custom resources.

use serde_json::json;

use crate::support::conformance::step::{
    MAPS, PODS, Step, delete, get, json_patch, merge, post, put, watch_of,
};

pub(super) fn steps() -> Vec<Step> {
    let map = |name: &str, data| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": { "conf": "1" } }, "data": data });
    let pod = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": { "conf": "1" } },
            "spec": { "containers": [{ "name": "c", "image": "i" }] },
        })
    };
    let m = format!("{MAPS}/conf1");
    let p = format!("{PODS}/conf1");
    let pod_parts = [
        "/kind",
        "/apiVersion",
        "/metadata/name",
        "/metadata/labels",
        "/metadata/generation",
        "/status/phase",
    ];
    vec![
        get(format!("{MAPS}?labelSelector=conf")).capture("m.begin", "/metadata/resourceVersion"),
        post(MAPS, map("conf1", json!({ "a": "1" }))).capture("m.created", "/metadata/resourceVersion"),
        post(MAPS, map("conf1", json!({}))),
        post(
            MAPS,
            json!({ "metadata": { "name": "conf2", "labels": { "conf": "1" } }, "data": { "a": "1" } }),
        ),
        post(MAPS, map("Bad_Name", json!({}))),
        post(MAPS, json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {} })),
        post(MAPS, json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x" } })).loose(),
        post(MAPS, json!({ "apiVersion": "v2", "kind": "ConfigMap", "metadata": { "name": "x" } })).loose(),
        post(MAPS, json!({})).with_body("[]").loose(),
        post(MAPS, map("typed", json!({ "a": 1 }))),
        post("/api/v1/namespaces/absent/configmaps", map("x", json!({}))),
        post("/api/v1/configmaps", map("x", json!({}))),
        get(&m),
        get(format!("{MAPS}?labelSelector=conf")),
        get("/api/v1/configmaps?labelSelector=conf").only(&["/kind", "/metadata/name"]),
        get(format!("{MAPS}?labelSelector=conf&limit=1")).only(&["/metadata/name"]),
        get("/api/v1/namespaces/absent/configmaps"),
        put(&m, map("conf1", json!({ "a": "2" }))),
        put(&m, map("conf1", json!({ "a": "2" }))),
        put(&m, json!({ "metadata": { "name": "conf1", "resourceVersion": "1" } })),
        put(&m, json!({ "metadata": { "name": "conf1", "uid": "other" } })).loose(),
        put(&m, json!({ "metadata": { "name": "other" } })),
        put(format!("{MAPS}/absent"), map("absent", json!({}))),
        merge(&m, json!({ "data": { "b": "3" } })),
        merge(&m, json!({ "data": { "b": null } })).content("application/strategic-merge-patch+json"),
        json_patch(&m, json!([{ "op": "add", "path": "/data/c", "value": "4" }])),
        json_patch(&m, json!([{ "op": "test", "path": "/data/c", "value": "5" }])),
        merge(&m, json!({})).content("application/json"),
        merge(&m, json!({ "metadata": { "resourceVersion": "1" } })),
        merge(&m, json!({ "kind": "Other" })).loose(),
        merge(&m, json!({ "data": { "a": 1 } })).loose(),
        merge(&m, json!({ "metadata": { "labels": { "a": 1 } } })).loose(),
        merge(format!("{m}/status"), json!({})),
        watch_of(MAPS, "resourceVersion=<m.begin>&labelSelector=conf"),
        watch_of(MAPS, "labelSelector=conf&allowWatchBookmarks=true"),
        delete(&m),
        delete(&m),
        delete(format!("{MAPS}?labelSelector=conf")).only(&["/metadata/name"]),
        get(format!("{PODS}?labelSelector=conf")).capture("p.begin", "/metadata/resourceVersion"),
        post(PODS, pod("conf1")).only(&pod_parts),
        get(format!("{PODS}?fieldSelector=spec.nodeName%3D,status.phase%3DPending&labelSelector=conf"))
            .only(&pod_parts),
        get(format!("{PODS}?fieldSelector=status.phase%3DRunning&labelSelector=conf")).only(&pod_parts),
        get(format!("{PODS}?fieldSelector=spec.absent%3D1")),
        merge(format!("{p}/status"), json!({ "status": { "phase": "Running", "podIP": "10.0.0.9" } }))
            .only(&pod_parts),
        merge(&p, json!({ "status": { "phase": "Failed" } })).only(&pod_parts),
        merge(&p, json!({ "metadata": { "annotations": { "a": "1" } } })).only(&pod_parts),
        get(format!("{PODS}?fieldSelector=status.phase%3DRunning&labelSelector=conf")).only(&pod_parts),
        delete(format!("{p}?gracePeriodSeconds=0")).only(&[
            "/kind",
            "/metadata/name",
            "/metadata/resourceVersion",
        ]),
        get(&p),
        watch_of(PODS, "resourceVersion=<p.begin>&labelSelector=conf").only(&[
            "/metadata/name",
            "/metadata/generation",
            "/metadata/resourceVersion",
            "/metadata/deletionGracePeriodSeconds",
            "/status/phase",
        ]),
        post("/api/v1/namespaces", json!({ "metadata": { "name": "conf-space" } })),
        post("/api/v1/namespaces", json!({ "metadata": { "name": "conf-space" } })),
        post("/api/v1/namespaces", json!({ "metadata": { "name": "conf.space" } })),
        get("/api/v1/namespaces/conf-space"),
        get("/api/v1/namespaces/absent"),
        get("/api/v1/namespaces?labelSelector=kubernetes.io/metadata.name%3Dconf-space"),
        merge("/api/v1/namespaces/conf-space", json!({ "metadata": { "labels": { "a": "1" } } })),
        post("/api/v1/namespaces/conf-space/configmaps", map("x", json!({ "k": "v" }))),
        delete("/api/v1/namespaces/conf-space/configmaps/x"),
        delete("/api/v1/namespaces/conf-space")
            .differs("namespaces end at once: there is no controller to wait for"),
        post("/api/v1/nodes", json!({ "metadata": { "name": "conf-node" }, "status": { "phase": "x" } }))
            .only(&["/kind", "/metadata/name", "/metadata/generation", "/status/phase"]),
        delete("/api/v1/nodes/conf-node"),
        // Last, since it leaves the two with different objects for a moment.
        post(PODS, json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "spec": {} }))
            .differs("the spec of built-in kinds is not validated"),
        delete(format!("{PODS}/p")).only(&["/kind"]).differs("the pod without containers exists here"),
    ]
}
