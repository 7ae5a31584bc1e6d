//! From a request on a resource to the store and back.

use std::sync::Arc;

use http::{HeaderMap, header};
use serde_json::Value;

use super::accept::Shape;
use super::answer::{Answer, json};
use super::apply::{self, Applied};
use super::delete::{DeleteOptions, Deleted};
use super::faults::RequestScope;
use super::json_patch;
use super::kind::Kind;
use super::object::{Form, Version};
use super::query::{Query, parse_version};
use super::request::{RequestInfo, Verb};
use super::shared::Shared;
use super::state::{State, key};
use super::status::ApiStatus;
use super::validate::{decode, type_name};
use super::watch::Watch;
use super::write::{By, Edit, Target};

const CUSTOM_PATCHES: &str = "the body of the request was in an unknown format - accepted media types include: \
     application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
const BODIES: &str = "the body of the request was in an unknown format - accepted media types include: \
     application/json, application/yaml, application/vnd.kubernetes.protobuf";

pub(super) fn answer(
    shared: &Arc<Shared>,
    info: &RequestInfo,
    headers: &HeaderMap,
    shape: Shape,
    scope: RequestScope,
    body: &[u8],
) -> Result<Answer, ApiStatus> {
    let mut state = shared.state();
    let (id, kind) = resolve(&state, info)?;
    let namespace = info.namespace.as_deref();
    let media_type = media_type(headers);
    let manager = apply::manager(info, headers);
    let by = By { manager: &manager, dry_run: dry_run(info) };
    match info.verb {
        Verb::List => {
            let partial = shape.for_list()?;
            let query = Query::parse(&info.query, &kind, shared.knows_shards())?;
            let page = state.list(id, namespace, &query)?;
            // The items are shared. The text is assembled outside the lock.
            drop(state);
            Ok(Answer::Json(200, page.body(&kind, partial)))
        }
        Verb::Watch => {
            let query = Query::parse(&info.query, &kind, shared.knows_shards())?;
            let partial = shape != Shape::Whole;
            let watch = Watch::start(shared, &state, id, namespace, query, partial, scope)?;
            Ok(Answer::Watch(Box::new(watch)))
        }
        Verb::Get => {
            let asked = match info.parameter("resourceVersion") {
                "" => 0,
                text => parse_version(text).map_err(ApiStatus::internal)?,
            };
            if asked > state.version() {
                return Err(ApiStatus::too_large_version(asked, state.version()));
            }
            match state.collection(id)?.get(&key(namespace, &info.name)) {
                Some(object) => Ok(one(200, object, shape)),
                None => Err(ApiStatus::not_found(&kind, &info.name)),
            }
        }
        Verb::Create => {
            check_body_type(media_type)?;
            apply::check_options(info, false)?;
            let object = decode(&kind, body)?;
            let stored = state.create(&kind.name(), namespace, object, by)?;
            Ok(one(201, &stored, shape))
        }
        Verb::Update | Verb::Patch => {
            let status = info.subresource == "status";
            let target = Target { resource: &kind.name(), namespace, name: &info.name, status, by };
            let edit = match info.verb {
                Verb::Update => {
                    check_body_type(media_type)?;
                    apply::check_options(info, false)?;
                    Edit::Replace(decode(&kind, body)?)
                }
                _ if media_type == "application/apply-patch+yaml" => {
                    apply::check_options(info, true)?;
                    let applied = Applied::parse(&kind, body, apply::force(info))?;
                    let (created, stored) = state.apply(target, applied)?;
                    return Ok(one(if created { 201 } else { 200 }, &stored, shape));
                }
                _ => {
                    let edit = patch(&kind, media_type, body)?;
                    apply::check_options(info, false)?;
                    edit
                }
            };
            let stored = state.edit(target, edit)?;
            Ok(one(200, &stored, shape))
        }
        Verb::Delete => {
            let options = delete_options(info, body)?;
            let deleted = state.delete(&kind.name(), namespace, &info.name, &options)?;
            match (&deleted, shape) {
                (Deleted::Waiting(object), Shape::Partial) => Ok(one(200, object, shape)),
                _ => Ok(json(200, &deleted.answer(&kind))),
            }
        }
        Verb::DeleteCollection => {
            let query = Query::parse(&info.query, &kind, shared.knows_shards())?;
            let options = delete_options(info, body)?;
            let page = state.delete_collection(&kind.name(), namespace, &query, &options)?;
            Ok(Answer::Json(200, page.body(&kind, shape == Shape::PartialList)))
        }
        Verb::Other => Err(ApiStatus::method_not_allowed(&kind, "")),
    }
}

/// The collection that a path names, or the 404 or 405 of a real server.
fn resolve(state: &State, info: &RequestInfo) -> Result<(u64, Arc<Kind>), ApiStatus> {
    let known_group = |custom: bool| {
        state.kinds().any(|kind| {
            kind.group() == info.group && kind.version() == info.version && kind.is_custom() == custom
        })
    };
    let unknown =
        || if known_group(false) { ApiStatus::no_such_resource() } else { ApiStatus::page_not_found() };
    let id = state.find(&info.resource()).ok_or_else(unknown)?;
    let kind = state.collection(id)?.kind().clone();
    let scoped = kind.is_namespaced() == info.namespace.is_some();
    let all_namespaces = kind.is_namespaced() && info.namespace.is_none() && info.name.is_empty();
    let across = all_namespaces && matches!(info.verb, Verb::List | Verb::Watch);
    if kind.version() != info.version || info.too_long {
        return Err(unknown());
    }
    if !scoped && !across {
        if all_namespaces && !kind.is_custom() {
            return Err(ApiStatus::method_not_allowed(&kind, info.verb.name()));
        }
        return Err(if kind.is_custom() {
            ApiStatus::page_not_found()
        } else {
            ApiStatus::no_such_resource()
        });
    }
    let on_status = info.subresource == "status" && kind.has_status();
    if !info.subresource.is_empty() && !on_status {
        return Err(if kind.is_custom() {
            ApiStatus::not_found(&kind, &info.name)
        } else {
            ApiStatus::no_such_resource()
        });
    }
    let allowed = match info.verb {
        Verb::Get | Verb::List => true,
        Verb::Watch => kind.can_be_watched(),
        Verb::Create => !on_status && (info.name.is_empty() || kind.is_custom()),
        Verb::Update | Verb::Patch if info.name.is_empty() && kind.is_custom() => {
            return Err(ApiStatus::bad_request("name must be provided"));
        }
        Verb::Update | Verb::Patch => !info.name.is_empty(),
        Verb::Delete | Verb::DeleteCollection => !on_status,
        Verb::Other => false,
    };
    if !allowed {
        let verb = if info.verb == Verb::Other { "" } else { info.verb.name() };
        return Err(ApiStatus::method_not_allowed(&kind, verb));
    }
    Ok((id, kind))
}

fn one(code: u16, object: &Version, shape: Shape) -> Answer {
    Answer::Json(code, object.bytes(if shape == Shape::Partial { Form::Partial } else { Form::Full }))
}

fn dry_run(info: &RequestInfo) -> bool {
    !info.parameter("dryRun").is_empty()
}

fn media_type(headers: &HeaderMap) -> &str {
    let content = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content.split(';').next().unwrap_or_default().trim()
}

fn check_body_type(media_type: &str) -> Result<(), ApiStatus> {
    match media_type {
        "" | "application/json" => Ok(()),
        _ => Err(ApiStatus::new(415, "UnsupportedMediaType", BODIES)),
    }
}

fn patch(kind: &Kind, media_type: &str, body: &[u8]) -> Result<Edit, ApiStatus> {
    let undecodable = |why: &str| ApiStatus::bad_request(format!("error decoding patch: {why}"));
    let parsed =
        || serde_json::from_slice::<Value>(body).map_err(|_| undecodable("unexpected end of JSON input"));
    match media_type {
        "application/merge-patch+json" => {}
        // A merge patch has the same effect, except for lists that are patched by a merge key.
        "application/strategic-merge-patch+json" if !kind.is_custom() => {}
        "application/json-patch+json" => {
            return json_patch::parse(parsed()?).map(Edit::Json);
        }
        _ if kind.is_custom() => return Err(ApiStatus::new(415, "UnsupportedMediaType", CUSTOM_PATCHES)),
        _ => return Err(ApiStatus::unsupported_media_type()),
    }
    let patch = parsed()?;
    if !patch.is_object() {
        return Err(undecodable(&format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            type_name(&patch)
        )));
    }
    Ok(Edit::Merge(patch))
}

fn delete_options(info: &RequestInfo, body: &[u8]) -> Result<DeleteOptions, ApiStatus> {
    let mut options = DeleteOptions::parse(body)?;
    if let Some((_, policy)) = info.query.iter().find(|(key, _)| key == "propagationPolicy") {
        options.propagation = Some(policy.clone());
    }
    options.dry_run |= dry_run(info);
    Ok(options)
}
