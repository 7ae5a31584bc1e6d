//! What a reflector does next: a state machine without I/O, clock or chance.
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
//! [`step`] is given how the last activity ended and answers with the next one. Three concerns decide:
//!
//! **How to list** ([`Listing`]). A list begins as a streaming list (KEP-3157) with the version unset, never "0": "0"
//! reads any state a server happens to hold, however old. A relist begins from the version held, and then in one piece
//! where it does not stream: `limit` beside a version goes past the watch cache of an API server. A server that refuses
//! a streaming list with a 4xx, is silent for 10 s or does not come to its end is listed otherwise at once, and for an
//! hour. Where the version is no longer kept (410) or not known yet (`ResourceVersionTooLarge`), the next list is a
//! consistent read; after an expired `continue` it is in one piece. Whatever else fails is tried twice and then in
//! another way, until each form was tried from each version ([`Listing::ways`]): no choice lasts, so whatever a server
//! can still do is found.
//!
//! **How to follow** ([`Watching`]). A watch that worked is opened again at once. One that fails is opened again from
//! the version held; a list would cost the server more. After a few failures in a row a read of one object tells
//! whether the server answers and whether there is anything to hear. If so, and the next watch fails too, the kind is
//! listed: from then on it is polled, with an attempt to watch after each list, until a watch works.
//!
//! **Whether the kind exists** ([`Absence`]). An absent kind is asked for from time to time. Its state is kept: a broken
//! proxy answers the same. Where the application wants an absence shown, discovery decides: once before the first
//! list, twice after one.
//!
//! Follows what client-go's reflector does, apart from bounding a streaming list, relisting on a 410 of any form,
//! comparing what a list returns with what is held, and what is said of watches that do not work.

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

/// Failed watches in a row after which a read of one object tells whether a list is needed.
const WATCH_FAILURES: u32 = 3;

/// Open watches in a row that were silent though there was, or may have been, something to say, after which the kind is
/// listed.
const SILENCES: u32 = 2;

/// Discoveries in a row, each after a 404 of its own, after which a kind that was served counts as gone.
const ABSENCES: u32 = 2;

/// What the next step depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    listing: Listing,
    watching: Watching,
    absence: Absence,
    /// What follows a wait.
    then: Then,
}

/// How to follow.
#[derive(Clone, Debug, Default, PartialEq)]
struct Watching {
    /// Watches that failed since one worked.
    failures: u32,
    /// The server answers, and there is something to hear: the next watch works, or it is a matter of watches.
    missed: bool,
    /// Watches do not work here: the kind is listed from time to time.
    polling: bool,
    /// Watches that were silent, though there may have been something to say, since one said anything.
    silences: u32,
    /// Lists have no version: a watch begins anywhere, and a list is made once it is open.
    unversioned: bool,
}

/// Whether the kind exists.
#[derive(Clone, Debug, Default, PartialEq)]
struct Absence {
    /// What stands in the store: a list, the absence of the kind, or nothing yet.
    shown: Shown,
    /// Discoveries in a row by which the kind is not served.
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
    /// Not older than what is held.
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
    /// A streaming list is not what the server does: it said so, was silent, or did not come to its end.
    StreamingRefused,
    /// A list failed.
    ListFailed { error: Error, form: Form, at: PageAt },
    /// A list is below what is held, and was dropped.
    ListBelow { from: Origin },
    /// The server ended the watch in order. `worked`: an event came, or it was open for a while.
    WatchEnded { worked: bool },
    /// The watch did not open, answered an error, or broke.
    WatchFailed { error: Error, worked: bool },
    /// An event of the watch was below an earlier one.
    WentBack,
    /// The watch has been silent for long.
    Silent,
    /// A consistent read: what it says of the version held.
    Probed(Probe),
    /// The watch works: it said something, or has been open for a while.
    Settled { heard: bool },
    /// The application wants everything read again.
    Refresh,
    /// What discovery says of a kind that was not found: whether it is served in any version. `None`: it says nothing.
    Discovered { served: Option<bool> },
}

/// Which page of a list failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PageAt {
    First,
    /// It was asked for with a `continue` token.
    Later,
}

/// What a consistent read says of the version held.
#[derive(Debug)]
pub(super) enum Probe {
    /// Nothing happened in the meantime.
    Same,
    /// There is, or may be, something the watch should have said.
    Newer,
    /// The server has gone back.
    Below,
    /// It could not be made.
    Failed(Error),
}

/// The next activity.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// List. `page_size`: other than the usual one. `new_epoch`: a consistent read below what is held is to be believed.
    List { form: Form, from: Origin, page_size: Option<u32>, new_epoch: bool },
    /// Go on with the open watch, or open one from the version held.
    Watch,
    /// Open a watch that begins anywhere, list, and follow it.
    WatchUnversioned,
    /// Read one object consistently, to compare versions.
    Probe,
    /// Ask whether the kind is served at all.
    Discover,
    /// Show that there is nothing, as the kind is not served, then wait.
    ShowAbsence,
    /// Wait.
    Wait { pace: Pace, retry_after: Option<Duration> },
}

// === impl State ===

impl State {
    /// Nothing was listed yet.
    pub(super) fn start() -> Self {
        Self {
            listing: Listing::default(),
            watching: Watching::default(),
            absence: Absence::default(),
            then: Then::List,
        }
    }

    /// The kind is known not to be served, and shown so: another 404 is no trouble.
    pub(super) fn shows_absence(&self) -> bool {
        self.absence.shown == Shown::Absence
    }

    /// Watches do not work here: the kind is listed from time to time.
    pub(super) fn is_polling(&self) -> bool {
        self.watching.polling
    }

    /// The open watch has been silent for too long once, and has not said anything since.
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

    /// What is held is of no use as a beginning. At once the first time, then after a wait.
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
        // It was for one attempt.
        self.listing.whole_once = false;
        if error.is_kind_absent() {
            // A path for watches may be missing where one for lists is not.
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

    /// Discovery is asked where an absence would be shown.
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

    /// A read went back in time: it is made again, consistently.
    fn read_again(mut self, counts: bool) -> (Self, Effect) {
        self.listing.below = Some(self.listing.below.unwrap_or_default() + u32::from(counts));
        self.listing.from = Origin::Newest;
        self.listing.failures = 0;
        self.wait(Then::List, Pace::Refused, None)
    }

    /// A watch did not work. It is opened again later, from the version held: a list is made where it is known that
    /// there is something to hear.
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
                // The server has too much to do, or is away again.
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

/// From how the last activity ended to the next one.
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
                // It was tried all the same, as nothing else works.
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
                // What was lost is not known, so going on from the version held may lose it.
                state.watching.failures += 1;
                state.watching.polling = state.watching.failures >= WATCH_FAILURES;
                return state.wait(Then::List, Pace::Refused, None);
            }
            state.watch_failed(Some(&error), now, settings)
        }
        Input::WentBack => {
            // What is held may be from a server that is ahead of this one; a consistent read tells.
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
                // The server is back, perhaps just now.
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
            // What is held is worth a second look; one that shows nothing has nothing to lose.
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

/// How much a failed list says about the way it was made.
fn weight(error: &Error) -> u32 {
    if error.is_unanswered() || error.is_unauthorized() || error.is_busy() { SLIGHT } else { TELLING }
}

fn pace_after(error: &Error) -> Pace {
    if error.is_transport() || error.is_timeout() { Pace::Unreachable } else { Pace::Refused }
}

/// The server will not watch, though it may well list: 403 and the like, but not what passes by itself.
pub(super) fn is_refused(error: &Error) -> bool {
    error.http_code().is_some_and(|code| (400..500).contains(&code) && !matches!(code, 401 | 408 | 429))
}
