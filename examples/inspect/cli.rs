//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

/// A table of objects that refreshes itself, with the stats of the informers behind it; or, with --http, a web page of
/// the informers, their indexes, queues and controllers.
///
/// By default it shows an API server in this process, which creates and deletes objects and breaks a watch, a controller
/// and a slow subscriber. With --cluster it shows the cluster of your kubeconfig, and only reads.
#[derive(Debug, Parser)]
#[command(
    name = "inspect",
    after_help = "\
Examples:
  inspect --cluster
  inspect --cluster pods deployments.apps -n kube-system
  inspect --cluster subnets.kubeovn.io --interval 5s
  inspect --cluster pods -l app=web --once
  inspect --cluster pods deployments.apps --http 127.0.0.1:8080

Each kind has an informer, and a line of its stats below the tables. Ctrl-C ends the program."
)]
pub struct Cli {
    /// The kinds to show: a plural or kind, with its group if several groups have it: pods, deployments.apps,
    /// subnets.kubeovn.io [default: pods; without --cluster all kinds of the demonstration]
    #[arg(value_name = "KIND", value_parser = kind)]
    kinds: Vec<String>,

    /// Shows the cluster of the kubeconfig, until Ctrl-C
    #[arg(long)]
    pub cluster: bool,

    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", requires = "cluster")]
    pub context: Option<String>,

    /// Shows only objects of this namespace, and cluster-scoped objects [default: all]
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Shows only objects with these labels: app=web,tier!=db
    #[arg(long, short = 'l', value_name = "LABELS", default_value = "", hide_default_value = true)]
    pub selector: String,

    /// The time between two tables: 2s, 500ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub interval: Duration,

    /// The maximum number of objects shown of each kind
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub rows: usize,

    /// Prints one table once all informers have synced, and ends
    #[arg(long)]
    pub once: bool,

    /// Serves a web page at this address (port 0: any that is free), with /metrics, /readyz and /livez, in place of the
    /// tables
    #[arg(long, value_name = "ADDR", conflicts_with = "once")]
    pub http: Option<SocketAddr>,

    /// Shows keys of objects and of indexes on the page; they may be confidential
    #[arg(long, requires = "http")]
    pub show_names: bool,

    /// How long the demonstration lasts, in seconds [default: 6; with --http until Ctrl-C]
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "cluster",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub seconds: Option<u64>,
}

impl Cli {
    pub fn kinds(&self) -> Vec<&str> {
        match (self.kinds.is_empty(), self.cluster) {
            (false, _) => self.kinds.iter().map(String::as_str).collect(),
            (true, true) => vec!["pods"],
            (true, false) => crate::demo::KINDS.to_vec(),
        }
    }
}

fn kind(text: &str) -> Result<String, String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if text.is_empty() || text.starts_with('.') || text.ends_with('.') || !text.chars().all(letters) {
        return Err("not the name of a kind, such as pods or deployments.apps".to_owned());
    }
    Ok(text.to_owned())
}

/// `2s`, `500ms`; a number alone is in seconds.
fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if (0.1..=3600.0).contains(&(number * unit)) => Ok(Duration::from_secs_f64(number * unit)),
        _ => Err("not a time from 100ms to 3600s, such as 2s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Cli, String> {
        let arguments = ["inspect"].into_iter().chain(arguments.split_whitespace());
        Cli::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn kinds_are_those_given_or_a_default() {
        assert_eq!(parse("--cluster").unwrap().kinds(), ["pods"]);
        assert_eq!(parse("").unwrap().kinds(), crate::demo::KINDS);
        assert_eq!(parse("pods deployments.apps").unwrap().kinds(), ["pods", "deployments.apps"]);
    }

    #[test]
    fn a_wrong_value_names_its_flag() {
        for (arguments, named) in [
            ("po/ds", "'po/ds' for '[KIND]...': not the name of a kind"),
            (".apps", "'[KIND]...'"),
            ("--interval 1h", "'--interval <TIME>': not a time from 100ms to 3600s"),
            ("--interval 0", "'--interval <TIME>'"),
            ("--interval nan", "'--interval <TIME>'"),
            ("--rows -1", "-1"),
            ("--seconds 0", "'--seconds <N>'"),
            ("--context x", "--cluster"),
            ("--cluster --seconds 3", "--seconds"),
            ("--http 8080", "'--http <ADDR>'"),
            ("--http 127.0.0.1:0 --once", "--once"),
            ("--show-names", "--http"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(named), "{arguments}: {error}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [("2s", 2000), ("500ms", 500), ("0.5s", 500), ("3", 3000)] {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }
}
