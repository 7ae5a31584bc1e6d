//! Lists: selectors, pages, versions.

use crate::support::conformance::step::{ALL_WIDGETS, MAPS, Step, WIDGETS, compact, get};

pub(super) fn steps() -> Vec<Step> {
    let list = |query: &str| {
        get(format!("{WIDGETS}?{query}")).only(&["/metadata/name", "/metadata/resourceVersion"])
    };
    let refused = |query: &str| get(format!("{WIDGETS}?{query}"));
    vec![
        get(format!("{WIDGETS}?labelSelector=color")),
        get(ALL_WIDGETS).only(&["/metadata/name", "/kind", "/apiVersion"]),
        list("labelSelector=color%3Dred"),
        list("labelSelector=color%3D%3Dred"),
        list("labelSelector=color!%3Dred"),
        list("labelSelector=color%20in%20(red,blue),n"),
        list("labelSelector=color%20notin%20(red)"),
        list("labelSelector=!color"),
        list("labelSelector=n%3E2"),
        list("labelSelector=n%3C3,color%3Dblue"),
        list("labelSelector=absent"),
        refused("labelSelector=a%20in%20("),
        refused("labelSelector=a%3D%3D%3D"),
        refused("labelSelector=a%3Eb"),
        refused("labelSelector=a%20b"),
        refused("labelSelector=a,,b"),
        list("fieldSelector=metadata.name%3Da"),
        list("fieldSelector=metadata.name!%3Da,metadata.namespace%3Ddefault"),
        list("fieldSelector=metadata.name%3Da,metadata.name%3Db"),
        list("fieldSelector=metadata.namespace%3Dother"),
        refused("fieldSelector=spec.x%3D1"),
        refused("fieldSelector=metadata.name"),
        get(format!("{MAPS}?fieldSelector=data.a%3D1")),
        get("/apis/conf.example.com/v1/gadgets?fieldSelector=metadata.name%3Dg1").only(&["/metadata/name"]),
        // Pages.
        list("limit=2").capture("page2", "/metadata/continue").capture("paged", "/metadata/resourceVersion"),
        list("limit=2&continue=<page2>").capture("page3", "/metadata/continue"),
        list("limit=2&continue=<page3>"),
        list("continue=<page2>"),
        get(format!("{ALL_WIDGETS}?limit=1")).capture("all2", "/metadata/continue").only(&["/metadata/name"]),
        get(format!("{ALL_WIDGETS}?limit=1&continue=<all2>")).only(&["/metadata/name"]),
        list("limit=1&labelSelector=color%3Dred").capture("red2", "/metadata/continue"),
        list("limit=1&labelSelector=color%3Dred&continue=<red2>"),
        list("limit=1000"),
        list("limit=0"),
        list("limit=-1"),
        refused("limit=abc"),
        refused("limit=1&continue=abc").loose(),
        refused("limit=1&continue=eyJhIjoxfQ"),
        refused("limit=1&continue=<page2>&resourceVersion=5"),
        refused("limit=1&continue=<page2>&resourceVersion=<paged>&resourceVersionMatch=Exact"),
        // Versions.
        list("resourceVersion=0"),
        list("resourceVersion=0&limit=1"),
        list("resourceVersion=<a.created>"),
        list("resourceVersion=<a.created>&resourceVersionMatch=NotOlderThan"),
        list("resourceVersion=<a.created>&resourceVersionMatch=NotOlderThan&limit=1"),
        list("resourceVersion=<a.created>&resourceVersionMatch=Exact"),
        list("resourceVersion=<b.created>&resourceVersionMatch=Exact"),
        list("resourceVersion=<begin>&resourceVersionMatch=Exact"),
        list("resourceVersion=<b.created>&limit=1").capture("exact2", "/metadata/continue"),
        list("limit=1&continue=<exact2>"),
        refused("resourceVersion=abc"),
        refused("resourceVersion=99999999"),
        refused("resourceVersion=99999999&resourceVersionMatch=NotOlderThan"),
        refused("resourceVersion=99999999&resourceVersionMatch=Exact"),
        refused("resourceVersion=0&resourceVersionMatch=Exact"),
        refused("resourceVersionMatch=Exact"),
        refused("resourceVersion=5&resourceVersionMatch=Other"),
        refused("sendInitialEvents=true"),
        get(format!("{WIDGETS}/a?resourceVersion=0")).only(&["/metadata/name"]),
        get(format!("{WIDGETS}/a?resourceVersion=99999999")),
        get(format!("{WIDGETS}/a?resourceVersion=abc")),
        // A forgotten history.
        compact(),
        refused("resourceVersion=<a.created>&resourceVersionMatch=Exact")
            .differs("a real server may still have the version in its cache"),
        refused("limit=2&continue=<page2>").capture("rest", "/metadata/continue"),
        list("limit=2&continue=<rest>"),
    ]
}
