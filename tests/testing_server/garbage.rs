//! The garbage collector.

use http::Method;
use kube_informer::testing::{ApiServer, Kind};
use serde_json::{Value, json};

use super::support::{client, send};

const MAPS: &str = "configmaps";

fn server() -> ApiServer {
    ApiServer::builder()
        .kind(Kind::cluster("example.com", "v1", "Zone", "zones"))
        .garbage_collection(true)
        .build()
}

fn map(name: &str, owners: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "ownerReferences": owners },
    })
}

fn owner_of(object: &Value, blocks: bool) -> Value {
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"], "blockOwnerDeletion": blocks,
    })
}

/// Creates a ConfigMap with these owners.
fn owned(server: &ApiServer, name: &str, owners: &[&Value]) -> Value {
    let owners: Value = owners.iter().map(|owner| owner_of(owner, true)).collect();
    server.create(map(name, owners)).unwrap()
}

fn names(server: &ApiServer) -> Vec<String> {
    let list = server.list(MAPS, None).unwrap();
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(name).collect()
}

async fn delete(server: &ApiServer, name: &str, policy: &str) -> (u16, Value) {
    let path = format!("/api/v1/namespaces/default/configmaps/{name}?propagationPolicy={policy}");
    send(&client(server), Method::DELETE, &path, "application/json", Value::Null).await
}

fn finalizers(server: &ApiServer, name: &str) -> Value {
    server.get(MAPS, "default", name).unwrap()["metadata"]["finalizers"].clone()
}

#[test]
fn without_it_dependents_stay() {
    let server = ApiServer::new();
    let owner = owned(&server, "owner", &[]);
    owned(&server, "dependent", &[&owner]);
    server.delete(MAPS, "default", "owner").unwrap();
    assert_eq!(names(&server), ["dependent"]);
}

#[test]
fn dependents_of_dependents_go_too() {
    let server = server();
    let a = owned(&server, "a", &[]);
    let b = owned(&server, "b", &[&a]);
    let c = owned(&server, "c", &[&b]);
    owned(&server, "d", &[&c]);
    owned(&server, "other", &[]);
    server.delete(MAPS, "default", "a").unwrap();
    assert_eq!(names(&server), ["other"]);
}

#[test]
fn a_dependent_goes_with_the_last_of_its_owners() {
    let server = server();
    let (a, b) = (owned(&server, "a", &[]), owned(&server, "b", &[]));
    owned(&server, "c", &[&a, &b]);
    server.delete(MAPS, "default", "a").unwrap();
    let left = server.get(MAPS, "default", "c").unwrap();
    assert_eq!(left["metadata"]["ownerReferences"], json!([owner_of(&b, true)]));
    server.delete(MAPS, "default", "b").unwrap();
    assert!(names(&server).is_empty());
}

#[test]
fn an_owner_that_never_was_is_absent() {
    let server = server();
    let never = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "never" });
    server.create(map("a", json!([never]))).unwrap();
    assert!(names(&server).is_empty());
    // So is the owner of that name which is another object, and not one whose kind is misspelt.
    let owner = owned(&server, "owner", &[]);
    let mut other = owner_of(&owner, false);
    other["uid"] = json!("other");
    server.create(map("b", json!([other]))).unwrap();
    let mut misspelt = owner_of(&owner, false);
    misspelt["kind"] = json!("Map");
    server.create(map("c", json!([misspelt]))).unwrap();
    assert_eq!(names(&server), ["c", "owner"]);
}

#[test]
fn references_are_followed_from_the_write_that_makes_them() {
    let server = server();
    let owner = owned(&server, "owner", &[]);
    owned(&server, "a", &[]);
    let adopted = json!({ "metadata": { "ownerReferences": [owner_of(&owner, false)] } });
    server.merge_patch(MAPS, "default", "a", adopted).unwrap();
    owned(&server, "b", &[&owner]);
    let released = json!({ "metadata": { "ownerReferences": null } });
    server.merge_patch(MAPS, "default", "b", released).unwrap();
    server.delete(MAPS, "default", "owner").unwrap();
    assert_eq!(names(&server), ["b"]);
}

#[test]
fn namespaces_decide_which_owner_counts() {
    let server = server();
    server.create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "far" } })).unwrap();
    let zone = json!({ "apiVersion": "example.com/v1", "kind": "Zone", "metadata": { "name": "z" } });
    let zone = server.create(zone).unwrap();
    owned(&server, "of-zone", &[&zone]);
    let near = owned(&server, "near", &[]);
    // An owner in another namespace is absent.
    let mut far = map("far", json!([owner_of(&near, false)]));
    far["metadata"]["namespace"] = json!("far");
    server.create(far).unwrap();
    assert_eq!(names(&server), ["near", "of-zone"]);
    server.delete("zones.example.com", None, "z").unwrap();
    assert_eq!(names(&server), ["near"]);
}

#[tokio::test]
async fn in_the_foreground_an_owner_waits_for_those_that_block_it() {
    let server = server();
    let owner = owned(&server, "owner", &[]);
    owned(&server, "free", &[&owner]);
    let held = json!({ "metadata": { "finalizers": ["example.com/f"] } });
    owned(&server, "held", &[&owner]);
    server.merge_patch(MAPS, "default", "held", held).unwrap();

    let (code, body) = delete(&server, "owner", "Foreground").await;
    assert_eq!(code, 200);
    assert!(body["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(names(&server), ["held", "owner"]);
    assert_eq!(finalizers(&server, "owner"), json!(["foregroundDeletion"]));

    let done = json!({ "metadata": { "finalizers": null } });
    server.merge_patch(MAPS, "default", "held", done).unwrap();
    assert!(names(&server).is_empty());
}

#[tokio::test]
async fn in_the_foreground_an_owner_does_not_wait_for_others() {
    let server = server();
    let owner = owned(&server, "owner", &[]);
    let mut held = map("held", json!([owner_of(&owner, false)]));
    held["metadata"]["finalizers"] = json!(["example.com/f"]);
    server.create(held).unwrap();
    delete(&server, "owner", "Foreground").await;
    assert_eq!(names(&server), ["held"]);
    assert!(server.get(MAPS, "default", "held").unwrap()["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test]
async fn in_the_foreground_a_chain_goes_from_its_end() {
    let server = server();
    let a = owned(&server, "a", &[]);
    let b = owned(&server, "b", &[&a]);
    let c = owned(&server, "c", &[&b]);
    let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    delete(&server, "a", "Foreground").await;
    assert!(names(&server).is_empty());
    let path = format!("/api/v1/configmaps?watch=true&timeoutSeconds=1&resourceVersion={}", version(&c));
    let (_, body) = send(&client(&server), Method::GET, &path, "application/json", Value::Null).await;
    let deleted: Vec<String> = serde_json::Deserializer::from_str(body.as_str().unwrap())
        .into_iter::<Value>()
        .map(|event| event.unwrap())
        .filter(|event| event["type"] == "DELETED")
        .map(|event| event["object"]["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(deleted, ["c", "b", "a"]);
}

#[tokio::test]
async fn orphans_lose_their_owner_and_stay() {
    let server = server();
    let (owner, other) = (owned(&server, "owner", &[]), owned(&server, "other", &[]));
    owned(&server, "a", &[&owner]);
    owned(&server, "b", &[&owner, &other]);
    delete(&server, "owner", "Orphan").await;
    assert_eq!(names(&server), ["a", "b", "other"]);
    assert!(server.get(MAPS, "default", "a").unwrap()["metadata"].get("ownerReferences").is_none());
    let left = server.get(MAPS, "default", "b").unwrap();
    assert_eq!(left["metadata"]["ownerReferences"], json!([owner_of(&other, true)]));
}

#[test]
fn an_owner_with_finalizers_keeps_its_dependents_until_it_is_gone() {
    let server = server();
    let mut owner = map("owner", json!([]));
    owner["metadata"]["finalizers"] = json!(["example.com/f"]);
    let owner = server.create(owner).unwrap();
    owned(&server, "a", &[&owner]);
    server.delete(MAPS, "default", "owner").unwrap();
    assert_eq!(names(&server), ["a", "owner"]);
    server.merge_patch(MAPS, "default", "owner", json!({ "metadata": { "finalizers": null } })).unwrap();
    assert!(names(&server).is_empty());
}
