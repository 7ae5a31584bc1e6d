//! A small, complete controller: two informers, an index, a work queue, a reconcile function, a graceful stop.
//!
//! ```text
//! cargo run --example controller
//!
//! namespaces -changes-> its own key ---.
//! pods       -changes-> its namespace --+-> queue -> workers -> reconcile -> patch, only if the count differs
//! ```
//!
//! It keeps the number of pods of each namespace in an annotation of that namespace.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube_client::api::{Patch, PatchParams};
use kube_client::{Api, Client};
use kube_core::ResourceExt as _;
use kube_informer::queue::{Action, WorkQueue, Workers, workers};
use kube_informer::testing::ApiServer;
use kube_informer::{End, Index, Informer, ObjectKey, index};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The annotation that the controller owns.
const PODS: &str = "example.dev/pods";

/// How long each step may take: the first lists, a write until the watch delivers it, the last reconciles.
const WITHIN: Duration = Duration::from_secs(10);

/// The data that the reconciles share: the caches that they read, and the client with which they write.
struct Shared {
    namespaces: Informer<Namespace>,
    /// Only the keys of the pods: the cache keeps `()` of each pod.
    pods: Informer<()>,
    pods_by_namespace: Index<(), String>,
    api: Api<Namespace>,
}

/// The running controller.
struct Controller {
    shared: Arc<Shared>,
    feeds: JoinSet<Option<End>>,
    queue: WorkQueue<ObjectKey>,
    workers: Workers<ObjectKey>,
}

impl Controller {
    async fn start(client: Client, concurrency: usize) -> anyhow::Result<Self> {
        let mut pods = Informer::builder(Api::<Pod>::all(client.clone())).project(|_: Pod| ());
        let pods_by_namespace = pods.index(index::namespace());
        let (pods, api) = (pods.start(), Api::<Namespace>::all(client));
        let namespaces = Informer::builder(api.clone()).start();

        // The caches are complete before the first reconcile: a pod not yet listed would be missing in a count.
        timeout(WITHIN, pods.synced_or_blocked()).await??;
        timeout(WITHIN, namespaces.synced_or_blocked()).await??;

        // From a change to the keys to reconcile. The first batch of `namespaces` queues every namespace.
        let queue = WorkQueue::new();
        let mut feeds = JoinSet::new();
        feeds.spawn(
            namespaces.subscribe().feed(queue.clone(), |change, _, emit| emit(change.key().to_owned())),
        );
        feeds.spawn(
            pods.subscribe()
                .feed(queue.clone(), |change, _, emit| emit(ObjectKey::cluster(change.key().namespace()))),
        );

        // A reconcile that fails is retried with backoff. No two workers reconcile the same key at the same time.
        let shared = Arc::new(Shared { namespaces, pods, pods_by_namespace, api });
        let reconciled = shared.clone();
        let workers = workers(&queue, concurrency, move |key| {
            let shared = reconciled.clone();
            async move { reconcile(&shared, &key).await }
        });
        Ok(Self { shared, feeds, queue, workers })
    }

    /// Adds no more keys, finishes those in the queue, and stops the informers. A real controller calls this after
    /// Ctrl-C or SIGTERM.
    async fn shutdown(mut self) -> anyhow::Result<()> {
        self.feeds.shutdown().await;
        self.workers.shutdown(WITHIN).await?;
        self.shared.namespaces.shutdown().await;
        self.shared.pods.shutdown().await;
        Ok(())
    }
}

/// Brings one namespace to the desired state. It compares the actual state with the desired one, and does not depend
/// on which change led to it.
async fn reconcile(shared: &Shared, key: &ObjectKey) -> anyhow::Result<Action> {
    let (namespaces, pods) = (shared.namespaces.snapshot(), shared.pods.snapshot());
    let Some(namespace) = namespaces.get(key) else { return Ok(Action::await_change()) }; // it was deleted
    let count = pods.by_index(&shared.pods_by_namespace, key.name()).len().to_string();
    if namespace.annotations().get(PODS) == Some(&count) {
        return Ok(Action::await_change());
    }
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { PODS: count } } }));
    println!("  reconcile: writes {PODS}={count} to namespace {}", key.name());
    let written = shared.api.patch(key.name(), &PatchParams::default(), &patch).await?;
    // The next reconcile of this key must not compare with the annotation from before this write.
    timeout(WITHIN, shared.namespaces.at_least(&written)).await??;
    Ok(Action::await_change())
}

// The rest is the demonstration: an API server in this process, and changes for the controller to react to.

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
    let controller = Controller::start(Client::new(server.service(), "default"), cli.workers.into()).await?;
    for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        wait_for(&server, namespace, "0").await?;
    }
    wait_for(&server, "shop", "2").await?;
    wait_for(&server, "blog", "1").await?;

    println!("a pod is created in shop:");
    create_pod(&server, "shop", "search")?;
    wait_for(&server, "shop", "3").await?;

    println!("a label of a pod changes, which changes no count:");
    server.merge_patch("pods", "blog", "posts", json!({ "metadata": { "labels": { "tier": "web" } } }))?;

    println!("another client overwrites the annotation of blog:");
    server.merge_patch(
        "namespaces",
        None,
        "blog",
        json!({ "metadata": { "annotations": { PODS: "99" } } }),
    )?;
    wait_for(&server, "blog", "1").await?;

    println!("the controller stops and finishes what is in its queue");
    let queue = controller.queue.clone();
    controller.shutdown().await?;
    let (reconciles, requests) = (queue.stats().work.count(), server.requests());
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
