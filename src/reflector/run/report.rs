//! How a reflector reports its work: in the status, which wakes its receivers, and in the tally, which wakes
//! no task.

use tokio::time::Instant;

use super::Reflector;
use crate::error::Error;
use crate::reflector::recovery::Pace;
use crate::reflector::sink::Sink;
use crate::reflector::status::{Phase, Status};
use crate::source::Source;

impl<S: Source, W: Sink<S::Payload>> Reflector<S, W> {
    /// The state may be behind from now on.
    pub(super) fn failed(&mut self, error: Error) {
        if error.is_kind_absent() && self.state.shows_absence() {
            return;
        }
        let now = Instant::now();
        self.recovery.failed(now);
        if error.is_unanswered() {
            let (since, attempted) = (self.recovery.troubled_since(now), self.recovery.attempted(now));
            self.gate.close(since, attempted, self.recovery.factor());
        } else if error.is_answered() {
            self.gate.open();
        }
        self.record.failed();
        tracing::debug!(%error, "failed");
        self.status.modify_if(|status| {
            // A kind that is still absent is not reported again.
            let news = status.phase != Phase::Absent || !error.is_kind_absent();
            status.stale_since.get_or_insert(now);
            status.failures = status.failures.saturating_add(1);
            status.last_error = Some(error);
            news
        });
    }

    /// The server answers.
    pub(super) fn reached(&self) {
        self.gate.open();
    }

    /// No events arrive during a wait, so the state may be behind, unless it shows that the kind is absent.
    pub(super) fn enter_wait(&mut self, pace: Pace, now: Instant) {
        if matches!(pace, Pace::AtOnce | Pace::Refused | Pace::Unreachable) {
            self.recovery.failed(now);
        }
        // An absent kind has no events, so the state is not behind.
        let known = pace == Pace::Absent && self.state.shows_absence();
        self.status.modify_if(|status| {
            let news = !known && status.stale_since.is_none();
            if news {
                status.stale_since = Some(now);
            }
            news
        });
        let phase = match pace {
            // Too short for a phase.
            Pace::AtOnce => return,
            Pace::Absent => Phase::Absent,
            Pace::Poll => Phase::Polling,
            Pace::Refused | Pace::Unreachable if self.state.is_polling() => Phase::Polling,
            Pace::Refused | Pace::Unreachable => Phase::BackingOff,
        };
        if !known {
            let status = self.status.status();
            self.log.waits(phase, status.last_error.as_ref().filter(|_| status.failures > 0));
        }
        self.enter(phase);
    }

    /// Whether something failed since the last success, or a watch is silent although there may be events.
    pub(super) fn in_trouble(&self) -> bool {
        self.status.status().failures > 0 || self.state.is_doubtful()
    }

    /// The informer follows the server.
    pub(super) fn well(&mut self) {
        let Status { stale_since: stale, failures, .. } = *self.status.status();
        self.log.well(stale.map(|since| since.elapsed()));
        if stale.is_none() && failures == 0 {
            return;
        }
        self.status.modify_if(|status| {
            let news = status.stale_since.is_some() || status.failures > 0;
            status.stale_since = None;
            status.failures = 0;
            news
        });
    }

    /// Shows who leaves out the objects of other shards.
    pub(super) fn note_shard_filter(&mut self) {
        let filter = self.source.shard_filter();
        if self.status.status().shard_filter != filter {
            self.status.modify(|status| status.shard_filter = filter);
        }
    }

    /// A list has shown the current state, but no watch keeps it current.
    pub(super) fn polled(&mut self) {
        let now = Instant::now();
        self.status.modify(|status| {
            status.stale_since = Some(now);
            status.failures = 0;
            status.phase = Phase::Polling;
        });
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.status.modify_if(|status| std::mem::replace(&mut status.phase, phase) != phase);
    }

    /// An absent kind keeps its phase until the server serves it.
    pub(super) fn begin_listing(&mut self) {
        if self.status.status().phase != Phase::Absent {
            self.enter(Phase::Listing);
        }
    }

    pub(super) fn count_watch(&mut self) {
        self.record.watch_opened();
    }
}
