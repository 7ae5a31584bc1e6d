//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

/// Runs the benchmarks of this crate and its peers in turn, and writes tables and plots of their medians.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Args {
    /// How many times each benchmark is started, in turn with all others
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: usize,
    /// How many rounds a benchmark measures each time
    #[arg(long, default_value_t = 9)]
    pub(crate) rounds: usize,
    /// Only whether it works: 1,000 objects, one run, one round, benchmarks of the dev profile
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also 1,000,000 objects
    #[arg(long)]
    pub(crate) million: bool,
    /// Also the peers on a real API server: needs KUBEBUILDER_ASSETS, see tools/envtest/build.sh
    #[arg(long)]
    pub(crate) sync: bool,
    /// Only ids that have one of these in them, such as write/2-index/
    pub(crate) ids: Vec<String>,
    /// The page with the tables, between two markers
    #[arg(long, default_value = "docs/BENCHMARKS.md")]
    pub(crate) page: PathBuf,
    /// The folder for the plots
    #[arg(long, default_value = "docs/img")]
    pub(crate) plots: PathBuf,
    /// Also writes what was measured to this file, one line of JSON for each id and run
    #[arg(long)]
    pub(crate) save: Option<PathBuf>,
    /// Measures nothing, and takes the figures of such a file
    #[arg(long, conflicts_with = "save")]
    pub(crate) from: Option<PathBuf>,
}
