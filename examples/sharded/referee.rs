//! Judges what the replicas report: whether two reconciles of one object overlapped, and which version of each object
//! was reconciled last.
//!
//! Reports of different processes arrive in any order, so it collects them, and judges at the end. It identifies an
//! object by its uid: an object that is deleted and created again is another one, and may belong to another replica.

use std::collections::HashMap;

use crate::unix::report::{Step, Work};

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Referee {
    objects: HashMap<String, Object>,
    /// Of each process: when pauses began, and ended.
    pauses: HashMap<usize, Vec<(u64, Option<u64>)>>,
    /// When each process had ended.
    ended: HashMap<usize, u64>,
    reconciles: u64,
    aborted: u64,
    /// Reports that contradict the ones before.
    odd: u64,
}

#[derive(Debug, Default)]
struct Object {
    key: String,
    spans: Vec<Span>,
    /// The version of the reconcile that succeeded last, and when.
    done: (u64, String),
}

/// One reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub process: usize,
    pub begin: u64,
    /// When its last write had succeeded.
    wrote: Option<u64>,
    end: Option<(u64, Step)>,
}

/// Two reconciles of one object that ran at the same time.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlap {
    pub key: String,
    pub first: Span,
    /// When it ended; `None` if it did not.
    pub first_end: Option<u64>,
    pub second: Span,
}

// === impl Referee ===

impl Referee {
    /// Notes what a process reports.
    pub fn work(&mut self, process: usize, work: Work) {
        let Work { at, step, key, uid, version } = work;
        let object = self.objects.entry(uid).or_insert_with(|| Object { key, ..Object::default() });
        if step == Step::Begin {
            object.spans.push(Span { process, begin: at, wrote: None, end: None });
            return;
        }
        let mut spans = object.spans.iter_mut().rev();
        let Some(span) = spans.find(|span| span.process == process && span.end.is_none()) else {
            self.odd += 1;
            return;
        };
        match step {
            Step::Write => span.wrote = Some(at),
            _ => span.end = Some((at, step)),
        }
        match step {
            Step::End => {
                self.reconciles += 1;
                if at >= object.done.0 {
                    object.done = (at, version);
                }
            }
            Step::Aborted => self.aborted += 1,
            Step::Begin | Step::Write | Step::Failed => {}
        }
    }

    pub fn paused(&mut self, process: usize, at: u64) {
        self.pauses.entry(process).or_default().push((at, None));
    }

    pub fn resumed(&mut self, process: usize, at: u64) {
        if let Some((_, end)) = self.pauses.entry(process).or_default().last_mut() {
            *end = Some(at);
        }
    }

    pub fn ended(&mut self, process: usize, at: u64) {
        self.ended.insert(process, at);
    }

    /// The number of reconciles that succeeded.
    pub fn reconciles(&self) -> u64 {
        self.reconciles
    }

    /// The number of reconciles that were dropped before they ended.
    pub fn aborted(&self) -> u64 {
        self.aborted
    }

    /// The number of reports that contradict the ones before, such as an end without a beginning.
    pub fn odd(&self) -> u64 {
        self.odd
    }

    /// The number of objects that were reconciled.
    pub fn objects(&self) -> usize {
        self.objects.len()
    }

    /// The version of an object from which the reconcile began that succeeded last.
    pub fn version(&self, uid: &str) -> Option<&str> {
        self.objects.get(uid).map(|object| object.done.1.as_str()).filter(|version| !version.is_empty())
    }

    /// All reconciles of an object that began before an earlier one of the same object had ended.
    pub fn overlaps(&self) -> Vec<Overlap> {
        let mut overlaps = Vec::new();
        for object in self.objects.values() {
            let mut spans = object.spans.clone();
            spans.sort_by_key(|span| span.begin);
            let mut last: Option<Span> = None;
            for second in spans {
                if let Some(first) = last.filter(|first| second.begin < self.end_of(first)) {
                    let first_end = Some(self.end_of(&first)).filter(|end| *end < u64::MAX);
                    overlaps.push(Overlap { key: object.key.clone(), first, first_end, second });
                }
                // The one that ends last is what later ones may overlap with.
                last = last.filter(|first| self.end_of(first) > self.end_of(&second)).or(Some(second));
            }
        }
        overlaps.sort_by_key(|overlap| overlap.second.begin);
        overlaps
    }

    /// When a reconcile worked for the last time.
    ///
    /// A process that is paused does not work. So a reconcile that is dropped after a pause has ended with the beginning
    /// of the pause, unless it has reported a write since.
    fn end_of(&self, span: &Span) -> u64 {
        match span.end {
            Some((end, Step::Aborted)) => {
                // It was open at the end of a pause, so at its beginning too.
                let mut pauses = self.pauses.get(&span.process).into_iter().flatten().rev();
                let paused =
                    pauses.find(|(_, resumed)| resumed.is_some_and(|at| (span.begin..=end).contains(&at)));
                paused.map_or(end, |(at, _)| span.begin.max(*at).max(span.wrote.unwrap_or_default()))
            }
            Some((end, _)) => end,
            None => self.ended.get(&span.process).copied().unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A referee that has been given these reports: the process, the time and the step.
    fn referee(reports: &[(usize, u64, Step)]) -> Referee {
        let mut referee = Referee::default();
        for (process, at, step) in reports {
            let work = Work {
                at: *at,
                step: *step,
                key: "shop/cart".into(),
                uid: "u".into(),
                version: format!("v{at}"),
            };
            referee.work(*process, work);
        }
        referee
    }

    use Step::{Aborted, Begin, End, Failed, Write};

    #[test]
    fn reconciles_one_after_the_other_are_right() {
        let referee = referee(&[
            (0, 1, Begin),
            (0, 2, Write),
            (0, 3, End),
            (1, 3, Begin),
            (1, 4, Failed),
            (0, 5, Begin),
        ]);
        assert_eq!(referee.overlaps(), []);
        assert_eq!((referee.reconciles(), referee.aborted(), referee.odd(), referee.objects()), (1, 0, 0, 1));
    }

    #[test]
    fn reconciles_of_two_processes_that_overlap_are_found_in_any_order_of_their_reports() {
        for end in [End, Failed, Aborted] {
            let mut reports = [(0, 1, Begin), (0, 5, end), (1, 4, Begin), (1, 6, End)];
            let found = referee(&reports).overlaps();
            assert_eq!(found.len(), 1);
            assert_eq!(
                (found[0].first.process, found[0].first_end, found[0].second.process),
                (0, Some(5), 1)
            );
            reports.rotate_left(2);
            assert_eq!(referee(&reports).overlaps(), found, "the reports of process 1 arrived first");
        }
    }

    #[test]
    fn reconciles_of_one_process_that_overlap_are_found_too() {
        assert_eq!(referee(&[(0, 1, Begin), (0, 2, Begin), (0, 3, End), (0, 4, End)]).overlaps().len(), 1);
    }

    #[test]
    fn a_long_reconcile_overlaps_with_all_that_begin_during_it() {
        let reports = [(0, 1, Begin), (1, 2, Begin), (1, 3, End), (2, 4, Begin), (2, 5, End), (0, 9, End)];
        let seconds: Vec<_> =
            referee(&reports).overlaps().iter().map(|overlap| overlap.second.process).collect();
        assert_eq!(seconds, [1, 2]);
    }

    #[test]
    fn a_reconcile_that_is_dropped_after_a_pause_ended_with_it() {
        let during_the_pause = [(0, 1, Begin), (1, 20, Begin), (1, 21, End)];
        let judged = |rest: &[(usize, u64, Step)]| {
            let mut referee = referee(&[&during_the_pause[..], rest].concat());
            referee.paused(0, 2);
            referee.resumed(0, 29);
            referee.overlaps().len()
        };
        assert_eq!(judged(&[(0, 30, Aborted)]), 0);
        assert_eq!(judged(&[(0, 30, End)]), 1, "it went on");
        assert_eq!(judged(&[(0, 30, Failed)]), 1, "it went on");
        assert_eq!(judged(&[(0, 30, Write), (0, 31, Aborted)]), 1, "it wrote after the pause");
    }

    #[test]
    fn a_pause_of_another_process_or_of_another_time_excuses_nothing() {
        for (process, paused, resumed) in [(1, 2, 29), (0, 5, 9), (0, 40, 50)] {
            let mut referee = referee(&[(0, 10, Begin), (1, 20, Begin), (1, 21, End), (0, 30, Aborted)]);
            referee.paused(process, paused);
            referee.resumed(process, resumed);
            assert_eq!(referee.overlaps().len(), 1, "process {process} was paused at {paused}");
        }
    }

    #[test]
    fn a_reconcile_of_a_killed_process_ends_with_it() {
        let mut referee = referee(&[(0, 1, Begin), (1, 9, Begin), (1, 10, End)]);
        assert_eq!(referee.overlaps().len(), 1, "process 0 may still work");
        referee.ended(0, 9);
        assert_eq!(referee.overlaps(), []);
    }

    #[test]
    fn the_version_is_that_of_the_reconcile_that_succeeded_last() {
        let mut referee = referee(&[(0, 1, Begin), (0, 7, End), (1, 4, Begin), (1, 5, End), (1, 8, Begin)]);
        assert_eq!(referee.version("u"), Some("v7"), "the other one ended before it");
        let failed = Work { at: 9, step: Failed, key: String::new(), uid: "u".into(), version: "v8".into() };
        referee.work(1, failed);
        assert_eq!((referee.version("u"), referee.version("other")), (Some("v7"), None));
    }

    #[test]
    fn an_end_without_a_beginning_is_odd() {
        assert_eq!(referee(&[(0, 1, End)]).odd(), 1);
        assert_eq!(referee(&[(0, 1, Begin), (1, 2, End)]).odd(), 1);
    }
}
