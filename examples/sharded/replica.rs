//! A replica: a controller that reconciles its part of the objects. It copies a value of each ConfigMap into an
//! annotation.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::api::{Patch, PatchParams};
use kube_client::{Api, Client};
use kube_core::ResourceExt as _;
use kube_informer::controller::{Action, Context, Controller};
use kube_informer::shard::{By, Filter, Member, member::Shares};
use kube_informer::{Informer, Obj, Scope};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, sleep};

use crate::unix::cli::Cli;
use crate::unix::report::{self, Report, Share, Step, Usage, Work, now};
use crate::unix::world::{RUN, SEEN, VALUE, connect, namespace};

/// How long a reconcile takes besides its writes, as if it called another system.
const CALL: Duration = Duration::from_millis(2);

/// The data that all reconciles share.
struct Shared {
    client: Client,
    reconciles: AtomicU64,
    quiet: bool,
}

/// A reconcile that the parent knows of. If it is dropped before it has ended, it was aborted.
struct Working {
    key: String,
    uid: String,
    version: String,
    ended: bool,
    quiet: bool,
}

/// Runs a replica until SIGTERM.
///
/// # Errors
///
/// When it cannot connect, or the controller ends with an error.
pub async fn run(cli: &Cli, name: &str) -> anyhow::Result<()> {
    end_with_the_parent();
    let mut terminate = signal(SignalKind::terminate())?;
    let client = connect(cli).await?;
    let member = Member::builder(client.clone(), format!("sharded-{}", cli.replica.run))
        .namespace(namespace(&cli.replica.run, 0))
        .name(name)
        .lease(cli.lease())
        .start();
    // Caches nothing until the member has a share.
    let maps = Informer::builder(Api::<ConfigMap>::all(client.clone())).scope(Scope::any([])).start();
    let ours = Scope::all().labels(format!("{RUN}={}", cli.replica.run));
    let controller = Controller::new(&maps)
        .sharded(&member, By::Uid, ours)
        .concurrency(16)
        .finish_within(Duration::from_secs(5));
    let shared = Arc::new(Shared { client, reconciles: AtomicU64::new(0), quiet: cli.replica.quiet });

    let mut reports = tokio::task::JoinSet::new(); // aborted when it is dropped
    reports.spawn(report_shares(member.shares()));
    reports.spawn(report_usage(maps.clone(), shared.clone()));
    let terminated = async { terminate.recv().await.unwrap_or_default() };
    controller.run_until(reconcile, |_, _: &_, _| Action::retry(), shared, terminated).await?;
    maps.shutdown().await;
    Ok(())
}

async fn reconcile(map: Obj<ConfigMap>, ctx: Context<Shared>) -> Result<Action, kube_client::Error> {
    let mut working = Working::begin(&map, ctx.quiet);
    let done = copy(&map, &ctx, &working).await;
    working.end(if done.is_ok() { Step::End } else { Step::Failed });
    ctx.reconciles.fetch_add(1, Relaxed);
    done.map(|()| Action::await_change())
}

async fn copy(
    map: &Obj<ConfigMap>,
    ctx: &Context<Shared>,
    working: &Working,
) -> Result<(), kube_client::Error> {
    sleep(CALL).await;
    let Some(value) = map.data.as_ref().and_then(|data| data.get(VALUE)) else { return Ok(()) };
    if map.annotations().get(SEEN) == Some(value) {
        return Ok(());
    }
    // The versions are a precondition: if this process was paused, another one may have written meanwhile.
    let patch = Patch::Merge(json!({ "metadata": {
        "uid": map.metadata.uid,
        "resourceVersion": map.metadata.resource_version,
        "annotations": { SEEN: value },
    } }));
    let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), Obj::namespace(map));
    match api.patch(Obj::name(map), &PatchParams::default(), &patch).await {
        Ok(written) => {
            working.say(Step::Write);
            ctx.written(&written);
            Ok(())
        }
        // It was deleted meanwhile, and created again perhaps; that is a change of its own.
        Err(kube_client::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

// === impl Working ===

impl Working {
    fn begin(map: &Obj<ConfigMap>, quiet: bool) -> Self {
        let working = Self {
            key: Obj::key(map).to_string(),
            uid: Obj::uid(map).into_owned(),
            version: Obj::resource_version(map).to_string(),
            ended: false,
            quiet,
        };
        working.say(Step::Begin);
        working
    }

    fn end(&mut self, step: Step) {
        self.ended = true;
        self.say(step);
    }

    fn say(&self, step: Step) {
        if !self.quiet {
            let (key, uid, version) = (self.key.clone(), self.uid.clone(), self.version.clone());
            report::send(&Report::Work(Work { at: now(), step, key, uid, version }));
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if !self.ended {
            self.say(Step::Aborted);
        }
    }
}

// === Reports ===

async fn report_shares(mut shares: Shares) {
    while let Some(share) = shares.next().await {
        report::send(&Report::Share(Share { at: now(), held: share.held().clone() }));
    }
}

async fn report_usage(maps: Informer<ConfigMap>, shared: Arc<Shared>) {
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        report::send(&Report::Usage(Usage {
            at: now(),
            objects: maps.read(|view| view.len()),
            reconciles: shared.reconciles.load(Relaxed),
            rss: rss(),
            cpu: report::cpu(),
            filtered: maps.status().shard_filter.map(|filter| filter == Filter::Server),
        }));
    }
}

/// Only Linux has it.
fn rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The parent keeps the standard input open for as long as it lives.
fn end_with_the_parent() {
    std::thread::spawn(|| {
        let _end = std::io::stdin().lock().read(&mut [0]);
        std::process::exit(1);
    });
}
