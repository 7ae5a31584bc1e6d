//! A small, complete controller: it keeps the number of pods of each namespace in an annotation of that namespace.
//!
//! ```text
//! cargo run --example controller
//!
//! namespaces -changes-> its own key ---.
//! pods       -changes-> its namespace --+-> queue -> reconcile -> patch, only if the count differs
//! ```

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube_client::api::{Patch, PatchParams};
use kube_client::{Api, Client};
use kube_core::ResourceExt as _;
use kube_informer::controller::{Action, Context, Controller};
use kube_informer::{Index, Informer, Obj, ObjectKey, index};
use serde_json::json;

/// The annotation that the controller owns.
const PODS: &str = "example.dev/pods";

/// The data that all reconciles share.
struct Shared {
    api: Api<Namespace>,
    /// Only the keys of the pods: the cache keeps `()` of each pod.
    pods: Informer<()>,
    by_namespace: Index<(), String>,
}

/// Brings one namespace to the desired state. It compares the actual state with the desired one, and does not depend
/// on which change led to it.
async fn reconcile(namespace: Obj<Namespace>, ctx: Context<Shared>) -> Result<Action, kube_client::Error> {
    let name = Obj::name(&namespace);
    let count = ctx.pods.read(|pods| pods.by_index(&ctx.by_namespace, name).len()).to_string();
    if namespace.annotations().get(PODS) != Some(&count) {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { PODS: count } } }));
        let written = ctx.api.patch(name, &PatchParams::default(), &patch).await?;
        ctx.written(&written); // the next reconcile of this namespace sees this write
        println!("  namespace {name}: {count}");
    }
    Ok(Action::await_change())
}

/// What a reconcile that failed does next: it is retried with backoff.
fn error_policy(namespace: Obj<Namespace>, error: &kube_client::Error, _: Context<Shared>) -> Action {
    eprintln!("  namespace {}: {error}", Obj::name(&namespace));
    Action::retry()
}

/// The controller, and what its reconciles share.
fn controller(client: Client, workers: usize) -> (Controller<Namespace>, Arc<Shared>) {
    let api = Api::all(client.clone());
    let namespaces = Informer::builder(api.clone()).start();
    let mut pods = Informer::builder(Api::<Pod>::all(client)).project(|_: Pod| ());
    let by_namespace = pods.index(index::namespace());
    let pods = pods.start();
    let controller = Controller::new(&namespaces)
        .watches(&pods, |change, _, emit| emit(ObjectKey::cluster(change.key().namespace())))
        .concurrency(workers);
    (controller, Arc::new(Shared { api, pods, by_namespace }))
}

// === The rest is the demonstration: an API server in this process, and changes for the controller to react to. ===

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use kube_informer::testing::ApiServer;
use tokio::time::{sleep, timeout};

/// How long each step may take.
const WITHIN: Duration = Duration::from_secs(10);

/// A small controller: keeps the number of pods of each namespace in an annotation of that namespace.
///
/// Runs briefly on an API server in this process, makes changes there, and prints the writes of the controller.
#[derive(Debug, Parser)]
#[command(name = "controller")]
struct Cli {
    /// The number of reconciles that run at the same time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    workers: u8,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let server = ApiServer::new();
    for name in ["shop", "blog"] {
        server.create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))?;
    }
    for (namespace, name) in [("shop", "cart"), ("shop", "stock"), ("blog", "posts")] {
        create_pod(&server, namespace, name)?;
    }

    println!("the controller starts; namespace shop has 2 pods, blog 1, each other namespace 0:");
    let (controller, shared) = controller(Client::new(server.service(), "default"), cli.workers.into());
    let handle = controller.handle();
    let run = tokio::spawn(async move { controller.run(reconcile, error_policy, shared).await });
    let first_pass = timeout(WITHIN, handle.first_pass()).await?;
    println!("all {} namespaces were reconciled", first_pass.keys);
    wait_for(&server, "shop", "2").await?;

    println!("a pod is created in shop:");
    create_pod(&server, "shop", "search")?;
    wait_for(&server, "shop", "3").await?;

    println!("a label of a pod changes, which changes no count:");
    server.merge_patch("pods", "blog", "posts", json!({ "metadata": { "labels": { "tier": "web" } } }))?;

    println!("another client overwrites the annotation of blog:");
    let overwritten = json!({ "metadata": { "annotations": { PODS: "99" } } });
    server.merge_patch("namespaces", None, "blog", overwritten)?;
    wait_for(&server, "blog", "1").await?;

    println!("the controller stops and finishes what is in its queue");
    handle.stop(); // a real controller does this after Ctrl-C or SIGTERM
    run.await??;
    let (reconciles, requests) = (handle.stats().succeeded, server.requests());
    let (writes, gets) = (requests.count("patch", "namespaces"), requests.sum(|verb, _, _| verb == "get"));
    println!(
        "{reconciles} reconciles sent {writes} writes and {gets} GET requests: they read from the cache"
    );
    Ok(())
}

fn create_pod(server: &ApiServer, namespace: &str, name: &str) -> anyhow::Result<()> {
    let metadata = json!({ "namespace": namespace, "name": name });
    server.create(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {} }))?;
    Ok(())
}

/// Waits until the API server has this count in the namespace's annotation.
async fn wait_for(server: &ApiServer, namespace: &str, count: &str) -> anyhow::Result<()> {
    let right = async {
        while server.get("namespaces", None, namespace)?["metadata"]["annotations"][PODS] != count {
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    timeout(WITHIN, right).await.with_context(|| format!("namespace {namespace} never had {count} pods"))?
}
