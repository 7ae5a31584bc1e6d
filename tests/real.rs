//! The same case bodies on the in-process API server and on a real one: etcd and kube-apiserver as child
//! processes.
//!
//! The binaries come from `KUBEBUILDER_ASSETS` or from `tools/envtest/build.sh`. Without them each case on
//! the real server is shown as ignored, with the reason. What the cases are is in `tests/both_servers`.

mod both_servers;

/// What the cases stand on.
mod support {
    pub(crate) mod conformance;
    pub(crate) mod crds;
    pub(crate) mod dynamic;
    pub(crate) mod envtest;
    pub(crate) mod follow;
    pub(crate) mod manifests;
    pub(crate) mod member;
    pub(crate) mod objects;
    pub(crate) mod programs;
    pub(crate) mod wait;
    pub(crate) mod wire;
    pub(crate) mod world;
    pub(crate) mod world_in_process;
    pub(crate) mod world_real;
}

use std::{
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Builder, Runtime};

use crate::{
    both_servers::{Case, Servers},
    support::{
        envtest::{self, Options, TestCluster},
        programs,
        world::{Ctx, World},
        world_in_process::InProcessWorld,
        world_real::RealWorld,
    },
};

/// A case that hangs is a failure with a name, not a job that is cancelled. Booting a cluster counts.
const CASE_TIMEOUT: Duration = Duration::from_secs(300);
/// Connections and workers of clients that were dropped need a moment to notice.
const TASKS_END: Duration = Duration::from_secs(10);

/// The cluster of the cases that ask for none of their own: booted by the first, kept for the rest.
#[derive(Default)]
struct Shared(Mutex<Option<Result<Arc<TestCluster>, String>>>);

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    // The cases share a cluster whose API server some of them restart.
    args.test_threads = Some(1);
    let shared = Arc::new(Shared::default());
    let mut trials = Vec::new();
    for case in both_servers::all() {
        if case.servers == Servers::Both {
            trials.push(in_process_trial(case));
        }
        trials.push(real_trial(case, Arc::clone(&shared)));
    }
    let conclusion = libtest_mimic::run(&args, trials);
    let ended = shared.end();
    if let Err(err) = &ended {
        eprintln!("error: {err:#}");
    }
    if ended.is_err() { ExitCode::FAILURE } else { conclusion.exit_code() }
}

fn in_process_trial(case: Case) -> Trial {
    Trial::ignorable_test(format!("in-process::{}", case.name), move || {
        let runtime = runtime()?;
        let done = runtime
            .block_on(async { run(&case, Box::new(InProcessWorld::start(case.shards()).await?)).await });
        finish(runtime, done)
    })
}

fn real_trial(case: Case, shared: Arc<Shared>) -> Trial {
    Trial::ignorable_test(format!("real::{}", case.name), move || {
        if let Err(reason) = envtest::find_binaries() {
            return if required() { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) };
        }
        if case.examples {
            programs::build()?;
        }
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let (cluster, owned) = match case.own_cluster {
                Some(options) => (Arc::new(TestCluster::start(options()).await?), true),
                None => (shared.cluster().await?, false),
            };
            let result = run(&case, Box::new(RealWorld { cluster: Arc::clone(&cluster) })).await;
            let ended = if owned { stop(cluster).await } else { Ok(()) };
            result.and(ended)
        });
        finish(runtime, done)
    })
}

/// Whether a missing real API server is a failure, as it is in CI.
fn required() -> bool {
    std::env::var_os("KUBE_INFORMER_REQUIRE_REAL").is_some_and(|value| !value.is_empty())
}

async fn run(case: &Case, world: Box<dyn World>) -> Result<()> {
    let ctx = Ctx::new(world, case.name).await?;
    let done = match tokio::time::timeout(CASE_TIMEOUT, (case.run)(&ctx)).await {
        Ok(result) => result,
        Err(_) => bail!("not done within {CASE_TIMEOUT:?}"),
    };
    ctx.world.shutdown().await;
    done
}

/// One runtime for each case, so that its tasks can be counted when it is over.
fn runtime() -> Result<Runtime, Failed> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// A case is over when nothing it started still runs.
fn finish(runtime: Runtime, done: Result<()>) -> Result<Completion, Failed> {
    let deadline = Instant::now() + TASKS_END;
    let left = runtime.block_on(async {
        loop {
            let left = runtime.metrics().num_alive_tasks();
            if left == 0 || Instant::now() > deadline {
                return left;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    done.map_err(|err| format!("{err:?}"))?;
    if left > 0 {
        return Err(format!("tasks still running {TASKS_END:?} after the case: {left}").into());
    }
    Ok(Completion::Completed)
}

async fn stop(cluster: Arc<TestCluster>) -> Result<()> {
    let cluster = Arc::into_inner(cluster).context("a case keeps its cluster")?;
    cluster.stop().await
}

// === impl Shared ===

impl Shared {
    /// Boots it the first time. When that fails, it is not tried again for each case.
    async fn cluster(&self) -> Result<Arc<TestCluster>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cluster = match known {
            Some(cluster) => cluster,
            None => {
                let booted = TestCluster::start(Options::default()).await;
                let booted = booted.map(Arc::new).map_err(|err| format!("{err:#}"));
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(booted.clone());
                booted
            }
        };
        cluster.map_err(anyhow::Error::msg)
    }

    /// Ends the cluster, and fails when any process of this suite is left.
    fn end(&self) -> Result<()> {
        let cluster = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ok(cluster)) = cluster {
            Builder::new_current_thread().enable_all().build()?.block_on(stop(cluster))?;
        }
        let left = envtest::leftover_processes();
        if !left.is_empty() {
            bail!("the suite left processes behind:\n{}", left.join("\n"));
        }
        Ok(())
    }
}
