//! `kubectl get --watch` as a table that refreshes itself, with the stats of the informers behind it.
//!
//! ```text
//! cargo run --example inspect                                           an API server in this process
//! cargo run --example inspect -- --cluster pods deployments.apps        the cluster of your kubeconfig: only reads
//! cargo run --example inspect -- --cluster -n kube-system -l k8s-app=kube-dns --once
//! ```
//!
//! [`kinds`] finds the kinds at run time, by discovery. The informers request only the metadata of each object and keep
//! only its creation time. [`table`] draws the key and the age of each object. [`demo`] changes objects in the server
//! of this process.
#![allow(unreachable_pub, reason = "the modules of an example say `pub` as those of a crate would")]

mod cli;
mod demo;
mod kinds;
mod table;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Parser as _;
use k8s_openapi::jiff::Timestamp;
use kube_client::config::KubeConfigOptions;
use kube_client::{Api, Client, Config};
use kube_core::{DynamicObject, metadata::PartialObjectMeta};
use kube_informer::{Index, Informer, client_config};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::cli::Cli;
use crate::kinds::Found;

/// How long the first response of the API server may take.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// The part of an object that the cache keeps.
struct Row {
    created: Option<Timestamp>,
}

/// One kind and its informer.
struct Inspected {
    kind: Found,
    objects: Informer<Row>,
    /// All objects under one key: an index returns its objects in order, so the first ones need no look at the rest.
    in_order: Index<Row, ()>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let (client, demo) = if cli.cluster {
        (connect(cli.context.clone()).await?, None)
    } else {
        let demo = demo::Demo::start()?;
        (demo.client(), Some(demo))
    };
    let mut inspected = Vec::new();
    for name in cli.kinds() {
        let found = timeout(FIRST_ANSWER, kinds::find(&client, name)).await;
        let kind = found
            .map_err(|_| anyhow!("the API server has not responded within {} s", FIRST_ANSWER.as_secs()))??;
        inspected.push(inspect(&client, kind, &cli));
    }
    // Reads a batch only every two seconds, as a slow controller does: see the stats of the first kind.
    let follower = demo.is_some().then(|| tokio::spawn(demo::follow_slowly(inspected[0].objects.clone())));

    if cli.once {
        for one in &inspected {
            match timeout(FIRST_ANSWER, one.objects.synced_or_blocked()).await {
                Ok(synced) => synced?,
                Err(_) => bail!("no list of {} within {} s", one.kind.name, FIRST_ANSWER.as_secs()),
            }
        }
        unless_closed(table::print(&inspected, cli.rows))?;
    } else {
        tokio::select! {
            drawn = draw(&inspected, &cli) => unless_closed(drawn)?,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            () = async { sleep(Duration::from_secs(cli.seconds)).await }, if demo.is_some() => {}
        }
    }
    for one in &inspected {
        one.objects.shutdown().await;
    }
    if let Some(follower) = follower {
        follower.abort();
    }
    if let Some(demo) = demo {
        demo.stop().await;
    }
    Ok(())
}

/// A client of the cluster of the kubeconfig, or of the pod this runs in.
async fn connect(context: Option<String>) -> anyhow::Result<Client> {
    let config = match context {
        None => Config::infer().await.context("no cluster to inspect")?,
        Some(context) => {
            let options = KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
            Config::from_kubeconfig(&options).await.with_context(|| format!("context `{context}`"))?
        }
    };
    let url = config.cluster_url.to_string();
    // kube's own retries would hide 429 and 5xx for minutes.
    let client = Client::try_from(client_config(config))?;
    match timeout(FIRST_ANSWER, client.apiserver_version()).await {
        Err(_) => bail!("the API server at {url} has not responded within {} s", FIRST_ANSWER.as_secs()),
        Ok(version) => version.with_context(|| format!("the API server at {url}"))?,
    };
    Ok(client)
}

fn inspect(client: &Client, kind: Found, cli: &Cli) -> Inspected {
    type Metadata = PartialObjectMeta<DynamicObject>;
    let api: Api<Metadata> = match &cli.namespace {
        Some(namespace) if kind.namespaced => Api::namespaced_with(client.clone(), namespace, &kind.resource),
        _ => Api::all_with(client.clone(), &kind.resource),
    };
    let mut objects = Informer::builder_with(api, kind.resource.clone())
        .labels(cli.selector.clone())
        .project(|object: Metadata| Row { created: object.metadata.creation_timestamp.map(|time| time.0) });
    let in_order = objects.index(|_: &Row| ());
    Inspected { kind, objects: objects.start(), in_order }
}

/// Draws at each interval, until standard output is closed.
async fn draw(inspected: &[Inspected], cli: &Cli) -> io::Result<()> {
    let in_place = io::stdout().is_terminal();
    let mut ticks = interval(cli.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if in_place {
            table::redraw(inspected, cli.rows)?;
        } else {
            table::print(inspected, cli.rows)?;
        }
    }
}

/// A closed pipe, as in `| head`, is not an error.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
