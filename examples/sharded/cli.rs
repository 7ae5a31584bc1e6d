//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::value_parser as parser;

/// Replicas of one controller that divide 50,000 ConfigMaps among themselves, while replicas are killed, stopped, added
/// and paused.
///
/// Each replica is a process. It caches and reconciles its part of the objects: `shard::Member` and
/// `Controller::sharded`. This process changes the objects, causes the faults, and checks that no object is reconciled by
/// two replicas at once, that no part of the objects is without a replica for long, and that each object is reconciled at
/// its last version.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sharded",
    after_help = "\
The faults, each after the replicas have settled from the one before: a replica is killed (SIGKILL), one is stopped
(SIGTERM), one is added, and one is paused (SIGSTOP, SIGCONT) for twice the duration of the Lease.

Examples:
  sharded --plot shares.svg
  sharded --random --seed 7 --minutes 3
  sharded --figures
  sharded --objects 2000 --lease 3

Exit code: 0 on success; 1 if a check failed, or something else; 2 for a wrong command line; 130 after Ctrl-C."
)]
pub struct Cli {
    /// The number of objects
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = parser!(u32).range(100..=1_000_000))]
    pub objects: u32,

    /// The number of replicas at the start
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = parser!(u16).range(2..=32))]
    pub replicas: u16,

    /// Changes of objects per second. One of 50 deletes the object and creates it again
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = parser!(u32).range(1..=10_000))]
    pub rate: u32,

    /// The duration of the Leases, in seconds
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = parser!(u64).range(3..=600))]
    pub lease: u64,

    /// How long a part of the objects may be without a replica beyond the duration of the Lease, in seconds: the time to
    /// notice, and to list
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = parser!(u64).range(1..=600))]
    pub takeover: u64,

    /// Causes random faults in place of the four
    #[arg(long)]
    pub random: bool,

    /// The seed of the random faults and changes [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// How long the random faults last
    #[arg(long, value_name = "N", default_value_t = 3.0, requires = "random", value_parser = minutes)]
    pub minutes: f64,

    /// Measures the memory and the CPU time of each replica with 1, 2, 4 and 8 replicas, without faults
    #[arg(long, conflicts_with_all = ["random", "replicas", "plot"])]
    pub figures: bool,

    /// The API server does not filter by shards, as before Kubernetes 1.36: the replicas do
    #[arg(long, conflicts_with = "cluster")]
    pub no_filter: bool,

    /// Draws the part of each replica and the reconciles over time, as SVG, into this file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,

    /// Runs on the cluster of the kubeconfig, in namespaces of its own, which it deletes at the end [default: an API
    /// server in this process]
    #[arg(long)]
    pub cluster: bool,

    /// The context of the kubeconfig; required unless the name of the current one begins with `kind-`
    #[arg(long, value_name = "NAME", requires = "cluster")]
    pub context: Option<String>,

    #[command(flatten)]
    pub replica: ReplicaArgs,
}

/// What the parent says to a replica.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplicaArgs {
    /// The name of the replica; it makes this process one.
    #[arg(long, hide = true)]
    pub name: Option<String>,

    /// The run of the example, which its objects are labelled with.
    #[arg(long, hide = true, default_value = "")]
    pub run: String,

    /// The API server in the parent.
    #[arg(long, hide = true)]
    pub server: Option<String>,

    /// Reports no reconciles.
    #[arg(long, hide = true)]
    pub quiet: bool,
}

// === impl Cli ===

impl Cli {
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease)
    }

    /// How long a hash may be without a member.
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.lease + self.takeover)
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=60.0).contains(&minutes) => Ok(minutes),
        _ => Err("not a number from 0.1 to 60".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Cli, String> {
        let arguments = ["sharded"].into_iter().chain(arguments.split_whitespace());
        Cli::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_value_names_its_flag() {
        for (arguments, named) in [
            ("--objects 3", "'--objects <N>'"),
            ("--replicas 1", "'--replicas <N>'"),
            ("--lease 2", "'--lease <N>'"),
            ("--minutes 1", "--random"),
            ("--random --minutes nan", "'--minutes <N>': not a number from 0.1 to 60"),
            ("--figures --random", "--random"),
            ("--cluster --no-filter", "--no-filter"),
            ("--context x", "--cluster"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(named), "{arguments}: {error}");
        }
    }
}
