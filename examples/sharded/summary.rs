//! The result, for a reader who has not seen the run.

use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::unix::board::{State, name};
use crate::unix::coverage::Longest;
use crate::unix::referee::Overlap;
use crate::unix::report::now;

/// The most examples of each violation.
const EXAMPLES: usize = 5;

/// A fault from which the replicas have settled.
pub struct Healed {
    what: String,
    /// The time until the replicas had settled, a pause included.
    after: Duration,
    /// The longest time for which a hash had no member.
    missing: Duration,
}

/// What the parent has found.
pub struct Judged {
    overlaps: Vec<Overlap>,
    odd: u64,
    reconciles: u64,
    aborted: u64,
    reconciled: usize,
    handovers: u64,
    faults: usize,
    replicas: usize,
    changes: u64,
    objects: u32,
    /// The keys of objects that were not reconciled at their last version.
    left: Vec<String>,
    missing: Longest,
    limit: Duration,
}

// === impl Healed ===

impl Healed {
    /// Now.
    pub fn new(state: &State, what: String, begin: u64) -> Self {
        let missing = state.coverage.longest(begin, now(), &[]).in_all;
        Self { what, after: Duration::from_micros(now() - begin), missing: Duration::from_micros(missing) }
    }
}

// === impl Judged ===

impl Judged {
    pub fn new(
        state: &State,
        (begin, end): (u64, u64),
        limit: Duration,
        changes: u64,
        objects: u32,
        left: Vec<String>,
    ) -> Self {
        let faults: Vec<u64> = state.faults.iter().map(|(at, _)| *at).collect();
        Self {
            overlaps: state.referee.overlaps(),
            odd: state.referee.odd(),
            reconciles: state.referee.reconciles(),
            aborted: state.referee.aborted(),
            reconciled: state.referee.objects(),
            handovers: state.handovers,
            faults: faults.len(),
            replicas: state.replicas.len(),
            changes,
            objects,
            left,
            missing: state.coverage.longest(begin, end, &faults),
            limit,
        }
    }

    /// Whether nothing is violated.
    pub fn is_right(&self) -> bool {
        self.overlaps.is_empty() && self.odd == 0 && self.left.is_empty() && self.is_covered()
    }

    fn is_covered(&self) -> bool {
        Duration::from_micros(self.missing.after_a_fault) <= self.limit
    }
}

/// The result, as lines.
pub fn text(judged: &Judged, healed: &[Healed]) -> String {
    let mut text = table(healed);
    let it = judged;
    let mut line = |line: String| text.extend([line.as_str(), "\n"]);
    line(format!(
        "{} replicas, {} faults, {} hand-overs of ranges; {} changes; {} reconciles of {} objects, and {} that were \
         aborted.",
        it.replicas, it.faults, it.handovers, it.changes, it.reconciles, it.reconciled, it.aborted
    ));
    line(format!(
        "{} No object was reconciled by two replicas at once: {} overlaps.",
        verdict(it.overlaps.is_empty() && it.odd == 0),
        it.overlaps.len()
    ));
    for overlap in it.overlaps.iter().take(EXAMPLES) {
        line(format!("        {}", described(overlap)));
    }
    if it.odd > 0 {
        line(format!("        {} reports contradict the ones before", it.odd));
    }
    line(format!(
        "{} Each object was reconciled at its last version: {} of {}.",
        verdict(it.left.is_empty()),
        it.objects as usize - it.left.len().min(it.objects as usize),
        it.objects
    ));
    for key in it.left.iter().take(EXAMPLES) {
        line(format!("        not {key}"));
    }
    let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
    line(format!(
        "{} No part of the objects was without a replica for longer than {:.1} s after a fault (allowed: {} s).",
        verdict(it.is_covered()),
        seconds(it.missing.after_a_fault),
        it.limit.as_secs()
    ));
    if it.missing.in_all > it.missing.after_a_fault {
        line(format!("        Over several faults, it was {:.1} s.", seconds(it.missing.in_all)));
    }
    text
}

/// What is known of a run that has failed before its end.
pub fn unfinished(state: &State) -> String {
    let (overlaps, reconciles) = (state.referee.overlaps(), state.referee.reconciles());
    let mut text = format!(
        "The run has not ended. Until then, {reconciles} reconciles, and {} of an object that another replica \
         reconciled at the same time.",
        overlaps.len()
    );
    for overlap in overlaps.iter().take(EXAMPLES) {
        text.extend(["\n        ", &described(overlap)]);
    }
    text
}

fn verdict(is_right: bool) -> &'static str {
    if is_right { "  ok  " } else { "WRONG " }
}

fn described(overlap: &Overlap) -> String {
    let Overlap { key, first, first_end, second } = overlap;
    let late = first_end.map_or_else(
        || "which did not end".to_owned(),
        |end| format!("{:?} before that one ended", Duration::from_micros(end.saturating_sub(second.begin))),
    );
    format!("{key}: {} began during a reconcile of {}, {late}", name(second.process), name(first.process))
}

fn table(healed: &[Healed]) -> String {
    if healed.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["fault", "settled after", "longest without a replica"]);
    for Healed { what, after, missing } in healed {
        let seconds = |time: &Duration| format!("{:.1} s", time.as_secs_f64());
        table.add_row([what.clone(), seconds(after), seconds(missing)]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unix::coverage::Event;
    use crate::unix::report::{Step, Work};

    fn judged(change: impl FnOnce(&mut State), left: &[&str]) -> Judged {
        let mut state = State::default();
        let (one, two) = (state.start(), state.start());
        for (process, at, step) in
            [(one, 1, Step::Begin), (one, 2, Step::End), (two, 3, Step::Begin), (two, 4, Step::End)]
        {
            let (key, uid, version) = ("a/b".into(), "u".into(), "7".into());
            state.referee.work(process, Work { at, step, key, uid, version });
        }
        state.coverage.note(1, one, Event::Holds(kube_informer::shard::Range::ALL.into()));
        change(&mut state);
        let left = left.iter().map(|&key| key.to_owned()).collect();
        Judged::new(&state, (0, 100_000_000), Duration::from_secs(25), 5, 10, left)
    }

    #[test]
    fn each_violation_is_named() {
        let right = judged(|_| {}, &[]);
        assert!(right.is_right() && !text(&right, &[]).contains("WRONG"), "{}", text(&right, &[]));

        let begin =
            |at| Work { at, step: Step::Begin, key: "a/b".into(), uid: "u".into(), version: "8".into() };
        let twice = |state: &mut State| {
            state.referee.work(0, begin(5));
            state.referee.work(0, begin(6));
        };
        let cases = [
            (judged(twice, &[]), "a/b: replica-1 began"),
            (judged(|_| {}, &["shop/cart"]), "not shop/cart"),
            (judged(|state| state.coverage.note(2, 0, Event::Ended), &[]), "longer than 100.0 s"),
        ];
        for (judged, named) in cases {
            let text = text(&judged, &[]);
            assert!(!judged.is_right(), "{text}");
            assert_eq!(text.matches("WRONG").count(), 1, "{text}");
            assert!(text.contains(named), "{text}");
        }
    }
}
