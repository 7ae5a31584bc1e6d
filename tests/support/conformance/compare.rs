//! Two recordings, step by step.

use super::run::Recorded;
use super::step::Step;

/// What differs that should not, and what no longer differs though the script says it does. Empty: all is well.
pub(crate) fn differences(script: &[Step], real: &[Recorded], ours: &[Recorded]) -> Vec<String> {
    let mut found = Vec::new();
    if real.len() != script.len() || ours.len() != script.len() {
        found.push(format!(
            "{} steps, {} recorded answers, {} answers: record anew",
            script.len(),
            real.len(),
            ours.len()
        ));
    }
    for (index, ((step, real), ours)) in script.iter().zip(real).zip(ours).enumerate() {
        if real.request != ours.request {
            found.push(format!("{index}: recorded for another request: {}", real.request));
            continue;
        }
        match (real == ours, step.differs) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(why)) => {
                found.push(format!("{index}: {}\n  no longer differs ({why})", step.title()));
            }
            (false, None) => {
                found.push(format!(
                    "{index}: {}\n  real: {}\n  ours: {}",
                    step.title(),
                    show(real),
                    show(ours)
                ));
            }
        }
    }
    found
}

fn show(record: &Recorded) -> String {
    let body: Vec<String> = record.body.iter().map(ToString::to_string).collect();
    let retry =
        record.retry_after.as_deref().map(|after| format!(" retry-after {after}")).unwrap_or_default();
    format!("{} {}{retry} {}", record.code, record.content_type, body.join(" "))
}
