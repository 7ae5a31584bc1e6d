//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

/// A Kube-OVN subnet controller that reads NetworkAttachmentDefinitions (NADs) from an informer's cache.
///
/// By default it runs a simulation with an API server in this process that changes its objects all the time. The
/// controller runs once with a GET of the NAD in each reconcile and once with the cache, and a table compares the two.
/// With --cluster it is a controller for the subnets of a real cluster.
#[derive(Debug, Parser)]
#[command(
    name = "subnet_controller",
    after_help = "\
Exit code: 0 on success; 1 if a status was wrong, or something failed; 2 for a wrong command line; 130 after
Ctrl-C in the simulation."
)]
pub struct Cli {
    /// Number of reconciles that run at the same time
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    pub workers: usize,

    /// The source of NADs in a reconcile: `direct` sends a GET each time, `cached` reads the informer [default:
    /// both; with --cluster cached]
    #[arg(long, value_enum)]
    pub mode: Option<Modes>,

    #[command(flatten, next_help_heading = "Simulation")]
    pub simulation: SimulationArgs,

    #[command(flatten, next_help_heading = "Real cluster")]
    pub cluster: ClusterArgs,
}

/// Options of the simulation.
#[derive(Debug, Args)]
pub struct SimulationArgs {
    /// How long each mode runs, in seconds
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,

    /// Number of NetworkAttachmentDefinitions at the start
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = at_least_one)]
    pub nads: usize,

    /// Number of subnets at the start
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = at_least_one)]
    pub subnets: usize,

    /// Number of pods at the start
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = at_least_one)]
    pub pods: usize,

    /// Seed of the changes: the same seed makes the same changes in the same order [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Changes per second [default: measured, between the capacities of the two modes]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,

    /// Latency of each request of the controller: 1.2ms, 800us, 1s. The default is the median of a GET measured
    /// on a real kube-apiserver
    #[arg(long, value_name = "TIME", default_value = "1.2ms", value_parser = duration)]
    pub api_latency: Duration,

    /// Draws the depth of the work queue over time, as SVG, into this file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

/// Options for a real cluster.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// Runs against the cluster of the kubeconfig, until Ctrl-C
    #[arg(
        long,
        conflicts_with_all = ["seconds", "nads", "subnets", "pods", "seed", "rate", "api_latency", "plot"]
    )]
    pub cluster: bool,

    /// The kubeconfig [default: $KUBECONFIG, ~/.kube/config, or the service account of the pod it runs in]
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig; required unless its name begins with `kind-`
    #[arg(long, value_name = "NAME", requires = "cluster")]
    pub context: Option<String>,

    /// Prints what it would write, but writes nothing
    #[arg(long, requires = "cluster")]
    pub dry_run: bool,

    /// Serves /metrics, /readyz and /livez at this address, once the caches are complete (port 0: any that is free)
    #[arg(long, value_name = "ADDR", requires = "cluster")]
    pub metrics: Option<SocketAddr>,

    /// Creates this many NADs, subnets and pods first, and deletes them at the end
    #[arg(long, value_name = "N", requires = "cluster", conflicts_with = "dry_run", value_parser = at_least_one)]
    pub load: Option<usize>,

    /// The namespace of what --load creates
    #[arg(long, value_name = "NAME", requires = "load", default_value = "default")]
    pub namespace: String,
}

/// Which modes to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Modes {
    Both,
    Direct,
    Cached,
}

/// One way of getting NADs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Direct,
    Cached,
}

// === impl Modes ===

impl Modes {
    pub fn list(self) -> &'static [Mode] {
        match self {
            Self::Both => &[Mode::Direct, Mode::Cached],
            Self::Direct => &[Mode::Direct],
            Self::Cached => &[Mode::Cached],
        }
    }
}

// === impl Mode ===

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::Cached => "cached",
        })
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("there must be at least 1".to_owned()),
        Ok(number) if number <= 1_000_000 => Ok(number),
        Ok(_) => Err("there may be at most 1000000".to_owned()),
        Err(_) => Err("not a whole number".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.1..=1e6).contains(&rate) => Ok(rate),
        _ => Err("not a number from 0.1 to 1000000".to_owned()),
    }
}

/// `1.2ms`, `800us`, `2s`; a number alone is in milliseconds.
fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let scale = match unit {
        "s" => 1.0,
        "ms" | "" => 1e-3,
        "us" => 1e-6,
        _ => return Err("the units are s, ms and us".to_owned()),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if (0.0..=10.0).contains(&(number * scale)) => Ok(Duration::from_secs_f64(number * scale)),
        _ => Err("not a time from 0 to 10 s, such as 1.2ms".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Cli, String> {
        let arguments = ["subnet_controller"].into_iter().chain(arguments.split_whitespace());
        Cli::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let cli = parse("").unwrap();
        assert_eq!(
            (cli.simulation.nads, cli.simulation.subnets, cli.simulation.pods, cli.simulation.seconds),
            (200, 500, 2000, 15)
        );
        assert_eq!(cli.simulation.api_latency, Duration::from_micros(1200));
    }

    #[test]
    fn a_wrong_value_names_its_flag() {
        for (arguments, named) in [
            ("--nads 0", "'--nads <N>': there must be at least 1"),
            ("--subnets x", "'--subnets <N>': not a whole number"),
            ("--workers 0", "'--workers <N>'"),
            ("--seconds 0", "'--seconds <N>'"),
            ("--rate -1", "-1"),
            ("--rate nan", "'--rate <N>'"),
            ("--api-latency 5min", "'--api-latency <TIME>': the units are s, ms and us"),
            ("--api-latency 1h", "'--api-latency <TIME>'"),
            ("--dry-run", "--cluster"),
            ("--metrics 127.0.0.1:0", "--cluster"),
            ("--cluster --metrics 8080", "'--metrics <ADDR>'"),
            ("--cluster --seed 4", "--seed"),
            ("--cluster --load 3 --dry-run", "--dry-run"),
            ("--mode fast", "'--mode <MODE>'"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(named), "{arguments}: {error}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, micros) in [("1.2ms", 1200), ("800us", 800), ("0.5s", 500_000), ("3", 3000), ("0", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "ms", "-1ms", "nan", "inf", "1e9s", "11s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
