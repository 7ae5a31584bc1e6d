//! One mode, from an empty server to the check of every status.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube_informer::ResourceVersion;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::check::check;
use super::churn::{Applied, Churn};
use super::cpu;
use super::measured::Measured;
use super::model::{Model, Size};
use super::progress::Progress;
use super::server::Server;
use super::tracker::Tracker;
use super::wire;
use crate::cli::Mode;
use crate::controller::{Caches, Controller, NadSource, Settings};

/// The time between two samples of the queue's depth.
const SAMPLE: Duration = Duration::from_millis(10);

/// The maximum time for the first reconciles, and for those left after the churn.
const SETTLE: Duration = Duration::from_secs(30);

/// The conditions that are the same for both modes.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    pub size: Size,
    pub seed: u64,
    pub workers: usize,
    pub latency: Duration,
    /// Changes a second.
    pub rate: f64,
    /// The duration of the churn.
    pub length: Duration,
}

/// Runs one mode. If `stop` is cancelled, it returns the stats so far, unchecked.
///
/// # Errors
///
/// When it cannot run at all.
pub async fn run(
    mode: Mode,
    conditions: Conditions,
    stop: &CancellationToken,
    progress: &Progress,
) -> anyhow::Result<Measured> {
    let server = Arc::new(Server::start()?);
    let model = Model::new(conditions.size, conditions.seed);
    for object in model.initial() {
        server.apply(super::model::Write::Create(object))?;
    }
    let client = wire::client(&server.url(), conditions.latency)?;
    let caches = Caches::start(&client).await.context("start the informers")?;
    let tracker = Tracker::new();
    let nad_source = match mode {
        Mode::Direct => NadSource::Direct(client.clone()),
        Mode::Cached => NadSource::Cached,
    };
    let settings = Settings { nad_source: nad_source.clone(), workers: conditions.workers, dry_run: false };
    let controller = Controller::start(&client, caches.clone(), settings, tracker.clone());
    let filled = settle(&controller, &tracker, stop).await;
    anyhow::ensure!(
        filled.is_some() || stop.is_cancelled(),
        "{mode}: the first statuses were not written within {} s{}",
        SETTLE.as_secs(),
        tracker.error().map(|error| format!("; {error}")).unwrap_or_default()
    );

    let mut measured = churn(mode, conditions, &server, model, &controller, &tracker, stop, progress).await?;
    measured.drained = settle(&controller, &tracker, stop).await;
    measured.latency = tracker.latency();
    measured.error = tracker.error();
    if !stop.is_cancelled() {
        measured.checked = Some(check(&server)?);
        measured.cpu_per_nad = cpu_per_nad(&nad_source, &caches, conditions.workers).await;
    }
    controller.shutdown().await;
    Ok(measured)
}

/// The measured part.
#[expect(clippy::too_many_arguments, reason = "one place, and all of it is needed")]
async fn churn(
    mode: Mode,
    conditions: Conditions,
    server: &Arc<Server>,
    model: Model,
    controller: &Controller,
    tracker: &Tracker,
    stop: &CancellationToken,
    progress: &Progress,
) -> anyhow::Result<Measured> {
    let before = (tracker.totals(), server.requests(), tracker.failures(), cpu::controller());
    let (mut depths, mut deepest) = (Vec::new(), 0);
    let begin = Instant::now();
    let churn = Churn::start(server.clone(), model, conditions.rate, conditions.length, tracker.clone())?;
    let mut samples = tokio::time::interval(SAMPLE);
    while !churn.is_finished() {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = samples.tick() => {}
        }
        let depth = depth(controller);
        depths.push((begin.elapsed(), depth));
        deepest = deepest.max(depth);
        progress.update(
            begin.elapsed(),
            tracker.totals().reconciles - before.0.reconciles,
            churn.changes(),
            depth,
        );
    }
    let length = begin.elapsed();
    let after = (tracker.totals(), server.requests(), tracker.failures(), cpu::controller());
    let churn: Applied = churn.end()?;
    Ok(Measured {
        mode,
        length,
        churn,
        totals: after.0.since(&before.0),
        reads: after.1.0 - before.1.0,
        writes: after.1.1 - before.1.1,
        failures: after.2 - before.2,
        cpu: after.3.zip(before.3).map(|(after, before)| after.saturating_sub(before)),
        cpu_per_nad: None,
        depths,
        deepest,
        latency: super::tracker::new_histogram(),
        drained: None,
        checked: None,
        error: None,
    })
}

/// Waits until the informers have seen every change and the queue has been empty for a moment. Returns how long
/// that took; `None` if that took too long, or `stop` was cancelled.
async fn settle(controller: &Controller, tracker: &Tracker, stop: &CancellationToken) -> Option<Duration> {
    let begin = Instant::now();
    let mut quiet_since = None;
    while begin.elapsed() < SETTLE && !stop.is_cancelled() {
        let stats = controller.handle.stats();
        let keys = stats.queue.map_or(0, |queue| queue.depth + queue.processing + queue.delayed);
        let at_work = stats.first_pass.is_none() || keys > 0;
        let since = *quiet_since.get_or_insert_with(Instant::now);
        if at_work || !caught_up(&controller.caches, tracker) {
            quiet_since = None;
        } else if since.elapsed() >= Duration::from_millis(100) {
            return Some(since - begin);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}

/// The number of keys in the queue.
fn depth(controller: &Controller) -> usize {
    controller.handle.stats().queue.map_or(0, |queue| queue.depth)
}

fn caught_up(caches: &Caches, tracker: &Tracker) -> bool {
    let reached = |kind: usize, held: Option<&ResourceVersion>| {
        tracker.newest(kind).is_none_or(|newest| held.is_some_and(|held| *held >= newest))
    };
    reached(0, caches.nads.snapshot().resource_version())
        && reached(1, caches.subnets.snapshot().resource_version())
        && reached(2, caches.pods.snapshot().resource_version())
}

/// The controller's CPU time for getting one NAD, from many with nothing else going on, as many at a time as there
/// are workers.
async fn cpu_per_nad(source: &NadSource, caches: &Caches, workers: usize) -> Option<Duration> {
    // Both to take some tenths of a second, which the kernel's accounting is fine enough for.
    let times = match source {
        NadSource::Direct(_) => 1000,
        NadSource::Cached => 1_000_000,
    };
    let each = times / workers + 1;
    let mut tasks = JoinSet::new();
    let before = cpu::controller()?;
    for _ in 0..workers {
        let (source, caches, nads) = (source.clone(), caches.clone(), caches.nads.snapshot());
        tasks.spawn(async move {
            let providers: Vec<&str> =
                nads.iter().flat_map(|nad| nad.providers()).map(String::as_str).collect();
            for provider in providers.iter().cycle().take(each) {
                black_box(source.nad(&caches, &nads, provider).await.ok()?);
            }
            (!providers.is_empty()).then_some(())
        });
    }
    tasks.join_all().await.into_iter().collect::<Option<()>>()?;
    let all = u32::try_from(each * workers).ok()?;
    Some(cpu::controller()?.saturating_sub(before) / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole path, in small: server, watch, caches, triggers, queue, patches, check.
    #[tokio::test(flavor = "multi_thread")]
    async fn both_modes_end_with_every_status_right() {
        let conditions = Conditions {
            size: Size { nads: 10, subnets: 30, pods: 100 },
            seed: 11,
            workers: 3,
            latency: Duration::from_micros(100),
            rate: 2000.0,
            length: Duration::from_millis(300),
        };
        let stop = CancellationToken::new();
        for mode in [Mode::Direct, Mode::Cached] {
            let measured = run(mode, conditions, &stop, &Progress::none()).await.unwrap();
            assert_eq!(measured.churn.changes, 600, "{mode}");
            assert_eq!(measured.checked.as_ref().map(|checked| checked.wrong.len()), Some(0), "{mode}");
            assert!(measured.totals.written > 0 && measured.totals.unchanged > 0, "{mode}");
            assert_eq!(measured.failures, 0, "{mode}: {:?}", measured.error);
            let gets = measured.reads_per_reconcile() > 0.5;
            assert_eq!(gets, mode == Mode::Direct, "{mode}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_interrupted_run_has_stats_and_no_verdict() {
        let conditions = Conditions {
            size: Size { nads: 2, subnets: 3, pods: 4 },
            seed: 1,
            workers: 1,
            latency: Duration::ZERO,
            rate: 100.0,
            length: Duration::from_secs(3600),
        };
        let stop = CancellationToken::new();
        let (cancel, progress) = (stop.clone(), Progress::none());
        let (measured, ()) = tokio::join!(run(Mode::Cached, conditions, &stop, &progress), async move {
            cancel.cancel();
        });
        assert_eq!(measured.unwrap().checked, None);
    }
}
