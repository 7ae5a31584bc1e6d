//! Features of an informer beyond the quickstart, a few lines each, on an API server in this process.
//!
//! ```text
//! cargo run --example tour
//! ```
//!
//! See `quickstart` for the start, `controller` for a whole controller, and `inspect` for the stats.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::api::{Patch, PatchParams};
use kube_client::{Api, Client};
use kube_informer::testing::ApiServer;
use kube_informer::{Config, Informer, Limits, Obj, Selector, View, index};
use kube_runtime::{WatchStreamExt as _, watcher};
use serde_json::json;
use tokio::time::timeout;

/// Longer than any step here takes. Put a timeout around each wait, also with a real API server.
const SOON: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if std::env::args().len() > 1 {
        println!("usage: tour   (no options: it needs no cluster)");
        return Ok(());
    }
    let server = ApiServer::new();
    for namespace in ["shop", "blog"] {
        server
            .create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }))?;
    }
    for (namespace, name, tier) in
        [("shop", "cart", "web"), ("shop", "stock", "db"), ("blog", "posts", "db"), ("blog", "pages", "web")]
    {
        server.create(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": { "size": "1" },
            "metadata": { "namespace": namespace, "name": name, "labels": { "tier": tier } },
        }))?;
    }
    let client = Client::new(server.service(), "default");

    // Limits: a broken or hostile server cannot make this process run out of memory.
    let limits = Limits::new().object_bytes(1 << 20).page_bytes(64 << 20).pages(1000);
    let mut maps =
        Informer::builder(Api::<ConfigMap>::all(client.clone())).config(Config::new().limits(limits));
    let by_namespace = maps.index(index::namespace());
    let by_tier = maps.index(index::label("tier"));
    let maps = maps.start();
    timeout(SOON, maps.synced()).await??;

    // Several conditions at once, without a copy: the intersection of two indexes, or a label selector.
    let snapshot = maps.snapshot();
    let databases = snapshot.by_index(&by_namespace, "shop").and(snapshot.by_index(&by_tier, "db"));
    println!("by two indexes:    {}", keys(databases));
    let selector: Selector = "tier in (web,proxy),!retired".parse()?;
    println!("by a selector:     {}", keys(snapshot.by_index(&by_namespace, "blog").select(&selector)));

    // An index added to a running informer. Readers continue while it is built.
    let by_size = maps.add_index(size).await?;
    println!("by a late index:   {} of size 1", maps.read(|view| view.by_index(&by_size, "1").len()));

    // Read your own write; wait for any condition on a snapshot.
    let shop = Api::<ConfigMap>::namespaced(client.clone(), "shop");
    let larger = Patch::Merge(json!({ "data": { "size": "20" } }));
    let written = shop.patch("cart", &PatchParams::default(), &larger).await?;
    let after = timeout(SOON, maps.at_least(&written)).await??;
    println!("after a write:     {} of size 20", after.by_index(&by_size, "20").len());
    shop.delete("stock", &Default::default()).await?;
    timeout(SOON, maps.wait_until(|view: &View<_>| view.get(("shop", "stock")).is_none())).await??;

    // A restarted consumer resumes from its last snapshot: the first batch has everything that changed since.
    let mut changes = maps.subscribe_from(&snapshot);
    let batch = timeout(SOON, changes.next()).await?.context("the informer runs")?;
    let mut missed: Vec<String> = batch.changes().map(|change| format!("{change:?}")).collect();
    missed.sort();
    println!("since a snapshot:  {}", missed.join("; "));

    // List everything again and reuse nothing: for content that changed without a new resourceVersion.
    let renewed = timeout(SOON, maps.refresh()).await??;
    println!("after a refresh:   {} objects", renewed.len());

    // kube-runtime's watcher can feed an informer, with weaker guarantees: see docs/GUARANTEES.md.
    let events = watcher(Api::<ConfigMap>::all(client), watcher::Config::default()).default_backoff();
    let watched = Informer::from_stream(events).start();
    timeout(SOON, watched.synced()).await??;
    println!("fed by a watcher:  {} objects", watched.snapshot().len());

    // The health of the informer on one line; `stats()` has the numbers.
    println!("{maps:?}");
    watched.shutdown().await;
    maps.shutdown().await;
    Ok(())
}

fn size(map: &ConfigMap) -> String {
    map.data.as_ref().and_then(|data| data.get("size")).cloned().unwrap_or_default()
}

fn keys<'a>(objects: impl Iterator<Item = &'a Obj<ConfigMap>>) -> String {
    objects.map(|object| Obj::key(object).to_string()).collect::<Vec<_>>().join(", ")
}
