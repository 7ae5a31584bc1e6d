//! Many informers of one client, while its server cannot be reached: one of them tries, the others wait for it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::recovery::{LONGEST, next_try};

/// The longest wait where several informers share what an attempt costs.
const LONGEST_SHARED: Duration = Duration::from_secs(3);

/// How long an attempt without an answer holds up the next one: it may hang in a way that others do not.
const HANGING: Duration = Duration::from_secs(5);

/// Lets attempts through while the server answers, and one at a time while nothing does.
///
/// While it is closed, one attempt is let through after each share of the outage: the first in line. The first
/// answer opens it, of whatever kind.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Set while it is closed.
    outage: Option<Outage>,
    /// Who waits, the first in line at the front.
    line: VecDeque<u64>,
    /// The number of the next one.
    next: u64,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    /// When an attempt may be made.
    attempt: Instant,
    /// One was let through, and nothing is known of it yet.
    trying: bool,
}

/// A place in the line.
struct Place<'a> {
    gate: &'a Gate,
    number: u64,
}

/// What there is to do at the gate.
enum Turn {
    Open,
    Try,
    Wait(Option<Instant>),
}

// === impl Gate ===

impl Gate {
    /// An answer came.
    pub(super) fn open(&self) {
        if self.state().outage.take().is_some() {
            self.changed.notify_waiters();
        }
    }

    /// Whether nothing answered at last.
    pub(super) fn is_closed(&self) -> bool {
        self.state().outage.is_some()
    }

    /// Nothing answers since `since`, nor has it to an attempt that began at `attempted`. The wait for the next one is
    /// multiplied by `factor`.
    pub(super) fn close(&self, since: Instant, attempted: Instant, factor: f64) {
        let now = Instant::now();
        let mut state = self.state();
        let longest = if state.line.is_empty() { LONGEST } else { LONGEST_SHARED };
        let after = |since| now + next_try(since, attempted, now, longest, factor);
        match &mut state.outage {
            None => state.outage = Some(Outage { since, attempt: after(since), trying: false }),
            Some(outage) => {
                outage.since = outage.since.min(since);
                // What others have sent before it closed says nothing of the attempt that was let through.
                if std::mem::take(&mut outage.trying) {
                    outage.attempt = after(outage.since);
                }
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until an attempt may be made. True where others were waited for, so that those who waited together are
    /// better not to go on together. Cancel-safe.
    pub(super) async fn pass(&self) -> bool {
        let mut place = None;
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the state is looked at.
            changed.as_mut().enable();
            match self.turn(&mut place) {
                Turn::Open => return place.is_some(),
                Turn::Try => return false,
                Turn::Wait(None) => changed.await,
                Turn::Wait(Some(until)) => {
                    let _ = timeout_at(until, changed).await;
                }
            }
        }
    }

    fn turn<'a>(&'a self, place: &mut Option<Place<'a>>) -> Turn {
        let now = Instant::now();
        let mut state = self.state();
        let State { outage, line, next } = &mut *state;
        let Some(outage) = outage else { return Turn::Open };
        let number = place
            .get_or_insert_with(|| {
                *next += 1;
                line.push_back(*next);
                Place { gate: self, number: *next }
            })
            .number;
        if line.front() != Some(&number) {
            return Turn::Wait(None);
        }
        if now < outage.attempt {
            return Turn::Wait(Some(outage.attempt));
        }
        outage.trying = true;
        outage.attempt = now + HANGING;
        Turn::Try
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next in line moves up.
impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.state().line.retain(|number| *number != self.number);
        self.gate.changed.notify_waiters();
    }
}
