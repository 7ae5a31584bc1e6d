//! Requests that clients send before those for objects: versions, groups, resources, health.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, json};
use super::kind::Kind;
use super::state::State;
use super::status::ApiStatus;

pub(super) fn answer(state: &State, method: &Method, path: &str) -> Result<Answer, ApiStatus> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(ApiStatus::page_not_found());
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let value = match parts.as_slice() {
        ["readyz" | "livez" | "healthz", ..] => return Ok(Answer::Text(200, Bytes::from_static(b"ok"))),
        ["version"] => json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "",
        }),
        ["api"] => json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        ["apis"] => {
            let groups: Vec<Value> =
                groups(state).iter().map(|(name, version)| group(name, version)).collect();
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
        }
        ["apis", name] => match groups(state).get(*name) {
            Some(version) => {
                let mut group = group(name, version);
                group["kind"] = json!("APIGroup");
                group["apiVersion"] = json!("v1");
                group
            }
            None => return Err(ApiStatus::page_not_found()),
        },
        ["api", "v1"] => resources(state, "", "v1")?,
        ["apis", name, version] => resources(state, name, version)?,
        _ => return Err(ApiStatus::page_not_found()),
    };
    Ok(json(200, &value))
}

fn groups(state: &State) -> BTreeMap<String, String> {
    let named = state.kinds().filter(|kind| !kind.group().is_empty());
    named.map(|kind| (kind.group().to_owned(), kind.version().to_owned())).collect()
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    json!({ "name": name, "versions": [version], "preferredVersion": version })
}

fn resources(state: &State, group: &str, version: &str) -> Result<Value, ApiStatus> {
    let mut kinds: Vec<&Kind> = state
        .kinds()
        .map(|kind| &**kind)
        .filter(|kind| kind.group() == group && kind.version() == version)
        .collect();
    let Some(first) = kinds.first() else { return Err(ApiStatus::page_not_found()) };
    let group_version = first.api_version();
    kinds.sort_by(|a, b| a.plural().cmp(b.plural()));
    let mut resources = Vec::new();
    for kind in kinds {
        let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        let verbs = if kind.can_be_watched() { &verbs[..] } else { &verbs[..7] };
        resources.push(json!({
            "name": kind.plural(), "singularName": kind.singular(), "namespaced": kind.is_namespaced(),
            "kind": kind.kind(), "verbs": verbs,
        }));
        if kind.has_status() {
            resources.push(json!({
                "name": format!("{}/status", kind.plural()), "singularName": "",
                "namespaced": kind.is_namespaced(), "kind": kind.kind(), "verbs": ["get", "patch", "update"],
            }));
        }
    }
    Ok(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    }))
}
