//! What one of 1, 2, 4 and 8 replicas costs, without faults.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use tokio::time::{Instant, sleep};

use crate::unix::board::Board;
use crate::unix::churn::Churn;
use crate::unix::cli::Cli;
use crate::unix::live::mib;
use crate::unix::processes::Processes;
use crate::unix::report::Usage;
use crate::unix::run::{arguments, create, settle};
use crate::unix::world::World;

/// The numbers of replicas, in turn. The curve goes through the first one and the last one.
const REPLICAS: [usize; 4] = [1, 2, 4, 8];
/// How long each measurement is.
const LENGTH: Duration = Duration::from_secs(20);
/// For how long no replica may reconcile anything before it is measured.
const REST: Duration = Duration::from_secs(3);
/// How long the replicas may need until they are at rest.
const PATIENCE: Duration = Duration::from_secs(180);
/// How far a replica may be above the curve.
const LIMIT: f64 = 1.2;

/// What was measured of each of some replicas.
struct Measured {
    replicas: usize,
    objects: Vec<usize>,
    memory: Vec<f64>,
    cpu_at_rest: Vec<f64>,
    cpu: Vec<f64>,
    filtered: bool,
}

/// Measures, and prints a table. Returns whether no replica is far above the curve.
///
/// # Errors
///
/// When a replica ends, or does not come to rest.
pub async fn measure(cli: &Cli, world: &Arc<World>) -> anyhow::Result<bool> {
    create(world, true).await?;
    let mut all = Vec::new();
    for replicas in REPLICAS {
        eprintln!("{replicas} of {REPLICAS:?} replicas");
        all.push(measure_one(cli, world, replicas).await?);
    }
    let (text, is_right) = table(&all, cli);
    println!("{text}");
    Ok(is_right)
}

async fn measure_one(cli: &Cli, world: &Arc<World>, replicas: usize) -> anyhow::Result<Measured> {
    let board = Arc::new(Board::default());
    let mut arguments = arguments(cli, world);
    arguments.push("--quiet".to_owned());
    let mut processes = Processes::new(board.clone(), arguments);
    for _ in 0..replicas {
        processes.start()?;
    }
    settle(&board, &mut processes, PATIENCE).await?;
    rest(&board, &mut processes, world.objects()).await?;

    let begin = usages(&board);
    sleep(LENGTH).await;
    let rested = usages(&board);
    // Other changes than before: a change to what is there already is none.
    let seed = cli.seed.unwrap_or_default().wrapping_add(replicas as u64 * 100);
    let churn = Churn::start(world, cli.rate, seed);
    sleep(LENGTH).await;
    let end = usages(&board);
    churn.end().await?;
    processes.check()?;
    processes.stop_all(PATIENCE).await?;
    Ok(Measured {
        replicas,
        objects: rested.iter().map(|usage| usage.objects).collect(),
        memory: rested.iter().filter_map(|usage| usage.rss).map(|rss| rss as f64).collect(),
        cpu_at_rest: cpu(&begin, &rested),
        cpu: cpu(&rested, &end),
        filtered: rested.iter().all(|usage| usage.filtered == Some(true)),
    })
}

/// Waits until each object is cached and was reconciled, and nothing happens any more.
async fn rest(board: &Board, processes: &mut Processes, objects: u32) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    let (mut last, mut since) = (0, Instant::now());
    loop {
        processes.check()?;
        let usages = usages(board);
        let cached: usize = usages.iter().map(|usage| usage.objects).sum();
        let reconciles: u64 = usages.iter().map(|usage| usage.reconciles).sum();
        if reconciles != last {
            (last, since) = (reconciles, Instant::now());
        }
        let is_complete = cached == objects as usize && reconciles >= objects.into();
        if is_complete && since.elapsed() >= REST {
            return Ok(());
        }
        if Instant::now() >= end {
            bail!("not at rest within {PATIENCE:?}: {cached} objects are cached, {reconciles} reconciles");
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn usages(board: &Board) -> Vec<Usage> {
    board.lock().replicas.iter().map(|replica| replica.usage).collect()
}

/// The CPU time of each, in seconds for each [`LENGTH`].
fn cpu(from: &[Usage], to: &[Usage]) -> Vec<f64> {
    let of = |(from, to): (&Usage, &Usage)| {
        let time = to.at.saturating_sub(from.at).max(1) as f64;
        to.cpu.saturating_sub(from.cpu) as f64 / time * LENGTH.as_secs_f64()
    };
    from.iter().zip(to).map(of).collect()
}

fn table(all: &[Measured], cli: &Cli) -> (String, bool) {
    let memory = Curve::new(all, |it| &it.memory);
    let cpu = Curve::new(all, |it| &it.cpu);
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header([
        "replicas",
        "objects",
        "memory, mean",
        "most",
        "of the curve",
        "CPU at rest",
        "CPU, mean",
        "most",
        "of the curve",
    ]);
    let bytes = |bytes: f64| mib(bytes as u64);
    let seconds = |seconds: f64| format!("{seconds:.2} s");
    let mut is_right = true;
    for it in all {
        let mut ratio = |curve: &Curve, values: &[f64]| {
            let ratio = most(values) / curve.at(it.replicas).max(f64::MIN_POSITIVE);
            let is_bad = ratio > LIMIT;
            is_right &= !is_bad;
            format!("{ratio:.2}x{}", if is_bad { " !" } else { "" })
        };
        table.add_row([
            it.replicas.to_string(),
            format!("{:.0}", it.objects.iter().sum::<usize>() as f64 / it.replicas as f64),
            bytes(mean(&it.memory)),
            bytes(most(&it.memory)),
            ratio(&memory, &it.memory),
            seconds(mean(&it.cpu_at_rest)),
            seconds(mean(&it.cpu)),
            seconds(most(&it.cpu)),
            ratio(&cpu, &it.cpu),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    // A single replica has no shard.
    let filter = match all.iter().filter(|it| it.replicas > 1).all(|it| it.filtered) {
        true => "The API server sends to each replica its own objects only",
        false => "The API server sends all objects to each replica",
    };
    let text = format!(
        "{table}\nOf each replica: memory (RSS) after the first pass, and CPU time in {} s at rest and with {} changes/s of all \
         objects.\nThe curve is a/N + b, through the means of N = 1 and N = 8: memory {} / N + {}, CPU {} / N + {}.\n\
         \"of the curve\" is that of the replica with the most; above {LIMIT}x it is marked with !. {filter}.",
        LENGTH.as_secs(),
        cli.rate,
        bytes(memory.shared),
        bytes(memory.constant),
        seconds(cpu.shared),
        seconds(cpu.constant),
    );
    (text, is_right)
}

/// `shared / N + constant`.
struct Curve {
    shared: f64,
    constant: f64,
}

// === impl Curve ===

impl Curve {
    fn new(all: &[Measured], values: impl Fn(&Measured) -> &[f64]) -> Self {
        let (Some(one), Some(last)) = (all.first(), all.last()) else {
            return Self { shared: 0.0, constant: 0.0 };
        };
        let (high, low) = (mean(values(one)), mean(values(last)));
        let shared = (high - low) / (1.0 / one.replicas as f64 - 1.0 / last.replicas as f64);
        Self { shared, constant: high - shared / one.replicas as f64 }
    }

    fn at(&self, replicas: usize) -> f64 {
        self.shared / replicas as f64 + self.constant
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn measured(replicas: usize, memory: f64) -> Measured {
        Measured {
            replicas,
            objects: vec![800 / replicas; replicas],
            memory: vec![memory; replicas],
            cpu_at_rest: vec![0.0; replicas],
            cpu: vec![1.0; replicas],
            filtered: true,
        }
    }

    #[test]
    fn a_replica_far_above_the_curve_is_marked() {
        let cli = Cli::parse_from(["sharded", "--figures"]);
        let mut all = REPLICAS.map(|replicas| measured(replicas, 80e6 / replicas as f64 + 10e6));
        let curve = Curve::new(&all, |it| &it.memory);
        assert!((curve.at(4) - 30e6).abs() < 1.0, "{}", curve.at(4));
        let (text, is_right) = table(&all, &cli);
        assert!(is_right && !text.contains("x !"), "{text}");
        all[2].memory[3] *= 1.25;
        let (text, is_right) = table(&all, &cli);
        assert!(!is_right && text.contains("1.25x !"), "{text}");
    }

    #[test]
    fn cpu_time_is_scaled_to_the_length() {
        let usage = |at, cpu| Usage { at, cpu, ..Usage::default() };
        assert_eq!(cpu(&[usage(0, 0)], &[usage(10_000_000, 500_000)]), [1.0]);
    }
}
