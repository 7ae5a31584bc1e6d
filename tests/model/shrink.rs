//! Reduces a failing run: fewer steps, kinds of faults and informers, while it still fails.

use std::panic::panic_any;

use crate::faults::{Fault, Manner};
use crate::run::{Outcome, Plan};
use crate::subject::Form;

/// The most runs spent on reducing one.
const ATTEMPTS: usize = 300;

/// Prints the smallest run that still fails, with its last steps and how to repeat it, and panics.
pub(crate) fn report(plan: &Plan, outcome: Outcome) -> ! {
    let first = outcome.failure.clone().unwrap_or_default();
    println!("seed {} fails: {first}\n  {}\nmaking it smaller ..", plan.seed, replay(plan));
    let (plan, outcome) = smaller(plan.clone(), outcome);
    println!(
        "the last steps of the smallest run that fails, on a server of the manner {:?}:",
        Manner::of(&plan)
    );
    println!("{}", outcome.log.join("\n"));
    println!("again: {}", replay(&plan));
    panic_any(format!("seed {}: {}", plan.seed, outcome.failure.unwrap_or_default()))
}

fn smaller(mut plan: Plan, mut outcome: Outcome) -> (Plan, Outcome) {
    plan.steps = plan.steps.min(outcome.steps);
    let mut attempts = 0;
    loop {
        let smaller = candidates(&plan).into_iter().take(ATTEMPTS - attempts).find_map(|candidate| {
            attempts += 1;
            let tried = candidate.run();
            tried
                .failure
                .is_some()
                .then(|| (Plan { steps: candidate.steps.min(tried.steps), ..candidate }, tried))
        });
        match smaller {
            Some(found) => (plan, outcome) = found,
            None => return (plan, outcome),
        }
    }
}

/// Smaller plans, the greatest reductions first.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let forms = (0..plan.forms.len()).filter(|_| plan.forms.len() > 1).map(|at| {
        let mut fewer = plan.clone();
        fewer.forms.remove(at);
        fewer
    });
    let faults = Fault::ALL
        .iter()
        .filter(|fault| plan.faults.has(**fault))
        .map(|fault| Plan { faults: plan.faults.without(*fault), ..plan.clone() });
    let steps = [0, plan.steps / 2, plan.steps * 3 / 4, plan.steps.saturating_sub(1)];
    let steps =
        steps.into_iter().filter(|steps| *steps < plan.steps).map(|steps| Plan { steps, ..plan.clone() });
    steps.chain(forms).chain(faults).collect()
}

fn replay(plan: &Plan) -> String {
    let forms: Vec<_> = plan.forms.iter().map(|form| format!("{form:?}")).collect();
    format!(
        "KUBE_INFORMER_MODEL_SEED={} KUBE_INFORMER_MODEL_STEPS={} KUBE_INFORMER_MODEL_FAULTS={} \
         KUBE_INFORMER_MODEL_FORMS={} cargo test --test model every_view -- --nocapture",
        plan.seed,
        plan.steps,
        plan.faults,
        forms.join(","),
    )
}

impl Form {
    pub(crate) fn parse(name: &str) -> Self {
        let all = [Self::Plain, Self::Selected, Self::Stream, Self::Shared, Self::Several];
        all.into_iter()
            .find(|form| format!("{form:?}") == name)
            .unwrap_or_else(|| panic!("no such form: {name}"))
    }
}
