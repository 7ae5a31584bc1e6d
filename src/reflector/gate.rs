//! While the server of a client cannot be reached, one of its informers tries and the others wait.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::recovery::{LONGEST, next_try};

/// The longest wait if several informers share the attempts.
const LONGEST_SHARED: Duration = Duration::from_secs(3);

/// How long an attempt without an answer delays the next one. Other attempts may succeed although this one
/// hangs.
const HANGING: Duration = Duration::from_secs(5);

/// Admits every attempt while the server answers, and one at a time while it does not.
///
/// While it is closed, the gate admits the first informer in line after each share of the outage. The first
/// answer, even an error, opens it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Set while it is closed.
    outage: Option<Outage>,
    /// The waiting informers by number, the first in line at the front.
    line: VecDeque<u64>,
    /// The number of the next informer that waits.
    next: u64,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    /// When the next attempt may be made.
    attempt: Instant,
    /// An attempt was admitted and has not ended yet.
    trying: bool,
}

/// A place in the line.
struct Place<'a> {
    gate: &'a Gate,
    number: u64,
}

/// What an informer does at the gate.
enum Turn {
    Open,
    Try,
    Wait(Option<Instant>),
}

// === impl Gate ===

impl Gate {
    /// Opens the gate: a response arrived.
    pub(super) fn open(&self) {
        if self.state().outage.take().is_some() {
            self.changed.notify_waiters();
        }
    }

    /// Whether the server did not answer the last attempt.
    pub(super) fn is_closed(&self) -> bool {
        self.state().outage.is_some()
    }

    /// Closes the gate: the server has not answered since `since`, nor the attempt that began at `attempted`.
    /// The wait before the next attempt is multiplied by `factor`.
    pub(super) fn close(&self, since: Instant, attempted: Instant, factor: f64) {
        let now = Instant::now();
        let mut state = self.state();
        let longest = if state.line.is_empty() { LONGEST } else { LONGEST_SHARED };
        let after = |since| now + next_try(since, attempted, now, longest, factor);
        match &mut state.outage {
            None => state.outage = Some(Outage { since, attempt: after(since), trying: false }),
            Some(outage) => {
                outage.since = outage.since.min(since);
                // A request that another informer sent before the gate closed does not end the admitted
                // attempt.
                if std::mem::take(&mut outage.trying) {
                    outage.attempt = after(outage.since);
                }
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until an attempt may be made. Returns true if the caller waited for another informer's attempt,
    /// so that the callers who waited together can spread their requests. Cancel-safe.
    pub(super) async fn pass(&self) -> bool {
        let mut place = None;
        loop {
            let mut changed = pin!(self.changed.notified());
            // Must come before the state is read.
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

/// Leaves the line, so that the next informer moves up.
impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.state().line.retain(|number| *number != self.number);
        self.gate.changed.notify_waiters();
    }
}
