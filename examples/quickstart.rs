//! An informer in a screenful: start it, look things up, follow the changes.
//!
//! ```text
//! cargo run --example quickstart               against an API server in this process
//! cargo run --example quickstart -- --cluster  against the cluster of your kubeconfig: only reads, Ctrl-C ends it
//! ```

use std::time::Duration;

use anyhow::bail;
use k8s_openapi::api::core::v1::Pod;
use kube_client::{Api, Client, Config};
use kube_informer::testing::ApiServer;
use kube_informer::{Change, Informer, Obj, client_config, index};
use serde_json::json;

/// What is kept of a pod: only what is looked up. The rest is dropped while it is decoded.
struct PodInfo {
    node: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cluster = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--cluster") => true,
        _ => {
            println!("usage: quickstart [--cluster]   (the cluster of your kubeconfig; only reads)");
            return Ok(());
        }
    };
    let server = (!cluster).then(ApiServer::new);
    let client = match &server {
        Some(server) => {
            for (name, node) in [("web-1", "node-a"), ("web-2", "node-b"), ("db-1", "node-a")] {
                create_pod(server, name, node)?;
            }
            Client::new(server.service(), "default")
        }
        None => {
            // kube's own retries would hide 429 and 5xx for minutes.
            Client::try_from(client_config(Config::infer().await?))?
        }
    };

    // Build: a projection decides what is kept, indexes how it is found. Then start, and wait for the first list.
    let mut pods = Informer::builder(Api::<Pod>::all(client))
        .project(|pod: Pod| PodInfo { node: pod.spec.and_then(|spec| spec.node_name) });
    let by_node = pods.index(|pod: &PodInfo| pod.node.clone());
    let by_namespace = pods.index(index::namespace());
    let pods = pods.start();
    match tokio::time::timeout(Duration::from_secs(10), pods.synced_or_blocked()).await {
        Ok(synced) => synced?, // an error when the server says no: forbidden, or a kind it does not have
        Err(_) => bail!("no list of pods within 10 s; the last error: {:?}", pods.status().last_error),
    }

    // Read: no request, no lock, no copy. Everything read from one snapshot fits together.
    let snapshot = pods.snapshot();
    for (namespace, count) in snapshot.index_keys(&by_namespace) {
        println!("{count} pods in {namespace}");
    }
    for (node, count) in snapshot.index_keys(&by_node) {
        let names: Vec<_> = snapshot.by_index(&by_node, node).map(|pod| Obj::key(pod).to_string()).collect();
        println!("{count} pods on {node}: {}", names.join(", "));
    }

    // React: the first batch is all there is, the next ones what has changed since.
    let mut changes = pods.subscribe();
    changes.next().await;
    if let Some(server) = &server {
        create_pod(server, "web-3", "node-b")?;
        server.delete("pods", "default", "db-1")?;
    }
    let mut left = if cluster { usize::MAX } else { 2 };
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

fn create_pod(server: &ApiServer, name: &str, node: &str) -> anyhow::Result<()> {
    let metadata = json!({"namespace": "default", "name": name});
    server.create(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}}),
    )?;
    Ok(())
}
