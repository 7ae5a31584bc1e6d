//! Decides what a reflector does next: a state machine without I/O, clock or randomness.
//!
//! ```text
//!            +------------- expired, went back, silent and behind --------------+
//!            v                                                                  |
//!  start -> list --- complete --------------------------------------> watch ----+
//!            ^  | fails                                                ^  |  |  |
//!            |  v                                                      |  |  | silent, or fails again and again
//!            +- wait <--- fails ---------------------------------------|--+  v
//!               |  ^                                                   |   probe (one object, consistently)
//!               |  +--- not watched: listed again after the interval --+
//!               +------ waited --------------------------------------->
//! ```
//!
//! [`step`] takes how the last activity ended and returns the next one. Three questions decide:
//!
//! **How to list** ([`Listing`]). A list begins as a streaming list (KEP-3157) with the version unset, never
//! "0": "0" accepts any state that a server has, however old. A relist begins from the cached version and, if
//! it does not stream, is in one piece: `limit` together with a version bypasses the watch cache of an API
//! server. If the server refuses a streaming list with a 4xx, is silent for 10 s or does not end the list,
//! other forms are used at once, for an hour. If the version has expired (410) or is not known yet
//! (`ResourceVersionTooLarge`), the next list is a consistent read; after an expired `continue` it is in one
//! piece. Any other failure is retried once in the same way and then in another way, until each form was
//! tried from each version ([`Listing::ways`]). No choice is permanent, so any form that the server still
//! supports is found.
//!
//! **How to follow** ([`Watching`]). A watch that worked is opened again at once. A watch that fails is
//! opened again from the cached version; a list would cost the server more. After a few failures in a row, a
//! read of one object shows whether the server answers and whether the version has changed. If so, and the
//! next watch fails too, the kind is listed: from then on it is polled, with an attempt to watch after each
//! list, until a watch works.
//!
//! **Whether the kind exists** ([`Absence`]). An absent kind is checked periodically. Its cached state stays,
//! because a broken proxy answers 404 as well. If the application wants to see an absence, discovery decides:
//! one check before the first list, two after it.
//!
//! This follows client-go's reflector, with these differences: streaming lists are bounded, a 410 of any form
//! causes a relist, the version of a list is compared with the cached one, and watches that do not work lead
//! to polling.

mod listing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

use self::listing::{Listing, SLIGHT, TELLING};
use super::recovery::Pace;
use super::settings::Settings;
use crate::config::Absent;
use crate::error::Error;

/// Failed watches in a row after which a read of one object shows whether a list is needed.
const WATCH_FAILURES: u32 = 3;

/// Open watches in a row that were silent although there may have been events, after which the kind is
/// listed.
const SILENCES: u32 = 2;

/// Discovery checks in a row, each after its own 404, after which a kind that was served counts as gone.
const ABSENCES: u32 = 2;

/// The state of a reflector.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    listing: Listing,
    watching: Watching,
    absence: Absence,
    /// The activity after a wait.
    then: Then,
}

/// How to follow.
#[derive(Clone, Debug, Default, PartialEq)]
struct Watching {
    /// Failed watches since the last one that worked.
    failures: u32,
    /// The server answers and the version has changed: if the next watch fails too, watches do not work.
    missed: bool,
    /// Watches do not work: the kind is listed at an interval.
    polling: bool,
    /// Silent watches, although there may have been events, since a watch last sent something.
    silences: u32,
    /// Lists have no version: a watch is opened without one, and a list is made once it is open.
    unversioned: bool,
}

/// Whether the kind exists.
#[derive(Clone, Debug, Default, PartialEq)]
struct Absence {
    /// The content of the store: a list, the absence of the kind, or nothing yet.
    shown: Shown,
    /// Discovery checks in a row that found the kind not served.
    found: u32,
}

/// What readers see.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Shown {
    #[default]
    Nothing,
    List,
    Absence,
}

/// From which version a list begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// The newest, by a consistent read.
    #[default]
    Newest,
    /// Not older than the cached version.
    Reuse,
}

/// In which form a list is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By a watch with initial events; afterwards the same stream is the watch.
    Stream,
    /// In pages.
    Pages,
    /// In one piece.
    Whole,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    List,
    Watch,
    Probe,
}

/// How the last activity ended.
#[derive(Debug)]
pub(super) enum Input {
    /// The reflector starts, or a wait is over.
    Go,
    /// A list is complete and committed.
    Listed { versioned: bool },
    /// The server does not support a streaming list: it refused, was silent, or did not end the list.
    StreamingRefused,
    /// A list failed.
    ListFailed { error: Error, form: Form, at: PageAt },
    /// A list has a version below the cached one, and was dropped.
    ListBelow { from: Origin },
    /// The server ended the watch in order. `worked`: an event arrived, or the watch was open for a while.
    WatchEnded { worked: bool },
    /// The watch did not open, returned an error, or broke.
    WatchFailed { error: Error, worked: bool },
    /// An event of the watch was older than an earlier one.
    WentBack,
    /// The watch has been silent for too long.
    Silent,
    /// The result of a consistent read of one object.
    Probed(Probe),
    /// The watch works: it sent something, or has been open for a while.
    Settled { heard: bool },
    /// The application wants a refresh.
    Refresh,
    /// Whether discovery serves the kind in any version, after a 404. `None`: unknown.
    Discovered { served: Option<bool> },
}

/// Which page of a list failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PageAt {
    First,
    /// A page that was requested with a `continue` token.
    Later,
}

/// The current version, from a consistent read, compared with the cached one.
#[derive(Debug)]
pub(super) enum Probe {
    /// Nothing has changed.
    Same,
    /// There are, or may be, changes that the watch should have sent.
    Newer,
    /// The server has gone back.
    Below,
    /// The read failed.
    Failed(Error),
}

/// The next activity.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// List. `page_size`: if not the usual one. `new_epoch`: accept a consistent read below the cached
    /// version.
    List { form: Form, from: Origin, page_size: Option<u32>, new_epoch: bool },
    /// Continue the open watch, or open one from the cached version.
    Watch,
    /// Open a watch without a version, list, and follow the watch.
    WatchUnversioned,
    /// Read one object consistently, to compare versions.
    Probe,
    /// Ask discovery whether the kind is served.
    Discover,
    /// Publish an empty state, as the kind is not served, then wait.
    ShowAbsence,
    /// Wait.
    Wait { pace: Pace, retry_after: Option<Duration> },
}

// === impl State ===

impl State {
    /// The state before the first list.
    pub(super) fn start() -> Self {
        Self {
            listing: Listing::default(),
            watching: Watching::default(),
            absence: Absence::default(),
            then: Then::List,
        }
    }

    /// Whether the store shows that the kind is not served, so that another 404 is no error.
    pub(super) fn shows_absence(&self) -> bool {
        self.absence.shown == Shown::Absence
    }

    /// Whether watches do not work, so that the kind is listed at an interval.
    pub(super) fn is_polling(&self) -> bool {
        self.watching.polling
    }

    /// Whether a watch was silent for too long and has sent nothing since.
    pub(super) fn is_doubtful(&self) -> bool {
        self.watching.silences > 0
    }

    fn list(&self, now: Instant, settings: &Settings) -> Effect {
        self.listing.next(now, settings, self.absence.shown == Shown::List && !self.watching.unversioned)
    }

    fn watch(&self) -> Effect {
        if self.watching.unversioned { Effect::WatchUnversioned } else { Effect::Watch }
    }

    fn wait(mut self, then: Then, pace: Pace, retry_after: Option<Duration>) -> (Self, Effect) {
        self.then = then;
        (self, Effect::Wait { pace, retry_after })
    }

    /// Lists from the newest version, as the cached one cannot be used. At once the first time, then after a
    /// wait.
    fn list_newest(mut self, error: &Error, now: Instant, settings: &Settings) -> (Self, Effect) {
        self.listing.from = Origin::Newest;
        if error.is_expired() && !self.listing.expired {
            self.listing.expired = true;
            let effect = self.list(now, settings);
            return (self, effect);
        }
        self.wait(Then::List, Pace::Refused, error.retry_after())
    }

    fn list_failed(
        mut self,
        error: &Error,
        form: Form,
        at: PageAt,
        now: Instant,
        settings: &Settings,
    ) -> (Self, Effect) {
        // It applies to one attempt only.
        self.listing.whole_once = false;
        if error.is_kind_absent() {
            // A server may return 404 for a watch but not for a list.
            self.listing.failures += if form == Form::Stream { TELLING } else { SLIGHT };
            return self.not_found(error, settings);
        }
        if error.is_page_too_large() && self.listing.halve(form, settings) {
            let effect = self.list(now, settings);
            return (self, effect);
        }
        self.listing.failures += weight(error);
        if error.is_expired() || error.is_version_too_large() {
            self.listing.whole_once = at == PageAt::Later && error.is_expired();
            return self.list_newest(error, now, settings);
        }
        self.wait(Then::List, pace_after(error), error.retry_after())
    }

    /// Handles a 404. Asks discovery if the application wants to see an absence.
    fn not_found(mut self, error: &Error, settings: &Settings) -> (Self, Effect) {
        self.listing.from = Origin::Newest;
        let matters = match self.absence.shown {
            Shown::Nothing => settings.absent != Absent::Wait,
            Shown::List => settings.absent == Absent::Clear,
            Shown::Absence => false,
        };
        if matters {
            self.then = Then::List;
            (self, Effect::Discover)
        } else {
            self.wait(Then::List, Pace::Absent, error.retry_after())
        }
    }

    /// A read went back in time: repeats it as a consistent read.
    fn read_again(mut self, counts: bool) -> (Self, Effect) {
        self.listing.below = Some(self.listing.below.unwrap_or_default() + u32::from(counts));
        self.listing.from = Origin::Newest;
        self.listing.failures = 0;
        self.wait(Then::List, Pace::Refused, None)
    }

    /// A watch failed. It is opened again later, from the cached version; a list is made only if the version
    /// is known to have changed.
    fn watch_failed(mut self, error: Option<&Error>, now: Instant, settings: &Settings) -> (Self, Effect) {
        self.watching.failures += 1;
        let (pace, retry_after) =
            error.map_or((Pace::Refused, None), |error| (pace_after(error), error.retry_after()));
        if self.watching.polling {
            return self.wait(Then::List, Pace::Refused, retry_after);
        }
        if self.watching.missed {
            self.watching.polling = true;
            return match error {
                // The server is overloaded, or unreachable again.
                Some(error) if retry_after.is_some() || error.is_busy() || error.is_unanswered() => {
                    self.wait(Then::List, pace, retry_after)
                }
                _ => {
                    let effect = self.list(now, settings);
                    (self, effect)
                }
            };
        }
        let then =
            if self.watching.failures.is_multiple_of(WATCH_FAILURES) { Then::Probe } else { Then::Watch };
        self.wait(then, pace, retry_after)
    }
}

/// Returns the next activity, given how the last one ended.
pub(super) fn step(mut state: State, input: Input, now: Instant, settings: &Settings) -> (State, Effect) {
    match input {
        Input::Go => {
            let effect = match state.then {
                Then::List => state.list(now, settings),
                Then::Watch => state.watch(),
                Then::Probe => Effect::Probe,
            };
            (state, effect)
        }
        Input::Listed { versioned } => {
            state.listing.listed(versioned);
            state.absence = Absence { shown: Shown::List, found: 0 };
            state.watching.unversioned = !versioned;
            state.watching.missed = false;
            let effect = state.watch();
            (state, effect)
        }
        Input::StreamingRefused => {
            let again = state.listing.no_streaming_until.is_some_and(|until| now < until);
            state.listing.no_streaming_until = Some(now + settings.streaming_retry);
            if again {
                // It was tried although streaming was off, because no other way works.
                state.listing.failures += TELLING;
                return state.wait(Then::List, Pace::Refused, None);
            }
            let effect = state.list(now, settings);
            (state, effect)
        }
        Input::ListFailed { error, form, at } => state.list_failed(&error, form, at, now, settings),
        Input::ListBelow { from } => state.read_again(from == Origin::Newest),
        Input::WatchEnded { worked: true } => state.wait(Then::Watch, Pace::AtOnce, None),
        Input::WatchEnded { worked: false } => state.watch_failed(None, now, settings),
        Input::WatchFailed { error, worked } => {
            if error.is_expired() || error.is_version_too_large() {
                return state.list_newest(&error, now, settings);
            }
            if error.is_kind_absent() && !state.watching.unversioned {
                return state.not_found(&error, settings);
            }
            if is_refused(&error) {
                state.watching.failures += 1;
                state.watching.polling = true;
                return state.wait(Then::List, Pace::Poll, error.retry_after());
            }
            // A connection that was fine until it broke: most likely the server or a proxy restarts.
            if worked && (error.is_transport() || error.is_timeout()) {
                return state.wait(Then::Watch, Pace::AtOnce, None);
            }
            if error.is_protocol() && !state.watching.polling {
                // Continuing from the cached version might miss the events that could not be read.
                state.watching.failures += 1;
                state.watching.polling = state.watching.failures >= WATCH_FAILURES;
                return state.wait(Then::List, Pace::Refused, None);
            }
            state.watch_failed(Some(&error), now, settings)
        }
        Input::WentBack => {
            // The cached state may come from a server that is ahead of this one; a consistent read decides.
            state.listing.from = Origin::Newest;
            if state.listing.expired {
                return state.wait(Then::List, Pace::Refused, None);
            }
            state.listing.expired = true;
            let effect = state.list(now, settings);
            (state, effect)
        }
        Input::Silent => (state, Effect::Probe),
        Input::Probed(Probe::Same) => {
            state.listing.below = None;
            if state.watching.failures == 0 {
                return (state, Effect::Watch);
            }
            state.wait(Then::Watch, Pace::AtOnce, None)
        }
        Input::Probed(Probe::Newer) => {
            state.listing.below = None;
            if state.watching.failures > 0 {
                // The server answers again, so the next watch may work.
                state.watching.missed = true;
                return state.wait(Then::Watch, Pace::AtOnce, None);
            }
            state.watching.silences += 1;
            if state.watching.silences < SILENCES {
                return state.wait(Then::Watch, Pace::AtOnce, None);
            }
            state.watching.silences = 0;
            let effect = state.list(now, settings);
            (state, effect)
        }
        Input::Probed(Probe::Below) => state.read_again(true),
        Input::Probed(Probe::Failed(error)) => state.watch_failed(Some(&error), now, settings),
        Input::Settled { heard } => {
            state.listing.expired = false;
            let Watching { silences, unversioned, .. } = state.watching;
            let silences = if heard { 0 } else { silences };
            state.watching = Watching { silences, unversioned, ..Watching::default() };
            (state, Effect::Watch)
        }
        Input::Refresh => {
            state.listing.from = Origin::Newest;
            let effect = state.list(now, settings);
            (state, effect)
        }
        Input::Discovered { served: Some(false) } => {
            state.absence.found += 1;
            // Check twice before a cached list is cleared; an empty store has nothing to lose.
            let enough = if state.absence.shown == Shown::List { ABSENCES } else { 1 };
            if state.absence.found < enough {
                return state.wait(Then::List, Pace::Absent, None);
            }
            state.absence = Absence { shown: Shown::Absence, found: 0 };
            state.watching = Watching::default();
            state.then = Then::List;
            (state, Effect::ShowAbsence)
        }
        Input::Discovered { served: _ } => {
            state.absence.found = 0;
            state.wait(Then::List, Pace::Absent, None)
        }
    }
}

/// How much a failed list counts against the way it was made.
fn weight(error: &Error) -> u32 {
    if error.is_unanswered() || error.is_unauthorized() || error.is_busy() { SLIGHT } else { TELLING }
}

fn pace_after(error: &Error) -> Pace {
    if error.is_transport() || error.is_timeout() { Pace::Unreachable } else { Pace::Refused }
}

/// The server refuses watches, though it may allow lists: 403 and similar codes, but not temporary ones.
pub(super) fn is_refused(error: &Error) -> bool {
    error.http_code().is_some_and(|code| (400..500).contains(&code) && !matches!(code, 401 | 408 | 429))
}
