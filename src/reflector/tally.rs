//! What a reflector has done so far, counted for those who ask.
//!
//! One task writes, anybody reads, nobody waits for anybody: single atomics, each right by itself. They order nothing
//! (all of it is relaxed), so a sample may show one counter a moment earlier than another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Effect, Input, Probe, is_refused};
use crate::error::Error;

/// Why a kind that was listed before is listed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelistCause {
    Expired,
    TooLarge,
    WatchFailed,
    WatchRefused,
    InvalidResponse,
    OutOfOrder,
    Behind,
    KindAbsent,
    Refresh,
    Stream,
}

/// What was counted, for readers.
pub(crate) struct Tally {
    begun: Instant,
    /// When the source last told something: nanoseconds since `begun`, and at least 1; 0 before the first time.
    heard: AtomicU64,
    errors: AtomicU64,
    lists: AtomicU64,
    watches: AtomicU64,
    watch_restarts: AtomicU64,
    relists: [AtomicU64; RelistCause::COUNT],
}

/// The counting end. Told what the state machine is told, it finds out why a list begins.
pub(crate) struct Recorder {
    tally: Arc<Tally>,
    /// Why a list would begin now, if it is not known otherwise: how the last activity ended.
    cause: RelistCause,
    /// A list is being made, be it at the second attempt. The first one is, from the start.
    listing: bool,
    /// A watch was opened since the last list began.
    watched: bool,
}

// === impl RelistCause ===

impl RelistCause {
    const COUNT: usize = Self::Stream as usize + 1;

    /// Why a list follows a watch that ended so.
    fn of(error: &Error) -> Self {
        if error.is_expired() {
            Self::Expired
        } else if error.is_version_too_large() {
            Self::TooLarge
        } else if error.is_kind_absent() {
            Self::KindAbsent
        } else if error.is_protocol() {
            Self::InvalidResponse
        } else if is_refused(error) {
            Self::WatchRefused
        } else {
            Self::WatchFailed
        }
    }
}

// === impl Tally ===

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            heard: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            watches: AtomicU64::new(0),
            watch_restarts: AtomicU64::new(0),
            relists: [const { AtomicU64::new(0) }; RelistCause::COUNT],
        }
    }

    /// How long ago the source told something; `None` if it never has.
    pub(crate) fn heard(&self, now: Instant) -> Option<Duration> {
        match self.heard.load(Relaxed) {
            0 => None,
            heard => Some(now.duration_since(self.begun).saturating_sub(Duration::from_nanos(heard))),
        }
    }

    /// Errors met.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// Completed lists.
    pub(crate) fn lists(&self) -> u64 {
        self.lists.load(Relaxed)
    }

    /// Watches opened.
    pub(crate) fn watches(&self) -> u64 {
        self.watches.load(Relaxed)
    }

    /// Watches opened without a list before them.
    pub(crate) fn watch_restarts(&self) -> u64 {
        self.watch_restarts.load(Relaxed)
    }

    /// Lists but the first that were begun for this cause.
    pub(crate) fn relists(&self, cause: RelistCause) -> u64 {
        self.relists[cause as usize].load(Relaxed)
    }
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(tally: Arc<Tally>) -> Self {
        Self { tally, cause: RelistCause::WatchFailed, listing: true, watched: false }
    }

    /// An activity ended so.
    pub(super) fn ended(&mut self, input: &Input) {
        match input {
            Input::Listed { .. } => self.listed(),
            Input::WatchFailed { error, .. } => self.cause = RelistCause::of(error),
            Input::WatchEnded { .. } | Input::Probed(Probe::Failed(_)) => {
                self.cause = RelistCause::WatchFailed
            }
            Input::Refresh => self.cause = RelistCause::Refresh,
            Input::WentBack => self.cause = RelistCause::OutOfOrder,
            Input::Probed(Probe::Below) => self.cause = RelistCause::Behind,
            // Nothing that a list would follow, or the list that was begun goes on.
            Input::Go
            | Input::Silent
            | Input::Settled { .. }
            | Input::Probed(Probe::Same | Probe::Newer)
            | Input::StreamingRefused
            | Input::ListFailed { .. }
            | Input::ListBelow { .. }
            | Input::Discovered { .. } => {}
        }
    }

    /// This comes next.
    pub(super) fn begins(&mut self, effect: &Effect) {
        if matches!(effect, Effect::List { .. }) {
            self.relists(self.cause);
        }
    }

    /// A list begins, unless it goes on with one that has begun.
    pub(super) fn relists(&mut self, cause: RelistCause) {
        self.watched = false;
        if !std::mem::replace(&mut self.listing, true) {
            self.tally.relists[cause as usize].fetch_add(1, Relaxed);
        }
    }

    /// A list is complete.
    pub(super) fn listed(&mut self) {
        self.listing = false;
    }

    /// A list is committed.
    pub(super) fn committed(&self) {
        self.tally.lists.fetch_add(1, Relaxed);
    }

    /// A watch was opened: the one that begins with a list or follows it, or another after that.
    pub(super) fn watch_opened(&mut self) {
        self.tally.watches.fetch_add(1, Relaxed);
        if std::mem::replace(&mut self.watched, true) {
            self.tally.watch_restarts.fetch_add(1, Relaxed);
        }
    }

    /// The source told something.
    pub(super) fn heard(&self, at: Instant) {
        let since = at.duration_since(self.tally.begun).as_nanos();
        self.tally.heard.store(u64::try_from(since).unwrap_or(u64::MAX).max(1), Relaxed);
    }

    pub(super) fn failed(&self) {
        self.tally.errors.fetch_add(1, Relaxed);
    }
}
