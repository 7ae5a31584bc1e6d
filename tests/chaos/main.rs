//! Informers beside kube-runtime's reflector on a real API server, while connections break and the server dies.
//!
//! Fails when a consumer does not hold what exists once all is quiet again; how late each was is only printed.
//!
//! - `KUBE_INFORMER_CHAOS_SECONDS`: how long it lasts; 15 by default.
//! - `KUBE_INFORMER_CHAOS_SEED`: which faults; at random by default.
//!
//! `cargo run --example chaos` is the same with a progress bar.

mod side_by_side;

#[path = "../support/envtest/mod.rs"]
#[allow(dead_code, unused_imports)] // the cases on a real server use the rest
mod envtest;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Builder;

use self::side_by_side::Settings;

const SECONDS: u64 = 15;

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let trial = Trial::ignorable_test("all_agree_after_chaos", trial);
    libtest_mimic::run(&args, vec![trial]).exit_code()
}

fn trial() -> Result<Completion, Failed> {
    if let Err(reason) = envtest::find_binaries() {
        return if required() { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) };
    }
    chaos().map_err(|err| format!("{err:?}"))?;
    Ok(Completion::Completed)
}

fn chaos() -> Result<()> {
    let seed = number("KUBE_INFORMER_CHAOS_SEED")?.unwrap_or_else(rand::random);
    let length = Duration::from_secs(number("KUBE_INFORMER_CHAOS_SECONDS")?.unwrap_or(SECONDS));
    println!("chaos: KUBE_INFORMER_CHAOS_SEED={seed} KUBE_INFORMER_CHAOS_SECONDS={}", length.as_secs());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(side_by_side::run(&Settings { seed, length }, &|_| {}))?;
    println!("{}\n{}", report.table(), report.bars());
    let left = envtest::leftover_processes();
    if !left.is_empty() {
        bail!("processes were left behind:\n{}", left.join("\n"));
    }
    if !report.is_correct() {
        bail!("not all consumers hold what exists, seed {seed}:\n{}\n{}", report.table(), report.late());
    }
    Ok(())
}

/// Whether a missing real API server is a failure, as it is in CI.
fn required() -> bool {
    std::env::var_os("KUBE_INFORMER_REQUIRE_REAL").is_some_and(|value| !value.is_empty())
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    Ok(Some(text.parse().with_context(|| format!("{variable} is not a number"))?))
}
