//! A peer, in a process of its own. What it says is in [`link`](crate::link).

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt;
use kube_client::{Api, Client, Config as ClientConfig};
use kube_core::Resource;
use kube_core::metadata::PartialObjectMeta;
use kube_informer::builder::Builder;
use kube_informer::{Informer, Obj, client_config, index};
use kube_runtime::reflector::{reflector, store};
use kube_runtime::watcher::{self, Event, InitialListStrategy, watcher};
use rustix::time::{ClockId, clock_gettime};

use crate::link::OBJECTS;
use crate::load::now;
use crate::nads::{Nad, Projected, declare};

pub(crate) const NAMES: [&str; 6] = [
    "kube-informer",
    "kube-informer-projected",
    "kube-informer-decoded",
    "kube-informer-metadata",
    "kube-runtime-streaming",
    "kube-runtime-paged",
];

/// How long it is left alone before the resident memory at rest is taken, unless this only tries whether it works.
const REST: Duration = Duration::from_secs(5);

/// With fewer objects, it only tries.
const FEW: usize = 10_000;

/// The versions that were seen, and when.
type Seen = Arc<Mutex<Vec<(u64, u128)>>>;

pub(crate) fn run(name: &str) -> Result<()> {
    let began = Instant::now();
    let objects: usize = std::env::var(OBJECTS)?.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let config = ClientConfig::infer().await.context("no API server")?;
        let client = |config| Client::try_from(config).context("no client");
        let ours = || client(client_config(config.clone()));
        let seen = Seen::default();
        match name {
            "kube-informer" => whole(ours()?, objects, seen.clone()).await?,
            "kube-informer-projected" => projected(ours()?, objects, seen.clone()).await?,
            "kube-informer-decoded" => decoded(ours()?, objects, seen.clone()).await?,
            "kube-informer-metadata" => metadata(ours()?, objects, seen.clone()).await?,
            "kube-runtime-streaming" => kube(client(config)?, true, objects, seen.clone()).await?,
            "kube-runtime-paged" => kube(client(config)?, false, objects, seen.clone()).await?,
            _ => bail!("no such peer: {name}"),
        }
        let synced = began.elapsed().as_secs_f64();
        if objects >= FEW {
            tokio::time::sleep(REST).await;
        }
        let (peak, rest, heap) = (resident("VmHWM:")?, resident("VmRSS:")?, resident("RssAnon:")?);
        println!("synced {synced} {} {peak} {rest} {heap}", cpu_seconds());
        seen.lock().expect("not poisoned").clear();
        // Until the other process closes it.
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        let cpu = cpu_seconds();
        let mut out = std::io::stdout().lock();
        for (version, at) in seen.lock().expect("not poisoned").iter() {
            writeln!(out, "{version} {at}")?;
        }
        writeln!(out, "done {cpu}")?;
        Ok(())
    })
}

// === ours ===

async fn whole(client: Client, objects: usize, seen: Seen) -> Result<()> {
    let mut nads = Informer::builder(Api::<Nad>::all(client));
    declare(nads.indexes(), 2);
    follow(nads, objects, seen).await
}

async fn projected(client: Client, objects: usize, seen: Seen) -> Result<()> {
    indexed(Informer::builder(Api::<Nad>::all(client)).project(Projected::of), objects, seen).await
}

async fn decoded(client: Client, objects: usize, seen: Seen) -> Result<()> {
    indexed(Informer::builder(Api::<Nad>::all(client)).decode(Projected::decode), objects, seen).await
}

async fn indexed(mut nads: Builder<Nad, Projected>, objects: usize, seen: Seen) -> Result<()> {
    nads.index(|nad: &Projected| nad.provider.to_string());
    nads.index(|nad: &Projected| nad.team.to_string());
    follow(nads, objects, seen).await
}

async fn metadata(client: Client, objects: usize, seen: Seen) -> Result<()> {
    let mut nads = Informer::builder(Api::<PartialObjectMeta<Nad>>::all(client));
    nads.index(index::annotation("example.com/provider"));
    nads.index(index::label("team"));
    follow(nads, objects, seen).await
}

/// Starts it, with one subscription, and waits until it is synced.
async fn follow<K, T>(nads: Builder<K, T>, objects: usize, seen: Seen) -> Result<()>
where
    K: Resource + Clone + serde::de::DeserializeOwned + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    let informer = nads.start();
    let mut changes = informer.subscribe();
    tokio::spawn(async move {
        while let Some(batch) = changes.next().await {
            let at = now();
            let mut seen = seen.lock().expect("not poisoned");
            let versions = batch
                .changes()
                .filter_map(|change| Obj::resource_version(change.new()?).to_string().parse::<u64>().ok());
            seen.extend(versions.map(|version| (version, at)));
        }
    });
    informer.synced().await?;
    let held = informer.snapshot().len();
    anyhow::ensure!(held == objects, "{held} objects of {objects}");
    // It runs as long as the process.
    std::mem::forget(informer);
    Ok(())
}

// === kube-runtime ===

async fn kube(client: Client, streaming: bool, objects: usize, seen: Seen) -> Result<()> {
    let strategy =
        if streaming { InitialListStrategy::StreamingList } else { InitialListStrategy::ListWatch };
    let config = watcher::Config { initial_list_strategy: strategy, ..watcher::Config::default() };
    let (reader, writer) = store::<Nad>();
    let events = reflector(writer, watcher(Api::all(client), config));
    tokio::spawn(events.for_each(move |event| {
        if let Ok(Event::Apply(nad)) = event {
            seen.lock().expect("not poisoned").push((nad.resource_version(), now()));
        }
        std::future::ready(())
    }));
    reader.wait_until_ready().await?;
    anyhow::ensure!(reader.len() == objects, "{} objects of {objects}", reader.len());
    Ok(())
}

// === the process ===

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// In KiB.
fn resident(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
