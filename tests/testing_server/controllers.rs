//! Controllers written with kube-runtime, unchanged, on the in-process server.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{self, finalizer};
use kube::runtime::wait::{Condition, await_condition};
use kube::runtime::watcher;
use kube_client::api::{DeleteParams, Patch, PatchParams};
use kube_client::{Api, Client, Error};
use kube_core::{Resource, ResourceExt};
use kube_informer::testing::{ApiServer, Kind};
use serde_json::{Value, json};

use super::typed::{ConfigMapGenerator, Document, DocumentStatus, api_version};

const FINALIZER: &str = "documents.example.com/cleanup";
const DOCUMENTS: &str = "documents.example.com";
const GENERATORS: &str = "configmapgenerators.example.com";
const EVENTS: &str = "events.events.k8s.io";

fn server() -> ApiServer {
    ApiServer::builder()
        .kind(Kind::namespaced("example.com", "v1", "ConfigMapGenerator", "configmapgenerators"))
        .kind(Kind::namespaced("example.com", "v1", "Document", "documents").with_status())
        .garbage_collection(true)
        .managed_fields(true)
        .build()
}

fn client(server: &ApiServer) -> Client {
    Client::new(server.service(), "default")
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": api_version(), "kind": kind, "metadata": { "name": name }, "spec": spec })
}

/// Waits for a condition. On the paused clock, a controller that does nothing fails at once.
async fn until<K>(api: &Api<K>, name: &str, condition: impl Condition<K>)
where
    K: Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + Resource + 'static,
{
    let done = await_condition(api.clone(), name, condition);
    tokio::time::timeout(Duration::from_secs(3600), done).await.expect("the controller did it").unwrap();
}

// --- A generator of ConfigMaps, which it owns ---

async fn generate(generator: Arc<ConfigMapGenerator>, client: Arc<Client>) -> Result<Action, Error> {
    let namespace = generator.namespace().unwrap_or_default();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": generator.name_any(),
            "ownerReferences": [generator.controller_owner_ref(&())],
        },
        "data": { "content": generator.spec.content },
    });
    let maps = Api::<ConfigMap>::namespaced((*client).clone(), &namespace);
    let params = PatchParams::apply("configmapgen").force();
    maps.patch(&generator.name_any(), &params, &Patch::Apply(map)).await?;
    Ok(Action::await_change())
}

async fn run_generator(client: Client) -> Infallible {
    let generators = Api::<ConfigMapGenerator>::all(client.clone());
    Controller::new(generators, watcher::Config::default())
        .owns(Api::<ConfigMap>::all(client.clone()), watcher::Config::default())
        .run(generate, |_, _: &Error, _| Action::requeue(Duration::from_secs(5)), Arc::new(client))
        .for_each(|_| ready(()))
        .await;
    unreachable!("a controller runs until it is dropped")
}

fn has_content(content: &'static str) -> impl Condition<ConfigMap> {
    move |map: Option<&ConfigMap>| {
        map.and_then(|map| map.data.as_ref()?.get("content")).is_some_and(|found| found == content)
    }
}

#[tokio::test(start_paused = true)]
async fn a_generator_keeps_its_config_map() {
    let server = server();
    let test = async {
        let maps = Api::<ConfigMap>::namespaced(client(&server), "default");
        server.create(object("ConfigMapGenerator", "g", json!({ "content": "one" }))).unwrap();
        until(&maps, "g", has_content("one")).await;

        server.merge_patch(GENERATORS, "default", "g", json!({ "spec": { "content": "two" } })).unwrap();
        until(&maps, "g", has_content("two")).await;

        // Another manager's key stays; a deleted map comes back without it.
        server.merge_patch("configmaps", "default", "g", json!({ "data": { "other": "x" } })).unwrap();
        server.merge_patch("configmaps", "default", "g", json!({ "data": { "content": "x" } })).unwrap();
        until(&maps, "g", has_content("two")).await;
        assert_eq!(server.get("configmaps", "default", "g").unwrap()["data"]["other"], "x");
        server.delete("configmaps", "default", "g").unwrap();
        until(&maps, "g", has_content("two")).await;
        assert!(server.get("configmaps", "default", "g").unwrap()["data"].get("other").is_none());

        server.delete(GENERATORS, "default", "g").unwrap();
        assert_eq!(server.count("configmaps"), 0, "the garbage collector left the map");
    };
    tokio::select! {
        never = run_generator(client(&server)) => match never {},
        () = test => {}
    }
}

// --- Documents, with a status, events and a cleanup ---

struct Context {
    client: Client,
    recorder: Recorder,
}

impl Context {
    async fn publish(&self, document: &Document, reason: &str) -> Result<(), Error> {
        let event = Event {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            note: Some(format!("{} is handled", document.name_any())),
            action: "Handle".to_owned(),
            secondary: None,
        };
        self.recorder.publish(&event, &document.object_ref(&())).await
    }
}

async fn handle(document: Arc<Document>, context: Arc<Context>) -> Result<Action, finalizer::Error<Error>> {
    let documents =
        Api::<Document>::namespaced(context.client.clone(), &document.namespace().unwrap_or_default());
    finalizer(&documents, FINALIZER, document, |event| async {
        match event {
            finalizer::Event::Apply(document) => {
                let hidden = document.spec.hide;
                if hidden && document.status.as_ref().is_none_or(|status| !status.hidden) {
                    context.publish(&document, "Hidden").await?;
                }
                let status = json!({
                    "apiVersion": api_version(), "kind": "Document", "status": { "hidden": hidden },
                });
                let params = PatchParams::apply("documents").force();
                documents.patch_status(&document.name_any(), &params, &Patch::Apply(status)).await?;
                Ok(Action::requeue(Duration::from_secs(300)))
            }
            finalizer::Event::Cleanup(document) => {
                context.publish(&document, "Deleted").await?;
                Ok(Action::await_change())
            }
        }
    })
    .await
}

async fn run_documents(client: Client) -> Infallible {
    let reporter = Reporter::from("documents");
    let context = Context { recorder: Recorder::new(client.clone(), reporter), client: client.clone() };
    Controller::new(Api::<Document>::all(client), watcher::Config::default())
        .run(handle, |_, _, _| Action::requeue(Duration::from_secs(5)), Arc::new(context))
        .for_each(|_| ready(()))
        .await;
    unreachable!("a controller runs until it is dropped")
}

fn is_hidden(hidden: bool) -> impl Condition<Document> {
    move |document: Option<&Document>| {
        document.and_then(|document| document.status.as_ref()) == Some(&DocumentStatus { hidden })
    }
}

fn reasons(server: &ApiServer) -> Vec<String> {
    let events = server.list(EVENTS, "default").unwrap();
    let reason = |event: &Value| event["reason"].as_str().unwrap().to_owned();
    let mut reasons: Vec<String> = events["items"].as_array().unwrap().iter().map(reason).collect();
    reasons.sort();
    reasons
}

#[tokio::test(start_paused = true)]
async fn documents_are_handled_and_cleaned_up() {
    let server = server();
    let test = async {
        let documents = Api::<Document>::namespaced(client(&server), "default");
        server.create(object("Document", "d", json!({ "title": "t", "hide": false }))).unwrap();
        until(&documents, "d", is_hidden(false)).await;
        server.merge_patch(DOCUMENTS, "default", "d", json!({ "spec": { "hide": true } })).unwrap();
        until(&documents, "d", is_hidden(true)).await;
        assert_eq!(reasons(&server), ["Hidden"]);

        let stored = server.get(DOCUMENTS, "default", "d").unwrap();
        assert_eq!(stored["metadata"]["finalizers"], json!([FINALIZER]));
        let managers = stored["metadata"]["managedFields"].as_array().unwrap();
        let of_status: Vec<&Value> =
            managers.iter().filter(|manager| manager["subresource"] == "status").collect();
        assert_eq!(of_status.len(), 1);
        assert_eq!(of_status[0]["manager"], "documents");
        assert_eq!(of_status[0]["fieldsV1"], json!({ "f:status": { ".": {}, "f:hidden": {} } }));

        documents.delete("d", &DeleteParams::default()).await.unwrap();
        until(&documents, "d", |document: Option<&Document>| document.is_none()).await;
        assert_eq!(reasons(&server), ["Deleted", "Hidden"]);
    };
    tokio::select! {
        never = run_documents(client(&server)) => match never {},
        () = test => {}
    }
}

// --- The helper by itself ---

#[tokio::test]
async fn the_finalizer_helper_adds_its_finalizer_and_removes_it_after_the_cleanup() {
    let server = server();
    let documents = Api::<Document>::namespaced(client(&server), "default");
    server.create(object("Document", "d", json!({ "title": "t", "hide": false }))).unwrap();
    let step = async || {
        let document = Arc::new(documents.get("d").await.unwrap());
        let mut seen = "nothing";
        finalizer(&documents, FINALIZER, document, |event| {
            seen = match event {
                finalizer::Event::Apply(_) => "apply",
                finalizer::Event::Cleanup(_) => "cleanup",
            };
            ready(Ok::<_, Infallible>(Action::await_change()))
        })
        .await
        .unwrap();
        seen
    };
    assert_eq!(step().await, "nothing", "the finalizer comes first");
    assert_eq!(server.get(DOCUMENTS, "default", "d").unwrap()["metadata"]["finalizers"], json!([FINALIZER]));
    assert_eq!(step().await, "apply");
    // Behind the finalizer of another controller.
    let both = json!({ "metadata": { "finalizers": ["example.com/other", FINALIZER] } });
    server.merge_patch(DOCUMENTS, "default", "d", both).unwrap();
    server.delete(DOCUMENTS, "default", "d").unwrap();
    assert_eq!(step().await, "cleanup");
    assert_eq!(
        server.get(DOCUMENTS, "default", "d").unwrap()["metadata"]["finalizers"],
        json!(["example.com/other"])
    );
    assert_eq!(step().await, "nothing", "the other controller's turn");
    server.merge_patch(DOCUMENTS, "default", "d", json!({ "metadata": { "finalizers": null } })).unwrap();
    assert_eq!(server.get(DOCUMENTS, "default", "d").unwrap_err().code(), 404);
}
