//! The simulation from its header to its result.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::calibrate::calibrate;
use super::measured::Measured;
use super::model::{Size, any_seed, mix};
use super::plot;
use super::plot_file::PlotFile;
use super::progress::Progress;
use super::report::{self, seconds, thousands};
use super::run::{Conditions, run};
use crate::cli::{Mode, SimulationArgs};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Right,
    /// Some status was wrong.
    Wrong,
    Interrupted,
}

/// Runs the simulation.
///
/// # Errors
///
/// When it cannot run: the message names the reason.
pub async fn simulate(args: &SimulationArgs, workers: usize, modes: &[Mode]) -> anyhow::Result<Ended> {
    let plot = args.plot.as_deref().map(PlotFile::create).transpose()?;
    let stop = stop_on_ctrl_c();
    let mut conditions = Conditions {
        size: Size { nads: args.nads, subnets: args.subnets, pods: args.pods },
        seed: args.seed.unwrap_or_else(any_seed),
        workers,
        latency: args.api_latency,
        rate: 0.0,
        length: Duration::from_secs(args.seconds),
    };
    introduce(&conditions);
    conditions.rate = match args.rate {
        Some(rate) => {
            println!("rate      {} changes/s, from --rate", thousands(rate));
            rate
        }
        None => match calibrate(conditions, &stop).await? {
            None => return Ok(Ended::Interrupted),
            Some(found) => {
                println!(
                    "rate      {} changes/s: in a trial at {} changes/s, direct could do {} reconciles/s and cached \
                     {}; a change leads to {:.2} reconciles",
                    thousands(found.rate),
                    thousands(found.trial_rate),
                    thousands(found.direct),
                    thousands(found.cached),
                    found.per_change,
                );
                found.rate
            }
        },
    };

    let mut runs: Vec<Measured> = Vec::new();
    for mode in modes {
        if stop.is_cancelled() {
            break;
        }
        let progress = Progress::new(*mode, conditions.length);
        let measured = run(*mode, conditions, &stop, &progress).await;
        progress.end();
        runs.push(measured?);
    }
    conclude(&runs, &conditions, plot)?;
    if stop.is_cancelled() {
        return Ok(Ended::Interrupted);
    }
    let right = runs.iter().all(|run| run.checked.as_ref().is_some_and(|checked| checked.wrong.is_empty()));
    Ok(if right { Ended::Right } else { Ended::Wrong })
}

fn introduce(conditions: &Conditions) {
    let Conditions { size, seed, workers, latency, length, .. } = conditions;
    let profile = if cfg!(debug_assertions) { "dev (optimised)" } else { "release" };
    println!(
        "A subnet controller gets the NAD of each subnet directly from the API, or from an informer's cache.\n"
    );
    println!("objects   {} NADs, {} subnets, {} pods", size.nads, size.subnets, size.pods);
    println!("churn     {}", mix().join("\n          "));
    println!(
        "run       {workers} workers, {} each mode, seed {seed}, {profile} profile",
        seconds(length.as_secs_f64())
    );
    println!("latency   {} for every request of the controller", seconds(latency.as_secs_f64()));
}

fn conclude(runs: &[Measured], conditions: &Conditions, plot: Option<PlotFile<'_>>) -> anyhow::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    println!("\n{}\n", report::table(runs));
    for run in runs {
        println!("{}", report::verdict(run));
    }
    if let Some(sentence) = report::sentence(runs) {
        println!("\n{sentence}");
    }
    if let Some(plot) = plot {
        let caption = format!(
            "Depth of the work queue at {} changes/s, API latency {}, {} workers",
            thousands(conditions.rate),
            seconds(conditions.latency.as_secs_f64()),
            conditions.workers
        );
        plot.write(plot::draw(runs, &caption))?;
    }
    Ok(())
}

/// A token that the first Ctrl-C cancels. The second ends the process as usual.
fn stop_on_ctrl_c() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        }
    });
    stop
}
