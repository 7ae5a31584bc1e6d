//! Compares informers with a model that keeps every version of the server's state. Under all faults, every
//! view must be the server's state at its version, and after the faults every informer must recover. See
//! docs/TESTING.md.
//!
//! ```text
//!  run: steps --writes--> World { history of every version, faults } --service--> informers --views--> checks
//! ```
//!
//! - `KUBE_INFORMER_MODEL_SEEDS=N` runs N seeds instead of 200; 0 runs until one fails.
//! - `KUBE_INFORMER_MODEL_SEED=S` runs one, with `_STEPS`, `_FAULTS` and `_FORMS` as printed by a failure.

mod body;
mod checks;
mod derived;
mod faults;
mod follower;
mod history;
mod kind;
mod oracle;
mod run;
mod scopes;
mod server;
mod shrink;
mod subject;
mod watching;
mod wire;
mod world;

use std::collections::HashSet;
use std::env;
use std::time::{Duration, Instant};

use self::faults::FaultSet;
use self::run::Plan;
use self::subject::Form;

const SEEDS: u64 = 200;

#[test]
fn every_view_is_the_truth_at_its_version_and_every_informer_recovers() {
    if let Some(seed) = number("SEED") {
        return run_one(&given(seed));
    }
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    let from = number("FROM").unwrap_or(0);
    let (begun, mut said) = (Instant::now(), Instant::now());
    let (mut views, mut requests, mut slowest, mut simulated) = (0, 0, Duration::ZERO, Duration::ZERO);
    let mut failed = 0;
    for seed in from.. {
        if seeds > 0 && seed - from == seeds {
            break;
        }
        let plan = given(seed);
        let outcome = plan.run();
        if outcome.failure.is_some() {
            failed += 1;
            // Prints a survey of all failures, or the first failure in detail.
            if env::var_os("KUBE_INFORMER_MODEL_SURVEY").is_none() {
                shrink::report(&plan, outcome);
            }
            println!(
                "seed {seed} {:?}: {}\n  {}",
                faults::Manner::of(&plan),
                outcome.failure.unwrap_or_default(),
                outcome.log.join("\n  ")
            );
            continue;
        }
        views += outcome.views;
        requests += outcome.requests;
        simulated += outcome.simulated;
        slowest = slowest.max(outcome.recovery);
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            eprintln!(
                "{} seeds in {:?}, {views} views, slowest recovery {slowest:?}",
                seed - from + 1,
                begun.elapsed()
            );
        }
    }
    println!(
        "{seeds} seeds in {:.1?}: {} h simulated, {views} views, {requests} requests, slowest recovery {slowest:?}",
        begun.elapsed(),
        simulated.as_secs() / 3600,
    );
    assert_eq!(failed, 0, "seeds failed");
}

/// Only the seed decides what happens, so that a failure can be reproduced.
#[test]
fn a_seed_runs_the_same_each_time() {
    for seed in [3, 4, 5] {
        let plan = Plan::new(seed);
        // A task's turn ends by the system's clock. Where the machine interrupts a run for longer than a turn, this run
        // differs; most runs are not interrupted.
        let mut traces = HashSet::new();
        let repeated = (0..10).any(|_| !traces.insert(plan.run().trace));
        assert!(repeated, "seed {seed}: ten runs, ten traces");
    }
}

fn run_one(plan: &Plan) {
    let outcome = plan.run();
    println!("{}", outcome.log.join("\n"));
    println!("trace {:x}", outcome.trace);
    if outcome.failure.is_some() {
        shrink::report(plan, outcome);
    }
}

/// The plan of a seed, with the other settings from the environment.
fn given(seed: u64) -> Plan {
    let mut plan = Plan::new(seed);
    if let Some(steps) = number("STEPS") {
        plan.steps = steps as usize;
    }
    if let Ok(faults) = env::var("KUBE_INFORMER_MODEL_FAULTS") {
        plan.faults = FaultSet::parse(&faults);
    }
    if let Ok(faults) = env::var("KUBE_INFORMER_MODEL_WITHOUT") {
        plan.faults = plan.faults.without_all(FaultSet::parse(&faults));
    }
    if let Ok(forms) = env::var("KUBE_INFORMER_MODEL_FORMS") {
        plan.forms = forms.split(',').map(Form::parse).collect();
    }
    plan
}

fn number(name: &str) -> Option<u64> {
    env::var(format!("KUBE_INFORMER_MODEL_{name}")).ok()?.parse().ok()
}
