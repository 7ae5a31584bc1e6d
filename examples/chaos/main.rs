//! Informers beside kube-runtime's reflector on a real API server, while connections break and the server dies.
//!
//! ```text
//! cargo run --example chaos                                      10 s, at random
//! cargo run --example chaos -- --seconds 120 --seed 1 --seeds 3  120 s each, seeds 1 to 3
//! ```
//!
//! Prints, for each consumer, how late it saw the writes, how many requests it sent to the API server, and how its
//! objects differ from those of the server. The same code is a test: `cargo test --test chaos`.

#[path = "../../tests/chaos/side_by_side/mod.rs"]
mod side_by_side;

#[path = "../../tests/support/envtest/mod.rs"]
#[allow(dead_code, unused_imports)] // the cases on a real server use the rest
mod envtest;

mod progress;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;

use self::{progress::Progress, side_by_side::Settings};

/// Informers and kube-runtime's reflector side by side on etcd and kube-apiserver, while connections are cut, refused,
/// stalled and slow, and the API server is killed.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Cli {
    /// How long each run has faults; the boot before it and the rest at its end take additional time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    seconds: u64,

    /// The seed of the first run, which determines its faults [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Number of runs, each with the next seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,

    /// Also prints what happened while a consumer was late by more than 1 s of its own
    #[arg(long)]
    explain: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Err(reason) = envtest::find_binaries() {
        println!("The example did not run: {reason}");
        println!(
            "That script builds them from source with Go. If a folder has them already, set KUBEBUILDER_ASSETS to it."
        );
        return Ok(ExitCode::SUCCESS);
    }
    let length = Duration::from_secs(cli.seconds);
    let first = cli.seed.unwrap_or_else(|| rand::random::<u32>().into());
    println!(
        "Lags are in seconds, from the response to a write until the consumer sees it. `own` excludes the time in"
    );
    println!(
        "which no consumer received anything. `wrong` counts changes that contradict the state before them.\n"
    );
    let mut correct = true;
    for seed in (0..cli.seeds).map(|number| first.wrapping_add(number)) {
        let progress = Progress::new(seed, length);
        let ran = side_by_side::run(&Settings { seed, length }, &|stage| progress.update(stage)).await;
        progress.end();
        let report = ran?;
        println!("{}\n{}", report.table(), report.bars());
        if cli.explain {
            println!("{}", report.late());
        }
        correct &= report.is_correct();
    }
    Ok(if correct { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
