//! One run: boot, write and harm for a while, then compare at rest.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube_client::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{sleep, sleep_until, timeout};

use super::{
    blind::Blinds,
    consumer::{Consumer, World},
    object::{Difference, NAMESPACES, Truth},
    ours, peer,
    plan::{Blow, Plan},
    report::{Happened, Report, Row},
    view::Written,
    writer::{WRITERS, Writer},
};
use crate::envtest::{Options, TestCluster};

pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Boot,
    Sync,
    Chaos(Duration),
    Rest,
}

/// For the first lists.
const SYNC: Duration = Duration::from_secs(60);
/// For all to agree at rest, and how often that is looked at.
const REST: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(250);
/// Between two reports of progress.
const TICK: Duration = Duration::from_millis(200);

/// Runs once; `progress` hears how far it is.
pub(crate) async fn run(settings: &Settings, progress: &dyn Fn(Stage)) -> Result<Report> {
    progress(Stage::Boot);
    let cluster = TestCluster::start(Options::default()).await?;
    let report = on(&cluster, settings, progress).await;
    let ended = cluster.stop().await;
    let report = report?;
    ended?;
    Ok(report)
}

async fn on(cluster: &TestCluster, settings: &Settings, progress: &dyn Fn(Stage)) -> Result<Report> {
    let client = cluster.client().await?;
    for name in NAMESPACES {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    }
    progress(Stage::Sync);
    let world = World { config: cluster.config().await?, blinds: Blinds::default() };
    let mut consumers = vec![
        ours::streaming(&world).await?,
        ours::paged(&world).await?,
        ours::projected(&world).await?,
        ours::scoped(&world).await?,
        ours::registry(&world).await?,
        peer::paged(&world).await?,
        peer::streaming(&world).await?,
    ];
    for consumer in &mut consumers {
        let synced = timeout(SYNC, consumer.synced()).await;
        synced.with_context(|| format!("{} did not sync within {SYNC:?}", consumer.name))??;
    }
    let report = harm(cluster, &client, &consumers, &world.blinds, settings, progress).await;
    join_all(consumers.into_iter().map(Consumer::shutdown)).await;
    report
}

async fn harm(
    cluster: &TestCluster,
    client: &Client,
    consumers: &[Consumer],
    blinds: &Blinds,
    settings: &Settings,
    progress: &dyn Fn(Stage),
) -> Result<Report> {
    let plan = Plan::draw(settings.seed, settings.length);
    let start = Instant::now();
    let writes = Cell::new(0);
    let wrote = |written: &Written| {
        writes.set(writes.get() + 1);
        consumers.iter().for_each(|consumer| consumer.wrote(written));
    };
    let writers = WRITERS
        .iter()
        .enumerate()
        .map(|(number, kind)| Writer::new(number, *kind, client.clone(), settings.seed).run(&wrote));
    let clock = async {
        while start.elapsed() < settings.length {
            progress(Stage::Chaos(start.elapsed()));
            sleep(TICK).await;
        }
    };
    let (mut happened, blows) = tokio::select! {
        _ = join_all(writers) => bail!("the writers ended"),
        ((), faults, blows) = async { tokio::join!(clock, befall(&plan, start, consumers, blinds), strike(&plan, start, cluster, blinds)) } => {
            (faults, blows?)
        }
    };
    happened.extend(blows);
    progress(Stage::Rest);
    let differences = rest(client, consumers).await?;
    let rows = consumers.iter().zip(differences).map(|(consumer, difference)| Row::of(consumer, difference));
    Ok(Report {
        seed: settings.seed,
        length: settings.length,
        writes: writes.into_inner(),
        start,
        happened,
        rows: rows.collect(),
    })
}

/// Each fault in its time, for all alike.
async fn befall(plan: &Plan, start: Instant, consumers: &[Consumer], blinds: &Blinds) -> Vec<Happened> {
    let mut happened = Vec::new();
    for (at, fault) in &plan.faults {
        sleep_until((start + *at).into()).await;
        let from = Instant::now();
        let blind = fault.blinds().then(|| blinds.begin());
        consumers.iter().for_each(|consumer| consumer.proxy.begin(*fault));
        if !fault.length().is_zero() {
            sleep(fault.length()).await;
            consumers.iter().for_each(|consumer| consumer.proxy.end(*fault));
        }
        if let Some(blind) = blind {
            blinds.end(blind);
        }
        happened.push(Happened { from, to: Instant::now(), what: fault.to_string() });
    }
    happened
}

async fn strike(
    plan: &Plan,
    start: Instant,
    cluster: &TestCluster,
    blinds: &Blinds,
) -> Result<Vec<Happened>> {
    let mut happened = Vec::new();
    for (at, blow) in &plan.blows {
        sleep_until((start + *at).into()).await;
        let from = Instant::now();
        if let Blow::CompactAndKill = blow {
            cluster.compact_etcd().await?;
        }
        let blind = blinds.begin();
        cluster.restart_apiserver().await?;
        blinds.end(blind);
        happened.push(Happened { from, to: Instant::now(), what: blow.to_string() });
    }
    Ok(happened)
}

/// Waits until all agree with a fresh list, and answers how they differ from it where that takes too long.
async fn rest(client: &Client, consumers: &[Consumer]) -> Result<Vec<Difference>> {
    let deadline = Instant::now() + REST;
    loop {
        let truth = Truth::read(client).await?;
        let differences: Vec<_> = consumers.iter().map(|consumer| consumer.difference(&truth)).collect();
        if differences.iter().all(Difference::agrees) || Instant::now() > deadline {
            return Ok(differences);
        }
        sleep(LOOK).await;
    }
}
