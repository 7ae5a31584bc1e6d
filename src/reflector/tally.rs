//! Counters of what a reflector has done, for statistics.
//!
//! One task writes and any task reads, without waiting. Each counter is a single atomic that is correct by
//! itself. All accesses are relaxed, so a sample may show one counter slightly older than another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Effect, Input, Probe, is_refused};
use crate::error::Error;

/// Why a kind is listed again.
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

/// The counters, for readers.
pub(crate) struct Tally {
    begun: Instant,
    /// When the source last sent something: nanoseconds since `begun`, at least 1; 0 before the first time.
    heard: AtomicU64,
    errors: AtomicU64,
    lists: AtomicU64,
    watches: AtomicU64,
    watch_restarts: AtomicU64,
    relists: [AtomicU64; RelistCause::COUNT],
}

/// Updates the counters. It receives the inputs of the state machine, from which it derives why a list
/// begins.
pub(crate) struct Recorder {
    tally: Arc<Tally>,
    /// The cause of a list that begins now, derived from how the last activity ended.
    cause: RelistCause,
    /// A list has begun and may be in a later attempt. True from the start, for the first list.
    listing: bool,
    /// A watch was opened since the last list began.
    watched: bool,
}

// === impl RelistCause ===

impl RelistCause {
    const COUNT: usize = Self::Stream as usize + 1;

    /// The cause of a list that follows a watch with this error.
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

    /// How long ago the source last sent something; `None` if it never did.
    pub(crate) fn heard(&self, now: Instant) -> Option<Duration> {
        match self.heard.load(Relaxed) {
            0 => None,
            heard => Some(now.duration_since(self.begun).saturating_sub(Duration::from_nanos(heard))),
        }
    }

    /// Errors.
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

    /// Lists begun for this cause, without the first list.
    pub(crate) fn relists(&self, cause: RelistCause) -> u64 {
        self.relists[cause as usize].load(Relaxed)
    }
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(tally: Arc<Tally>) -> Self {
        Self { tally, cause: RelistCause::WatchFailed, listing: true, watched: false }
    }

    /// Records how an activity ended.
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
            // No list follows these, or the current list continues.
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

    /// Records which activity comes next.
    pub(super) fn begins(&mut self, effect: &Effect) {
        if matches!(effect, Effect::List { .. }) {
            self.relists(self.cause);
        }
    }

    /// Counts a list that begins, unless it is another attempt of the current one.
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

    /// A watch was opened. The first one after a list began is no restart.
    pub(super) fn watch_opened(&mut self) {
        self.tally.watches.fetch_add(1, Relaxed);
        if std::mem::replace(&mut self.watched, true) {
            self.tally.watch_restarts.fetch_add(1, Relaxed);
        }
    }

    /// The source sent something.
    pub(super) fn heard(&self, at: Instant) {
        let since = at.duration_since(self.tally.begun).as_nanos();
        self.tally.heard.store(u64::try_from(since).unwrap_or(u64::MAX).max(1), Relaxed);
    }

    pub(super) fn failed(&self) {
        self.tally.errors.fetch_add(1, Relaxed);
    }
}
