//! A run: replicas, changes, faults, and the judgement.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::Parser as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tokio::runtime;
use tokio::time::{Instant, sleep, sleep_until};

use crate::unix::board::{Board, Running, name};
use crate::unix::churn::Churn;
use crate::unix::cli::Cli;
use crate::unix::faults::Fault;
use crate::unix::live::{Live, bar};
use crate::unix::plot_file::PlotFile;
use crate::unix::processes::Processes;
use crate::unix::report::now;
use crate::unix::summary::{Healed, Judged};
use crate::unix::world::World;
use crate::unix::{figures, plot, replica, summary};

/// How often to look at the board.
const POLL: Duration = Duration::from_millis(100);
/// For how long the replicas have to be settled.
const SETTLED: Duration = Duration::from_secs(1);
/// How long the replicas may need to settle, or to reconcile what is left, besides what a fault may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let mut builder = match cli.replica.name {
        Some(_) => runtime::Builder::new_current_thread(),
        None => runtime::Builder::new_multi_thread(),
    };
    let ended = builder.enable_all().build().map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match &cli.replica.name {
                Some(name) => replica::run(&cli, name).await.map(|()| true),
                None => parent(&cli).await,
            }
        })
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// Returns whether all checks succeeded.
async fn parent(cli: &Cli) -> anyhow::Result<bool> {
    // A wrong path is reported now, and not after the run.
    let plot = cli.plot.as_deref().map(PlotFile::create).transpose()?;
    let world = Arc::new(World::start(cli).await?);
    let run = async {
        match cli.figures {
            true => figures::measure(cli, &world).await,
            false => demonstrate(cli, &world, plot).await,
        }
    };
    let ended = tokio::select! {
        ended = run => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into).and_then(|()| bail!(Interrupted)),
    };
    world.delete_all().await?;
    ended
}

async fn demonstrate(cli: &Cli, world: &Arc<World>, plot: Option<PlotFile<'_>>) -> anyhow::Result<bool> {
    let seed = cli.seed.unwrap_or_else(|| rand::random::<u32>().into());
    println!("{} objects, {} changes/s, seed {seed}", cli.objects, cli.rate);
    create(world, false).await?;
    let board = Arc::new(Board::default());
    let begin = now();
    let live = Live::start(board.clone());
    let mut run = Run {
        processes: Processes::new(board.clone(), arguments(cli, world)),
        board: board.clone(),
        random: StdRng::seed_from_u64(seed),
        lease: cli.lease(),
        within: cli.limit() + PATIENCE,
    };
    let done = run.through(cli, world, seed).await;
    drop(live);

    let state = board.lock();
    if let Some(plot) = plot {
        plot.write(plot::draw(&state, (begin, now())))?;
    }
    let done = done.inspect_err(|_| println!("{}", summary::unfinished(&state)))?;
    let judged =
        Judged::new(&state, (begin, done.end), cli.limit(), done.changes, world.objects(), done.left);
    println!("{}", summary::text(&judged, &done.healed));
    Ok(judged.is_right())
}

/// Creates the objects. With `seen`, as if they had been reconciled.
pub async fn create(world: &World, seen: bool) -> anyhow::Result<()> {
    let bar = bar(world.objects());
    world.create_all(seen, || bar.inc(1)).await?;
    bar.finish_and_clear();
    Ok(())
}

/// The arguments of each replica.
pub fn arguments(cli: &Cli, world: &World) -> Vec<String> {
    let mut arguments = world.arguments();
    arguments.push(format!("--lease={}", cli.lease));
    arguments.extend(cli.cluster.then(|| "--cluster".to_owned()));
    arguments.extend(cli.context.iter().map(|context| format!("--context={context}")));
    arguments
}

struct Run {
    board: Arc<Board>,
    processes: Processes,
    random: StdRng,
    lease: Duration,
    /// How long the replicas may need until they have settled.
    within: Duration,
}

/// What a run that has ended has brought.
struct Done {
    healed: Vec<Healed>,
    changes: u64,
    /// The keys of the objects that have not been reconciled at their last version.
    left: Vec<String>,
    /// When the replicas were asked to stop.
    end: u64,
}

// === impl Run ===

impl Run {
    /// From the start of the replicas to their end.
    async fn through(&mut self, cli: &Cli, world: &Arc<World>, seed: u64) -> anyhow::Result<Done> {
        for _ in 0..cli.replicas {
            self.processes.start()?;
        }
        self.settle().await?;
        let churn = Churn::start(world, cli.rate, seed);
        let healed = match cli.random {
            true => self.random(Duration::from_secs_f64(cli.minutes * 60.0), cli.replicas.into()).await?,
            false => self.plan().await?,
        };
        let changes = churn.end().await?;
        let left = self.left(world).await?;
        let end = now();
        self.processes.stop_all(self.within).await?;
        Ok(Done { healed, changes, left, end })
    }

    /// The planned faults, each after the replicas have settled from the one before.
    async fn plan(&mut self) -> anyhow::Result<Vec<Healed>> {
        let mut healed = Vec::new();
        for fault in Fault::plan(self.lease) {
            let (begin, what, number) = self.cause(fault).await?;
            if let Fault::Pause(time) = fault {
                sleep(time).await;
                self.processes.resume(number)?;
            }
            self.settle().await?;
            healed.push(Healed::new(&self.board.lock(), what, begin));
        }
        Ok(healed)
    }

    /// Random faults, for this time.
    async fn random(&mut self, length: Duration, replicas: usize) -> anyhow::Result<Vec<Healed>> {
        let end = Instant::now() + length;
        let mut next = Instant::now();
        let mut paused: Vec<(Instant, usize)> = Vec::new();
        loop {
            let wake = paused.iter().map(|(resume, _)| *resume).chain([next]).min().unwrap_or(next);
            if wake >= end {
                break;
            }
            sleep_until(wake).await;
            self.processes.check()?;
            for (_, number) in paused.extract_if(.., |(resume, _)| *resume <= wake) {
                self.processes.resume(number)?;
            }
            if next <= wake {
                let running = self.board.lock().with(Running::Runs).len();
                let fault = Fault::random(&mut self.random, running, replicas * 2, self.lease);
                let (_, _, number) = self.cause(fault).await?;
                if let Fault::Pause(time) = fault {
                    paused.push((Instant::now() + time, number));
                }
                next = Instant::now() + Fault::random_wait(&mut self.random, self.lease);
            }
        }
        for (_, number) in paused {
            self.processes.resume(number)?;
        }
        self.settle().await?;
        Ok(Vec::new())
    }

    /// Causes a fault of a random replica. Returns when it began, what it is, and the number of the replica.
    async fn cause(&mut self, fault: Fault) -> anyhow::Result<(u64, String, usize)> {
        let running = self.board.lock().with(Running::Runs);
        let Some(one) = running.choose(&mut self.random).copied() else { bail!("no replica runs") };
        let number = if fault == Fault::Join { self.board.lock().replicas.len() } else { one };
        let what = format!("{} {fault}", name(number));
        let begin = self.board.lock().fault(what.clone());
        match fault {
            Fault::Kill => self.processes.kill(number)?,
            Fault::Stop => self.processes.stop(number, self.within).await?,
            Fault::Join => drop(self.processes.start()?),
            Fault::Pause(_) => self.processes.pause(number)?,
        }
        Ok((begin, what, number))
    }

    async fn settle(&mut self) -> anyhow::Result<()> {
        settle(&self.board, &mut self.processes, self.within).await
    }

    /// The keys of the objects that have not been reconciled at their last version, after all changes.
    async fn left(&mut self, world: &World) -> anyhow::Result<Vec<String>> {
        let end = Instant::now() + self.within;
        loop {
            self.processes.check()?;
            let mut found = world.list().await?;
            {
                let state = self.board.lock();
                found.retain(|it| !it.is_right || state.referee.version(&it.uid) != Some(&it.version));
            }
            if found.is_empty() || Instant::now() >= end {
                return Ok(found.into_iter().map(|it| it.key).collect());
            }
            sleep(SETTLED).await;
        }
    }
}

/// Waits until the replicas have settled.
///
/// # Errors
///
/// When they do not within this time, or one ends.
pub async fn settle(board: &Board, processes: &mut Processes, within: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + within;
    let mut since = None;
    loop {
        processes.check()?;
        let (is_settled, states, missing) = {
            let state = board.lock();
            (state.is_settled(), state.states(), state.missing())
        };
        let settled_since = *since.get_or_insert_with(Instant::now);
        match is_settled {
            true if settled_since.elapsed() >= SETTLED => return Ok(()),
            true => {}
            false => since = None,
        }
        if Instant::now() >= end {
            bail!(
                "the replicas have not settled within {within:?}: {states}; {:.1} % without a replica",
                missing * 100.0
            );
        }
        sleep(POLL).await;
    }
}
