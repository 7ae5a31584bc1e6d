//! Waits between attempts, during which commands run.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Reflector;
use crate::reflector::recovery::Pace;
use crate::reflector::sink::Sink;
use crate::reflector::state::Input;
use crate::source::Source;

/// Reflectors that waited for the same attempt continue after a random part of this time.
const TOGETHER: Duration = Duration::from_millis(250);

impl<S: Source, W: Sink<S::Payload>> Reflector<S, W> {
    pub(super) async fn wait(&mut self, pace: Pace, retry_after: Option<Duration>) -> Input {
        self.open = None;
        // If the kind is still absent, a refresh is complete.
        let absence_shown = pace == Pace::Absent && self.state.shows_absence();
        if absence_shown {
            self.answer_refreshes();
        }
        let now = Instant::now();
        self.enter_wait(pace, now);
        // While the gate is closed, it decides when to try.
        let pace_of_gate = pace == Pace::Unreachable && self.gate.is_closed();
        let delay = if pace_of_gate { Duration::ZERO } else { self.recovery.delay(pace, retry_after, now) };
        tracing::debug!(?pace, ?delay, "waiting before the next attempt");
        let (gate, together) = (self.gate.clone(), self.recovery.up_to(TOGETHER));
        let waited = async move {
            sleep(delay).await;
            if gate.pass().await {
                sleep(together).await;
            }
        };
        let mut waited = pin!(waited);
        loop {
            tokio::select! {
                biased;
                () = &mut waited => {
                    self.recovery.attempts(Instant::now());
                    return Input::Go;
                }
                Some(command) = self.commands.recv() => {
                    self.obey(command).await;
                    if absence_shown && !self.refreshes.is_empty() {
                        return Input::Go;
                    }
                }
            }
        }
    }

    /// Waits until the budget allows a list. A refresh by the application does not wait.
    pub(super) async fn afford_list(&mut self) {
        let now = Instant::now();
        let delay = self.recovery.until_list(now);
        if delay.is_zero() || self.wants_refresh() {
            return;
        }
        self.enter_wait(Pace::Refused, now);
        tracing::debug!(?delay, "waiting for the budget of lists");
        let mut slept = pin!(sleep(delay));
        while !self.wants_refresh() {
            tokio::select! {
                biased;
                () = &mut slept => return,
                Some(command) = self.commands.recv() => self.obey(command).await,
            }
        }
    }
}
