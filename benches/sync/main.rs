//! Informers and peers on a real API server: `sync/<what>/<n>/<peer>`.
//!
//! ```sh
//! export KUBEBUILDER_ASSETS=$(tools/envtest/build.sh)
//! cargo bench --bench sync                       # 50,000 objects, about 22 minutes
//! cargo bench --bench sync -- --json informer    # a line of JSON for each id and round; only these peers (`together` has both)
//! cargo bench --bench sync -- --test             # does it work? 200 objects
//! ```
//!
//! | what | measured |
//! |---|---|
//! | `list` | `s`: from the start of the process until it has all objects. `cpu_s`; `peak_mib` and `rest_mib`, the resident memory at most and five seconds later; of the latter, `heap_mib` is not of the program's file |
//! | `updates` | while objects change, 1,000 times a second for 30 s: `cpu_us` of the process for each event; `p50_ms`, `p99_ms` from the answer to the write until a handler has the change |
//! | `together` | `p50_ms`, `p99_ms`: the same of two peers that have the same changes at the same time; of ours also `later_us`, how much later than the other it had a change (median, p99) |
//!
//! Each peer is a process of its own. For `list` and `updates` they run one after another, in three rounds, each of which
//! begins with another peer; before the first, objects change without a peer, until the server has settled after it got them.
//! The peers: `kube-informer` (`-projected`, `-decoded`, `-metadata`), with two indexes and one subscription;
//! `kube-runtime-streaming` and `-paged`, its watcher and reflector; `client-go`, a dynamic informer with one handler, if Go is
//! installed. Without an API server nothing is measured.

mod link;
mod load;
mod peer;

#[path = "../../tests/support/crds.rs"]
#[allow(dead_code, reason = "the cases on a real server use the rest")]
mod crds;
#[path = "../../tests/support/envtest/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the cases on a real server use the rest")]
mod envtest;
#[path = "../nads.rs"]
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod nads;
#[path = "../rounds.rs"]
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod rounds;
#[path = "../../tests/support/wait.rs"]
mod wait;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use envtest::TestCluster;
use link::Link;
use load::Load;
use rounds::{Options, Report, Sample};

const GO: &str = "benches/peers/go";

/// How much is measured.
struct Size {
    objects: usize,
    /// In a second.
    updates: usize,
    seconds: u64,
    /// As many seconds before, without a peer.
    warm_up: u64,
}

/// Those that have the same changes at the same time.
const TOGETHER: [&str; 2] = ["kube-informer", "kube-runtime-streaming"];

/// What is measured, round by round.
struct Peer {
    name: &'static str,
    command: Command,
    synced: Vec<Sample>,
    updated: Vec<Sample>,
}

fn main() -> Result<()> {
    if let Ok(peer) = std::env::var(link::PEER) {
        return peer::run(&peer);
    }
    let options = Options::from_args(3);
    if let Err(reason) = envtest::find_binaries() {
        println!("no API server, nothing is measured: {reason}");
        return Ok(());
    }
    let size = if options.smoke {
        Size { objects: 200, updates: 100, seconds: 1, warm_up: 0 }
    } else {
        Size { objects: 50_000, updates: 1_000, seconds: 30, warm_up: 15 }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = Report::new(&options);
    runtime.block_on(measure(&options, &size, &mut report))?;
    report.print();
    Ok(())
}

async fn measure(options: &Options, size: &Size, report: &mut Report) -> Result<()> {
    let cluster = TestCluster::start(envtest::Options::default()).await?;
    let load = Load::new(&cluster, size.objects).await?;
    let kubeconfig = load.kubeconfig(&cluster).await?;
    load.update(size.updates, Duration::from_secs(size.warm_up)).await?;
    let mut peers = peers(options)?;
    peers.retain(|peer| peer.ids(size).iter().any(|id| options.wants(id)));
    for round in 0..options.rounds {
        for turn in 0..peers.len() {
            let at = (turn + round * peers.len() / options.rounds) % peers.len();
            let peer = &mut peers[at];
            eprintln!("round {} of {}: {}", round + 1, options.rounds, peer.name);
            peer.measure(&load, size, &kubeconfig).await.with_context(|| peer.name)?;
        }
    }
    for peer in peers {
        let [list, updates] = peer.ids(size);
        add(options, report, list, &peer.synced);
        add(options, report, updates, &peer.updated);
    }
    together(options, size, &load, &kubeconfig, report).await?;
    cluster.stop().await
}

/// In each round, the other of the two opens its watch first.
async fn together(
    options: &Options,
    size: &Size,
    load: &Load,
    kubeconfig: &Path,
    report: &mut Report,
) -> Result<()> {
    let ids = TOGETHER.map(|name| format!("sync/together/{}/{name}", size.objects));
    if !ids.iter().any(|id| options.wants(id)) {
        return Ok(());
    }
    let mut samples = [Vec::new(), Vec::new()];
    for round in 0..options.rounds {
        eprintln!("round {} of {}: {}", round + 1, options.rounds, TOGETHER.join(" and "));
        let mut order = [0, 1];
        order.rotate_left(round % 2);
        let mut links = Vec::new();
        for at in order {
            let mut link = Link::start(command(TOGETHER[at])?.env("KUBECONFIG", kubeconfig), size.objects)?;
            link.synced()?;
            links.push((at, link));
        }
        let written = load.update(size.updates, Duration::from_secs(size.seconds)).await?;
        links.sort_by_key(|(at, _)| *at);
        let mut seen = Vec::new();
        for (_, link) in links {
            seen.push(link.finish(written.len())?.1);
        }
        for (samples, seen) in samples.iter_mut().zip(&seen) {
            samples.push(late(&written, seen));
        }
        samples[0].last_mut().expect("a round").extend(later(&seen[0], &seen[1]));
    }
    for (id, samples) in ids.into_iter().zip(&samples) {
        add(options, report, id, samples);
    }
    Ok(())
}

/// As JSON, each round is a run: its processes are its own.
fn add(options: &Options, report: &mut Report, id: String, rounds: &[Sample]) {
    if options.json {
        rounds.chunks(1).for_each(|round| report.add(id.clone(), round));
    } else {
        report.add(id, rounds);
    }
}

// === impl Peer ===

impl Peer {
    fn new(name: &'static str, command: Command) -> Self {
        Self { name, command, synced: Vec::new(), updated: Vec::new() }
    }

    fn ids(&self, size: &Size) -> [String; 2] {
        ["list", "updates"].map(|what| format!("sync/{what}/{}/{}", size.objects, self.name))
    }

    async fn measure(&mut self, load: &Load, size: &Size, kubeconfig: &Path) -> Result<()> {
        self.command.env("KUBECONFIG", kubeconfig);
        let mut link = Link::start(&mut self.command, size.objects)?;
        self.synced.push(link.synced()?);
        let written = load.update(size.updates, Duration::from_secs(size.seconds)).await?;
        let (cpu, seen) = link.finish(written.len())?;
        let per_event = cpu.as_secs_f64() * 1e6 / written.len().max(1) as f64;
        let mut sample = vec![("cpu_us", per_event)];
        sample.extend(late(&written, &seen));
        self.updated.push(sample);
        Ok(())
    }
}

/// A process of a peer in Rust.
fn command(peer: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("no program")?);
    command.env(link::PEER, peer);
    Ok(command)
}

fn peers(options: &Options) -> Result<Vec<Peer>> {
    let ours = peer::NAMES.iter().map(|name| Ok(Peer::new(name, command(name)?)));
    let mut peers = ours.collect::<Result<Vec<_>>>()?;
    let has_go = Path::new(GO).is_dir() && Command::new("go").arg("version").output().is_ok();
    if has_go && !options.smoke {
        let built = std::env::current_dir()?.join("target").join("go-peers");
        let status =
            Command::new("go").current_dir(GO).args(["build", "-o"]).arg(&built).arg(".").status()?;
        anyhow::ensure!(status.success(), "the peers in Go do not build");
        let mut command = Command::new(built);
        command.arg("-sync");
        peers.push(Peer::new("client-go", command));
    }
    Ok(peers)
}

/// From the answers to the writes, by version, until they were seen. Of an object that changed twice in between, only the later
/// change may be seen.
fn late(written: &HashMap<u64, u128>, seen: &HashMap<u64, u128>) -> Sample {
    let waits =
        written.iter().filter_map(|(version, at)| Some(seen.get(version)?.saturating_sub(*at) as f64));
    let waits = sorted(waits);
    vec![
        ("p50_ms", quantile(&waits, 0.5) / 1e6),
        ("p99_ms", quantile(&waits, 0.99) / 1e6),
        ("events", written.len() as f64),
        ("seen", waits.len() as f64),
    ]
}

/// How much later one has seen what both have seen.
fn later(one: &HashMap<u64, u128>, other: &HashMap<u64, u128>) -> Sample {
    let waits =
        one.iter().filter_map(|(version, at)| Some((*at as i128 - *other.get(version)? as i128) as f64));
    let waits = sorted(waits);
    vec![("later_us", quantile(&waits, 0.5) / 1e3), ("later_p99_us", quantile(&waits, 0.99) / 1e3)]
}

fn sorted(waits: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut waits: Vec<_> = waits.collect();
    waits.sort_by(f64::total_cmp);
    waits
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted.get((sorted.len() as f64 * q) as usize).copied().unwrap_or(f64::INFINITY)
}
