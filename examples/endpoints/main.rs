//! The addresses behind each Service, as a derived collection: what the EndpointSlice controller of Kubernetes computes
//! from Services, Pods and Nodes.
//!
//! ```text
//! cargo run --example endpoints               an API server in this process, with changes; compares two ways to compute
//! cargo run --example endpoints -- --cluster  the cluster of your kubeconfig: only reads, Ctrl-C stops it
//! ```
//!
//! [`derived`] is meant to be copied. [`plain`] computes the same from nothing each time, to check and to compare.

mod cluster;
mod derived;
mod plain;
#[path = "../shared/plot_file.rs"]
mod plot_file;
mod report;
mod simulation;

use std::path::PathBuf;

use clap::{Parser, value_parser};

use crate::plot_file::PlotFile;

/// The addresses behind each Service, kept up to date by recomputing only what a change affects.
///
/// By default it changes objects on an API server in this process, computes the addresses after each change in both ways,
/// and checks that they are equal. With --cluster it prints the addresses of a real cluster, and each change of them.
#[derive(Debug, Parser)]
#[command(name = "endpoints")]
struct Cli {
    /// Follows the cluster of the kubeconfig, until Ctrl-C. Only reads: Services, Pods and Nodes
    #[arg(long, conflicts_with_all = ["services", "pods", "changes", "seed", "plot"])]
    cluster: bool,
    /// Number of Services
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u32).range(1..=10_000))]
    services: u32,
    /// Number of Pods
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=100_000))]
    pods: u32,
    /// Number of changes
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = value_parser!(u32).range(1..=100_000))]
    changes: u32,
    /// Repeats the changes of an earlier run [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Draws what each change recomputes, as an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    if cli.cluster {
        return cluster::follow().await;
    }
    // A wrong path is reported now, and not after the run.
    let plot = cli.plot.as_deref().map(PlotFile::create).transpose()?;
    let seed = cli.seed.unwrap_or_else(rand::random);
    let run = simulation::run(cli.services, cli.pods, cli.changes, seed).await?;
    println!("{}", report::table(&run));
    plot.map_or(Ok(()), |plot| plot.write(report::draw(&run)))
}
