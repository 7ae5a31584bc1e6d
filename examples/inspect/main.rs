//! `kubectl get --watch` as a table that refreshes itself, with the stats of the informers behind it; or a web page of
//! the informers, their indexes, queues and controllers.
//!
//! ```text
//! cargo run --example inspect                                           an API server in this process
//! cargo run --example inspect -- --cluster pods deployments.apps        the cluster of your kubeconfig: only reads
//! cargo run --example inspect -- --cluster -n kube-system -l k8s-app=kube-dns --once
//! cargo run --example inspect -- --http 127.0.0.1:8080                  a page, and /metrics, /readyz and /livez
//! ```
//!
//! [`kinds`] finds the kinds at run time, by discovery. The informers ([`inspected`]) request only the metadata of each
//! object and keep only its creation time and one label. [`table`] draws the key and the age of each object; [`http`]
//! serves the page, which shows keys only with --show-names. [`demo`] changes objects in the server of this process.
#![allow(unreachable_pub, reason = "the modules of an example say `pub` as those of a crate would")]

mod cli;
mod demo;
mod http;
mod inspected;
mod kinds;
mod table;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Parser as _;
use kube_client::config::KubeConfigOptions;
use kube_client::{Client, Config};
use kube_informer::{Registry, Scope, client_config};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::cli::Cli;
use crate::demo::Consumers;
use crate::http::App;
use crate::inspected::Inspected;

/// How long the first response of the API server may take.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// How long the demonstration lasts in a terminal.
const DEMO_SECONDS: u64 = 6;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let (client, demo) = if cli.cluster {
        (connect(cli.context.clone()).await?, None)
    } else {
        let demo = demo::Demo::start()?;
        (demo.client(), Some(demo))
    };
    let registry = Registry::new(client.clone());
    let mut inspected = Vec::new();
    for name in cli.kinds() {
        let found = timeout(FIRST_ANSWER, kinds::find(&client, name)).await;
        let kind = found
            .map_err(|_| anyhow!("the API server has not responded within {} s", FIRST_ANSWER.as_secs()))??;
        let scope = match &cli.namespace {
            Some(namespace) if kind.namespaced => Scope::namespace(namespace),
            _ => Scope::all(),
        };
        inspected.push(Inspected::declare(&registry, kind, scope.labels(&cli.selector))?);
    }
    registry.start();
    let consumers = demo.is_some().then(|| Consumers::start(&inspected[0]));

    if let Some(address) = cli.http {
        let app = App {
            server: server(&cli),
            registry: registry.clone(),
            inspected,
            queues: Vec::new(),
            controllers: consumers.iter().map(|consumers| ("pods", consumers.pods.clone())).collect(),
            prometheus: PrometheusBuilder::new().install_recorder()?,
            show_names: cli.show_names,
        };
        tokio::select! {
            served = http::serve(address, app) => served?,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            () = end(cli.seconds), if cli.seconds.is_some() => {}
        }
    } else if cli.once {
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
            () = end(cli.seconds.or(Some(DEMO_SECONDS))), if demo.is_some() => {}
        }
    }
    if let Some(consumers) = consumers {
        consumers.stop().await;
    }
    registry.shutdown().await;
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

/// What the page calls the server.
fn server(cli: &Cli) -> String {
    match (&cli.context, cli.cluster) {
        (Some(context), _) => format!("context {context}"),
        (None, true) => "the cluster of the kubeconfig".to_owned(),
        (None, false) => "an API server in this process".to_owned(),
    }
}

/// Waits for the end of a run of so many seconds.
async fn end(seconds: Option<u64>) {
    sleep(Duration::from_secs(seconds.unwrap_or(u64::MAX))).await;
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
