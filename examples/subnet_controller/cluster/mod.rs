//! The controller on a real cluster: confirms the context, prints what it does, and deletes what it created.

mod connect;
mod endpoints;
mod load;
mod log;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use kube_client::Client;
use kube_informer::Phase;

use self::load::Load;
use self::log::{Log, say};
use crate::cli::{ClusterArgs, Mode};
use crate::controller::{Caches, Controller, NadSource, Settings};

/// Interval of the status lines.
const STATUS: Duration = Duration::from_secs(30);

/// Runs the controller until Ctrl-C or SIGTERM.
///
/// # Errors
///
/// When the cluster cannot be used: the message says why, and what to do.
pub async fn run(args: &ClusterArgs, workers: usize, mode: Mode) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(stopped()?);
    let started = async {
        let client = connect::connect(args).await?;
        connect::refuse_beside_kube_ovn(&client).await?;
        let caches = start_caches(&client).await?;
        anyhow::Ok((client, caches))
    };
    let (client, caches) = tokio::select! {
        started = started => started?,
        () = &mut stop => return Ok(()),
    };
    let nad_source = match mode {
        Mode::Direct => NadSource::Direct(client.clone()),
        Mode::Cached => NadSource::Cached,
    };
    let what = if args.dry_run { "would write, but writing nothing" } else { "writes" };
    say!("running with {workers} workers, NADs {mode}; printing what it {what}; Ctrl-C ends it");
    let log = Log::new();
    let settings = Settings { nad_source, workers, dry_run: args.dry_run };
    let controller = Controller::start(&client, caches, settings, log.clone());

    let mut load = Load::new(&client, &args.namespace);
    let ended = tokio::select! {
        () = &mut stop => Ok(()),
        error = work(&controller, &log, &mut load, args.load) => error,
        error = endpoints::serve(args.metrics, &controller) => error,
    };
    // Also after an error, and after Ctrl-C in the middle of creating.
    let deleted = load.delete().await;
    controller.shutdown().await;
    say!("stopped after {}", log.summary());
    ended.and(deleted)
}

/// Creates the load, if any, and prints a status line at intervals. Returns only with an error.
async fn work(
    controller: &Controller,
    log: &Log,
    load: &mut Load,
    size: Option<usize>,
) -> anyhow::Result<()> {
    if let Some(size) = size {
        load.create(size).await?;
    }
    let mut status = tokio::time::interval(STATUS);
    status.tick().await; // the first is at once
    loop {
        status.tick().await;
        say!("{}; {}", standing(&controller.caches), log.summary());
    }
}

async fn start_caches(client: &Client) -> anyhow::Result<Caches> {
    let caches = Caches::start(client).await.map_err(|error| {
        let hint = if error.is_forbidden() {
            ": manifests/rbac.yaml has the permissions that it needs"
        } else if error.is_kind_absent() {
            ": its CustomResourceDefinition is not installed; see manifests/crds.yaml"
        } else {
            ""
        };
        anyhow!("{error}{hint}")
    })?;
    if caches.nads.status().phase == Phase::Absent {
        say!("NetworkAttachmentDefinitions are not served here; the controller reads them once they are");
    }
    say!("{}", standing(&caches));
    Ok(caches)
}

/// The number of objects in each cache, and whether it is up to date.
fn standing(caches: &Caches) -> String {
    let (nads, subnets, pods) = (caches.nads.snapshot(), caches.subnets.snapshot(), caches.pods.snapshot());
    let mut text = format!(
        "{} subnets, {} NADs in {} namespaces, {} pods",
        subnets.len(),
        nads.len(),
        nads.index_keys(&caches.nads_by_namespace).len(),
        pods.len()
    );
    let broken = nads.iter().filter(|nad| nad.cni_type.is_err()).count();
    if broken > 0 {
        text += &format!("; {broken} NADs with an invalid config");
    }
    let undecoded = nads.invalid_len() + subnets.invalid_len() + pods.invalid_len();
    if undecoded > 0 {
        text += &format!("; {undecoded} objects that cannot be decoded");
    }
    for (what, status) in
        [("NADs", caches.nads.status()), ("subnets", caches.subnets.status()), ("pods", caches.pods.status())]
    {
        if let (Some(since), Some(error)) = (status.stale_since, &status.last_error) {
            text += &format!("; {what} stale for {} s: {error}", since.elapsed().as_secs());
        }
    }
    text
}

/// Completes at the first Ctrl-C, or SIGTERM on Unix.
fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("listen for SIGTERM")?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}
