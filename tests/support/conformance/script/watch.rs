//! Watches: from where, with what at the start, and what the selectors make of events.

use serde_json::json;

use super::{widget, with};
use crate::support::conformance::step::{
    ALL_WIDGETS, Step, WIDGETS, delete, get, merge, post, watch, watch_of,
};

const SHORT: [&str; 4] = ["/kind", "/metadata/name", "/metadata/resourceVersion", "/metadata/annotations"];

pub(super) fn steps() -> Vec<Step> {
    let w = format!("{WIDGETS}/w1");
    let short = |query: &str| watch(query).only(&SHORT);
    vec![
        get(WIDGETS).capture("w.begin", "/metadata/resourceVersion").only(&["/metadata/name"]),
        post(WIDGETS, with(widget("w1", json!({ "x": 1 })), json!({ "labels": { "team": "a" } })))
            .capture("w.created", "/metadata/resourceVersion"),
        post(WIDGETS, with(widget("w2", json!({ "x": 1 })), json!({ "labels": { "team": "b" } }))),
        merge(&w, json!({ "spec": { "x": 2 } })),
        merge(&w, json!({ "metadata": { "labels": { "team": "b" } } })),
        merge(&w, json!({ "spec": { "x": 3 } })),
        merge(&w, json!({ "metadata": { "labels": { "team": "a" } } })),
        merge(format!("{w}/status"), json!({ "status": { "y": 1 } })),
        delete(&w),
        // From a version.
        watch("resourceVersion=<w.begin>"),
        short("resourceVersion=<w.created>"),
        short("resourceVersion=<w.begin>&labelSelector=team%3Da"),
        short("resourceVersion=<w.begin>&labelSelector=team%3Db"),
        short("resourceVersion=<w.begin>&labelSelector=team%20notin%20(a)"),
        short("resourceVersion=<w.begin>&fieldSelector=metadata.name%3Dw2"),
        short("resourceVersion=<w.begin>&fieldSelector=metadata.name!%3Dw2&labelSelector=team"),
        watch_of(ALL_WIDGETS, "resourceVersion=<w.begin>").only(&SHORT),
        watch_of("/apis/conf.example.com/v1/namespaces/other/widgets", "resourceVersion=<w.begin>").only(&SHORT),
        short("resourceVersion=<w.begin>&limit=1"),
        short("resourceVersion=99999999"),
        watch("resourceVersion=1"),
        watch("resourceVersion=abc"),
        // From nowhere, from anywhere.
        short(""),
        short("resourceVersion=0"),
        short("fieldSelector=metadata.name%3Dw2"),
        short("labelSelector=team%3Db&resourceVersion=0"),
        short("resourceVersion=0&allowWatchBookmarks=true"),
        short("allowWatchBookmarks=true"),
        short("allowWatchBookmarks=true&resourceVersion=<w.begin>"),
        // Streaming lists.
        short("sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
        short("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"),
        short("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=0"),
        short(
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&\
             resourceVersion=<w.created>",
        ),
        short(
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=team",
        ),
        short("sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=<w.created>"),
        short("sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"),
        watch("sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=1"),
        watch("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999999"),
        watch("sendInitialEvents=true"),
        watch("sendInitialEvents=true&resourceVersionMatch=Exact"),
        watch("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=abc"),
        watch("resourceVersionMatch=NotOlderThan&resourceVersion=<w.created>"),
        watch("resourceVersionMatch=Exact&resourceVersion=<w.created>"),
        watch("continue=abc"),
        watch("labelSelector=a%20in%20("),
        watch("fieldSelector=spec.x%3D1"),
        // Forms of the parameter.
        get(format!("{WIDGETS}?watch=1&timeoutSeconds=1&resourceVersion=<w.created>")).only(&SHORT),
        get(format!("{WIDGETS}?watch&timeoutSeconds=1&resourceVersion=<w.created>")).only(&SHORT),
        get(format!("{WIDGETS}?watch=false&limit=1")).only(&["/metadata/name"]),
        get(format!("{WIDGETS}?watch=true&timeoutSeconds=x")),
        get(format!("{WIDGETS}/w2?watch=true&timeoutSeconds=1")).only(&SHORT),
        get("/apis/conf.example.com/v1/watch/namespaces/default/widgets?timeoutSeconds=1&resourceVersion=<w.created>")
            .only(&SHORT),
        // A bookmark two seconds before the end.
        get(format!("{WIDGETS}?watch=true&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion=<w.created>"))
            .only(&SHORT),
    ]
}
