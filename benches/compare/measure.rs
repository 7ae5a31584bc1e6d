//! Builds the benchmarks, and runs them in turn.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::args::Args;
use crate::machine;

/// In this order in each run.
const BENCHES: [&str; 6] = ["lookup", "write", "ingest", "relist", "subscribe", "memory"];

/// On a real API server.
const SYNC: &str = "sync";

const GO: &str = "benches/peers/go";

/// A benchmark that was built.
struct Bench {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
}

/// Lines of JSON: about the machine, and of every benchmark in every run.
pub(crate) fn all(args: &Args) -> anyhow::Result<String> {
    let mut benches = rust(args)?;
    let go = is_installed("go");
    if go {
        benches.push(go_peers(args)?);
    } else {
        println!("go is not installed: client-go, controller-runtime and statedb are left out");
    }
    let mut lines = machine::lines(go);
    let runs = if args.quick { 1 } else { args.runs };
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} ({elapsed})").context("a template")?;
    let bar = ProgressBar::new((runs * benches.len()) as u64).with_style(style);
    for _ in 0..runs {
        for bench in &benches {
            bar.set_message(bench.name.clone());
            lines.extend(run(bench, args)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(lines.join("\n"))
}

fn run(bench: &Bench, args: &Args) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new(&bench.program);
    command.args(&bench.arguments).stderr(Stdio::inherit());
    if args.million {
        command.env("KUBE_INFORMER_MILLION", "1");
    }
    let output = command.output().with_context(|| format!("start {}", bench.name))?;
    if !output.status.success() {
        bail!("{} failed: {}", bench.name, output.status);
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("{}: no text", bench.name))?;
    Ok(text.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect())
}

/// Builds ours, and asks cargo where they are.
fn rust(args: &Args) -> anyhow::Result<Vec<Bench>> {
    println!("building the benchmarks");
    let benches = || BENCHES.into_iter().chain(args.sync.then_some(SYNC));
    let mut command = Command::new("cargo");
    command.args(if args.quick { ["test", "--no-run"] } else { ["bench", "--no-run"] });
    command.arg("--message-format=json-render-diagnostics");
    command.args(benches().flat_map(|bench| ["--bench", bench]));
    let output = command.stderr(Stdio::inherit()).output().context("start cargo")?;
    if !output.status.success() {
        bail!("the benchmarks do not build");
    }
    let text = String::from_utf8(output.stdout).context("cargo: no text")?;
    let built: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let program = |name: &str| {
        built.iter().find_map(|message| {
            let is_it = message["target"]["name"] == name && message["target"]["kind"][0] == "bench";
            message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
        })
    };
    benches()
        .map(|name| {
            let mut arguments = vec!["--json".to_owned(), "--bench".to_owned()];
            if args.quick {
                arguments.push("--test".to_owned());
            }
            arguments.extend(["--rounds".to_owned(), args.rounds.to_string()]);
            arguments.extend(args.ids.iter().cloned());
            let program = program(name).with_context(|| format!("cargo has built no {name}"))?;
            Ok(Bench { name: name.to_owned(), program, arguments })
        })
        .collect()
}

fn go_peers(args: &Args) -> anyhow::Result<Bench> {
    println!("building the peers in Go");
    let program = std::env::current_dir().context("no folder")?.join("target").join("go-peers");
    let built = Command::new("go").current_dir(GO).arg("build").arg("-o").arg(&program).arg(".").status();
    if !built.context("start go")?.success() {
        bail!("the peers in Go do not build");
    }
    let mut arguments = vec![format!("-rounds={}", args.rounds)];
    arguments.extend(args.quick.then(|| "-test".to_owned()));
    arguments.extend(args.million.then(|| "-million".to_owned()));
    arguments.extend(args.ids.iter().cloned());
    Ok(Bench { name: "peers in Go".to_owned(), program, arguments })
}

fn is_installed(program: &str) -> bool {
    Path::new(GO).is_dir()
        && Command::new(program)
            .arg("version")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}
