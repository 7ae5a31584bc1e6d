//! Prints the addresses behind the Services of a real cluster, and each change of them. Only reads.

use std::time::Duration;

use anyhow::Context as _;
use kube_client::{Client, Config};
use kube_informer::{Change, Obj, client_config};
use tokio::time::timeout;

use crate::derived::{Caches, Derived, Endpoints};

/// How long the first lists may take.
const WITHIN: Duration = Duration::from_secs(30);

/// Runs until Ctrl-C.
pub(crate) async fn follow() -> anyhow::Result<()> {
    let client = Client::try_from(client_config(Config::infer().await?))?;
    let caches = Caches::start(&client);
    let derived = Derived::start(&caches);
    let lists = async {
        tokio::try_join!(
            caches.services.synced_or_blocked(),
            caches.pods.synced_or_blocked(),
            caches.nodes.synced_or_blocked()
        )
    };
    let missing = || format!("no list within {WITHIN:?} of {}", derived.graph.not_synced().join(", "));
    timeout(WITHIN, lists).await.with_context(missing)??;
    println!("Ctrl-C ends it");

    let mut changes = derived.informer.subscribe();
    loop {
        let batch = tokio::select! {
            batch = changes.next() => batch.context("the graph has stopped")?,
            _ = tokio::signal::ctrl_c() => break,
        };
        for change in &batch {
            match change {
                Change::Deleted(service) => println!("{} has no endpoints any more", Obj::key(service)),
                Change::Added(new) | Change::Modified { new, .. } | Change::Replaced { new, .. } => {
                    println!("{}: {}", Obj::key(new), Described(new));
                }
            }
        }
    }
    println!("{}", derived.graph.stats());
    derived.graph.shutdown().await;
    Ok(())
}

struct Described<'a>(&'a Endpoints);

impl std::fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ips: Vec<_> = self.0.addresses.iter().map(|address| address.ip.as_str()).collect();
        write!(f, "{} of {} addresses are ready", self.0.ready(), ips.len())?;
        if ips.is_empty() { Ok(()) } else { write!(f, ": {}", ips.join(", ")) }
    }
}
