//! What the parent knows: the replicas and what they have reported.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube_informer::shard::Ranges;

use crate::unix::coverage::{Coverage, Event};
use crate::unix::referee::Referee;
use crate::unix::report::{Report, Usage, now};

/// The number of parts that a member of the group has more than another one, at most, once the group has settled: one,
/// of 128. One more is for the ends of ranges.
const UNEVEN: f64 = 2.0 / 128.0;

/// Shared with the threads that read the reports.
#[derive(Debug, Default)]
pub struct Board(Mutex<State>);

#[derive(Debug, Default)]
pub struct State {
    pub replicas: Vec<Replica>,
    pub referee: Referee,
    pub coverage: Coverage,
    /// What happened, for the plot and the summary.
    pub faults: Vec<(u64, String)>,
    /// The number of times that a replica got ranges.
    pub handovers: u64,
    /// The reconciles of a replica in the second before.
    pub reconciled: Vec<(u64, u64)>,
    /// A line that is no report.
    pub unreadable: Option<String>,
}

#[derive(Debug)]
pub struct Replica {
    pub name: String,
    pub state: Running,
    pub held: Ranges,
    pub usage: Usage,
    /// Reconciles per second.
    pub rate: f64,
    /// The part that it worked on, from when on.
    pub shares: Vec<(u64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    Runs,
    Paused,
    /// It has been asked to stop.
    Stops,
    Killed,
    Stopped,
}

// === impl Board ===

impl Board {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Adds a replica, and returns its number.
    pub fn start(&mut self) -> usize {
        let number = self.replicas.len();
        self.replicas.push(Replica {
            name: name(number),
            state: Running::Runs,
            held: Ranges::new(),
            usage: Usage::default(),
            rate: 0.0,
            shares: vec![(now(), 0.0)],
        });
        number
    }

    /// Notes a line of a replica.
    pub fn line(&mut self, number: usize, line: &str) {
        match serde_json::from_str(line) {
            Ok(Report::Work(work)) => self.referee.work(number, work),
            Ok(Report::Share(share)) => {
                let replica = &mut self.replicas[number];
                // The last reports of a process may be read after its end.
                if !matches!(replica.state, Running::Killed | Running::Stopped) {
                    self.handovers += u64::from(!share.held.minus(&replica.held).is_empty());
                    replica.shares.push((share.at, share.held.fraction()));
                    replica.held = share.held.clone();
                }
                self.coverage.note(share.at, number, Event::Holds(share.held));
            }
            Ok(Report::Usage(usage)) => {
                let replica = &mut self.replicas[number];
                let last = std::mem::replace(&mut replica.usage, usage);
                let seconds = usage.at.saturating_sub(last.at) as f64 / 1e6;
                let reconciles = usage.reconciles.saturating_sub(last.reconciles);
                replica.rate = reconciles as f64 / seconds.max(0.001);
                self.reconciled.push((usage.at, reconciles));
            }
            Err(_) => self.unreadable = Some(format!("{}: {line}", name(number))),
        }
    }

    /// Notes that the state of a replica has changed.
    pub fn becomes(&mut self, number: usize, state: Running) {
        let (at, replica) = (now(), &mut self.replicas[number]);
        let was = std::mem::replace(&mut replica.state, state);
        match state {
            Running::Paused => {
                replica.shares.push((at, 0.0));
                self.referee.paused(number, at);
                self.coverage.note(at, number, Event::Paused);
            }
            Running::Runs if was == Running::Paused => {
                replica.shares.push((at, replica.held.fraction()));
                self.referee.resumed(number, at);
                self.coverage.note(at, number, Event::Resumed);
            }
            Running::Runs | Running::Stops => {}
            Running::Killed | Running::Stopped => {
                replica.shares.push((at, 0.0));
                replica.held = Ranges::new();
                replica.rate = 0.0;
                self.referee.ended(number, at);
                self.coverage.note(at, number, Event::Ended);
            }
        }
    }

    /// Notes a fault.
    pub fn fault(&mut self, what: String) -> u64 {
        let at = now();
        self.faults.push((at, what));
        at
    }

    /// The replicas in one state.
    pub fn with(&self, state: Running) -> Vec<usize> {
        (0..self.replicas.len()).filter(|number| self.replicas[*number].state == state).collect()
    }

    /// The part of the hashes that no replica works on.
    pub fn missing(&self) -> f64 {
        let works = |replica: &&Replica| matches!(replica.state, Running::Runs | Running::Stops);
        let working = self.replicas.iter().filter(works);
        working.fold(Ranges::new(), |held, replica| held.union(&replica.held)).complement().fraction()
    }

    /// Whether all hashes have a member, and the running replicas hold about the same.
    pub fn is_settled(&self) -> bool {
        let running = self.replicas.iter().filter(|replica| replica.state == Running::Runs);
        let parts: Vec<f64> = running.map(|replica| replica.held.fraction()).collect();
        let (least, most) =
            parts.iter().fold((1.0_f64, 0.0_f64), |(a, b), part| (a.min(*part), b.max(*part)));
        self.missing() <= 0.0 && most - least <= UNEVEN
    }

    /// Reconciles per second, of all replicas together.
    pub fn rates(&self) -> f64 {
        let running = self.replicas.iter().filter(|replica| replica.state == Running::Runs);
        running.fold(0.0, |sum, replica| sum + replica.rate)
    }

    /// The states of the replicas, such as `3 run, 1 paused`.
    pub fn states(&self) -> String {
        let mut states = BTreeMap::new();
        for replica in &self.replicas {
            *states.entry(replica.state.to_string()).or_insert(0) += 1;
        }
        states.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
    }
}

// === impl Running ===

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Runs => "running",
            Self::Paused => "paused",
            Self::Stops => "stopping",
            Self::Killed => "killed",
            Self::Stopped => "stopped",
        })
    }
}

/// The name of the replica with this number.
pub fn name(number: usize) -> String {
    format!("replica-{}", number + 1)
}

#[cfg(test)]
mod tests {
    use kube_informer::shard::Range;

    use super::*;

    fn share(held: impl Into<Ranges>) -> String {
        let share = crate::unix::report::Share { at: now(), held: held.into() };
        serde_json::to_string(&Report::Share(share)).unwrap()
    }

    #[test]
    fn the_group_has_settled_when_all_running_replicas_hold_about_the_same() {
        let mut state = State::default();
        assert_eq!((state.start(), state.start()), (0, 1));
        assert!(!state.is_settled(), "no replica holds anything");
        state.line(0, &share(Range::ALL));
        assert!(!state.is_settled(), "one holds everything");
        state.line(0, &share(Range::of(0, 2).unwrap()));
        assert!(!state.is_settled(), "a half is missing");
        state.line(1, &share(Range::of(1, 2).unwrap()));
        assert!(state.is_settled(), "{state:?}");
        state.becomes(0, Running::Paused);
        assert!(!state.is_settled(), "a replica is paused");
        assert_eq!((state.missing(), state.states().as_str()), (0.5, "1 paused, 1 running"));
        state.line(1, &share(Range::ALL));
        assert!(state.is_settled());
    }

    #[test]
    fn a_line_that_is_no_report_is_kept() {
        let mut state = State::default();
        state.start();
        state.line(0, &share(Range::ALL));
        state.line(0, &share(Range::of(0, 2).unwrap()));
        assert_eq!((state.handovers, state.unreadable.as_deref()), (1, None), "a loss is no hand-over");
        state.line(0, "thread panicked");
        assert_eq!(state.unreadable.as_deref(), Some("replica-1: thread panicked"));
    }
}
