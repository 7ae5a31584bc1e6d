//! Shards: what is of one, what a list says of it, and what is no selector.

use crate::support::conformance::step::{ALL_WIDGETS, MAPS, Step, WIDGETS, get, watch};

const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const FIRST: &str = "'0x0000000000000000'";
const MIDDLE: &str = "'0x8000000000000000'";
const END: &str = "'0x10000000000000000'";

fn of(selector: &str) -> String {
    let encoded = selector.replace(' ', "%20").replace('|', "%7C").replace('&', "%26").replace('"', "%22");
    format!("shardSelector={}", encoded.replace('>', "%3E"))
}

/// Of uids there are only shards that have all objects: which one else has an object differs from run to run.
pub(super) fn steps() -> Vec<Step> {
    let range =
        |field: &str, from: &str, to: &str| format!("shardRange(object.metadata.{field}, {from}, {to})");
    let namespaces = |from, to| of(&range("namespace", from, to));
    let everything = range("uid", FIRST, END);
    let halves = format!("{} || {}", range("uid", FIRST, MIDDLE), range("uid", MIDDLE, END));
    let refused = |selector: &str| get(format!("{WIDGETS}?{}", of(selector)));
    vec![
        // The hash of `default` is in the upper half, that of `other` in the lower one.
        get(format!("{ALL_WIDGETS}?{}", namespaces(FIRST, MIDDLE))),
        get(format!("{ALL_WIDGETS}?{}", namespaces(MIDDLE, END))).only(&["/metadata/name"]),
        get(format!("{WIDGETS}?limit=1&{}", namespaces(FIRST, MIDDLE))),
        get(format!("{WIDGETS}?limit=1&{}", namespaces(MIDDLE, END)))
            .capture("shard2", "/metadata/continue")
            .only(&["/metadata/name"]),
        get(format!("{WIDGETS}?limit=1&continue=<shard2>&{}", namespaces(MIDDLE, END)))
            .only(&["/metadata/name"]),
        get(format!("{WIDGETS}?limit=1&labelSelector=color%3Dred&{}", of(&everything)))
            .only(&["/metadata/name"]),
        get(format!("{WIDGETS}?{}", of(&halves))).only(&["/metadata/name"]),
        get(format!("{MAPS}?{}", of(&everything))).only(&["/metadata/name"]),
        get(format!("{WIDGETS}?{}", of(&everything))).accept(METADATA).only(&["/metadata/name"]),
        // The namespace of an object without one is "", which is hashed to the upper half.
        get(format!("/apis/conf.example.com/v1/gadgets?{}", namespaces(FIRST, MIDDLE))),
        get(format!("/apis/conf.example.com/v1/gadgets?{}", namespaces(MIDDLE, END)))
            .only(&["/metadata/name"]),
        get(format!(
            "{WIDGETS}?{}",
            of("(shardRange(object . metadata.namespace,\"0x0000000000000000\", '0x8000000000000000'))")
        ))
        .only(&["/metadata/name"]),
        watch(&format!(
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&{}",
            of(&everything)
        ))
        .only(&["/metadata/name"]),
        watch(&format!("resourceVersion=0&{}", namespaces(FIRST, MIDDLE))),
        watch(&of("x")),
        // What is no selector. An empty one is none.
        get(format!("{WIDGETS}?shardSelector=")).only(&["/metadata/name"]),
        refused(" "),
        refused("shardRange(").loose(),
        refused("f(1)"),
        refused("object.metadata.uid"),
        refused("uid"),
        refused("1"),
        refused("'a'"),
        refused(&format!("{everything} && {everything}")),
        refused(&format!("{} || {}", range("uid", FIRST, MIDDLE), range("namespace", FIRST, MIDDLE))),
        refused(&range("name", FIRST, MIDDLE)),
        refused(&format!("shardRange(object.metadata.uid, {FIRST})")),
        refused(&format!("shardRange(1, {FIRST}, {MIDDLE})")),
        refused(&format!("shardRange(f(1), {FIRST}, {MIDDLE})")),
        refused(&range("uid", "1", MIDDLE)),
        refused(&range("uid", "f(1)", MIDDLE)),
        refused(&range("uid", "object.a", MIDDLE)),
        refused(&range("uid", "'0'", MIDDLE)),
        refused(&range("uid", "'0x'", MIDDLE)),
        refused(&range("uid", "'0x0'", MIDDLE)),
        refused(&range("uid", "'0xg'", MIDDLE)),
        refused(&range("uid", "'0xF000000000000000'", MIDDLE)),
        refused(&range("uid", FIRST, "'0x10000000000000001'")),
        refused(&range("uid", FIRST, "'0x100000000000000000'")),
        refused(&range("uid", MIDDLE, MIDDLE)),
        refused(&range("uid", END, FIRST)),
    ]
}
