//! A subnet controller that reads from informers' caches, and a simulation that measures what the caches save.
//!
//! ```text
//! cargo run --example subnet_controller               a simulation, without a cluster
//! cargo run --example subnet_controller -- --cluster  a controller for a real cluster
//! ```
//!
//! `controller` is the controller, a folder to copy. `simulation` measures it: it runs the controller against an API
//! server in this process, and compares. `cluster` runs it against a real cluster.
#![allow(unreachable_pub, reason = "the modules of an example say `pub` as those of a crate would")]

mod cli;
mod cluster;
mod controller;
mod simulation;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Mode, Modes};
use crate::simulation::Ended;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let ended = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        let ended = runtime.block_on(run(&cli));
        // Name resolution may still hold a thread; there is nothing left to wait for.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(Ended::Right) => ExitCode::SUCCESS,
        Ok(Ended::Wrong) => ExitCode::FAILURE,
        Ok(Ended::Interrupted) => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> anyhow::Result<Ended> {
    if !cli.cluster.cluster {
        let modes = cli.mode.unwrap_or(Modes::Both).list();
        return simulation::simulate(&cli.simulation, cli.workers, modes).await;
    }
    let mode = match cli.mode {
        None | Some(Modes::Cached) => Mode::Cached,
        Some(Modes::Direct) => Mode::Direct,
        Some(Modes::Both) => {
            anyhow::bail!("--mode both is for the simulation; a cluster needs one of the two")
        }
    };
    cluster::run(&cli.cluster, cli.workers, mode).await.map(|()| Ended::Right)
}
