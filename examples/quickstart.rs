//! An informer on one screen: start it, look objects up, follow the changes.
//!
//! ```text
//! cargo run --example quickstart               an API server in this process
//! cargo run --example quickstart -- --cluster  the cluster of your kubeconfig: only reads, Ctrl-C stops it
//! ```

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube_client::{Api, Client, Config};
use kube_informer::testing::ApiServer;
use kube_informer::{Change, Informer, Obj, client_config, index};
use serde_json::json;
use tokio::time::timeout;

/// The part of a pod that the cache keeps: only the data that this program reads. The rest is dropped after decoding.
struct PodInfo {
    node: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some((client, demo)) = setup().await? else { return Ok(()) };

    // The informer. The projection says what the cache keeps of a pod.
    let mut pods = Informer::builder(Api::<Pod>::all(client))
        .project(|pod: Pod| PodInfo { node: pod.spec.and_then(|spec| spec.node_name) });

    // The indexes. A closure returns the key, or use one of the functions of `index`.
    let by_node = pods.index(|pod: &PodInfo| pod.node.clone());
    let by_namespace = pods.index(index::namespace());

    // Start, and wait for the first list. It is an error if the API server refuses it: 401, 403 or 404.
    let pods = pods.start();
    let synced = timeout(Duration::from_secs(10), pods.synced_or_blocked()).await;
    synced
        .with_context(|| format!("no list within 10 s; the last error: {:?}", pods.status().last_error))??;

    // Look up. No request, no lock, no copy; everything read from one snapshot is consistent.
    let snapshot = pods.snapshot();
    for (namespace, count) in snapshot.index_keys(&by_namespace) {
        println!("{count} pods in {namespace}");
    }
    for (node, count) in snapshot.index_keys(&by_node) {
        let names: Vec<_> = snapshot.by_index(&by_node, node).map(|pod| Obj::key(pod).to_string()).collect();
        println!("{count} pods on {node}: {}", names.join(", "));
    }

    // Follow the changes. The first batch has all objects; each later batch has the changes since the one before.
    let mut changes = pods.subscribe();
    changes.next().await;
    let mut left = demo.make_changes()?;
    while left > 0 {
        let batch = tokio::select! {
            Some(batch) = changes.next() => batch,
            _ = tokio::signal::ctrl_c() => break,
        };
        for change in batch.changes() {
            left = left.saturating_sub(1);
            match change {
                Change::Added(pod) => {
                    println!("{} is new, on {}", Obj::key(pod), pod.node.as_deref().unwrap_or("no node"))
                }
                Change::Deleted(pod) => println!("{} is gone", Obj::key(pod)),
                Change::Modified { new, .. } | Change::Replaced { new, .. } => {
                    println!("{} changed", Obj::key(new))
                }
            }
        }
    }
    pods.shutdown().await;
    Ok(())
}

// The rest is about the API server that this example talks to.

/// The API server in this process, with three pods; `None` with `--cluster`.
struct Demo(Option<ApiServer>);

/// A client of the API server that the command line asks for; `None` if it asks for help.
async fn setup() -> anyhow::Result<Option<(Client, Demo)>> {
    match std::env::args().nth(1).as_deref() {
        None => {
            let server = ApiServer::new();
            for (name, node) in [("web-1", "node-a"), ("web-2", "node-b"), ("db-1", "node-a")] {
                create_pod(&server, name, node)?;
            }
            Ok(Some((Client::new(server.service(), "default"), Demo(Some(server)))))
        }
        Some("--cluster") => {
            // `client_config` turns off kube's own retries, which would hide 429 and 5xx for minutes.
            let client = Client::try_from(client_config(Config::infer().await?))?;
            Ok(Some((client, Demo(None))))
        }
        Some(_) => {
            println!("usage: quickstart [--cluster]   (the cluster of your kubeconfig; only reads)");
            Ok(None)
        }
    }
}

impl Demo {
    /// Creates a pod and deletes one. Returns how many changes to wait for: on a real cluster, without end.
    fn make_changes(&self) -> anyhow::Result<usize> {
        let Some(server) = &self.0 else { return Ok(usize::MAX) };
        create_pod(server, "web-3", "node-b")?;
        server.delete("pods", "default", "db-1")?;
        Ok(2)
    }
}

fn create_pod(server: &ApiServer, name: &str, node: &str) -> anyhow::Result<()> {
    let metadata = json!({"namespace": "default", "name": name});
    server.create(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}}),
    )?;
    Ok(())
}
