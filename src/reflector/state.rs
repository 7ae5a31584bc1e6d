//! What a reflector does next: a state machine without I/O, clock or chance.
//!
//! ```text
//!            +--------------------- expired, went back, silent and behind ---------------------+
//!            v                                                                                 |
//!  start -> streaming list --- end bookmark -------------------------------------> watch ------+
//!            | 4xx, silent, too long      +--> pages --- last page, committed ---^  ^  |  |
//!            +----------------------------+     | expired `continue`: unpaged       |  |  | silent
//!                                               v                                   |  |  v
//!  any failure ------------------------------> back off ------ waited --------------+  | probe
//!  404 --------------------------------------> absent -------- polled: list            v
//!                                                              clean end: watch again at once
//! ```
//!
//! [`step`] is told how the last activity ended and answers with the next one. Its rules:
//!
//! * A list begins as a streaming list (KEP-3157) with the version unset, never "0": "0" reads any state a server
//!   happens to hold, however old. A relist begins from the version held. Where that is no longer kept (410) or not
//!   yet known (`ResourceVersionTooLarge`), the version is unset again.
//! * A server that refuses a streaming list with a 4xx, sends nothing for 10 s or does not finish is listed in pages,
//!   and not asked for a streaming list again for an hour. Other failures of a streaming list are retried; after two
//!   in a row the next attempt is in pages.
//! * A `continue` token that expired is followed by a list in one piece: pages of a fast-changing kind may expire
//!   each time.
//! * The first 410 is answered at once; further ones before things go well wait.
//! * A watch that fails is opened again from the version held; only what a list can cure is listed.
//! * An absent kind is asked for from time to time. Its state is kept: a broken proxy answers the same. Where the
//!   application wants an absence shown, discovery decides: once before the first list, twice after one.
//!
//! Follows what client-go's reflector does, apart from bounding a streaming list, relisting on a 410 of any form,
//! and comparing what a list answers with what is held.

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

use super::options::Options;
use crate::error::Error;

/// Failed streaming lists in a row, after which pages are tried.
const STREAMING_FAILURES: u32 = 2;

/// Failed watches in a row that the server answered, after which a list is tried.
const WATCH_FAILURES: u32 = 5;

/// Discoveries in a row, each after a 404 of its own, after which a kind that was served counts as gone.
const ABSENCES: u32 = 2;

/// What the next step depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    /// From where the next list begins.
    from: Origin,
    /// The next list is in pages; false after an expired `continue`.
    paged: bool,
    /// Until when no streaming list is tried.
    no_streaming_until: Option<Instant>,
    /// The next list is in pages though streaming was not refused.
    no_streaming_once: bool,
    /// Streaming lists that failed in a row without being refused.
    streaming_failures: u32,
    /// A 410 was answered at once, and nothing has gone well since.
    expired: bool,
    /// Watches that failed in a row.
    watch_failures: u32,
    /// Consistent reads in a row that were below what is held.
    below: u32,
    /// What stands in the store: a list, the absence of the kind, or nothing yet.
    shown: Shown,
    /// Discoveries in a row by which the kind is not served.
    absences: u32,
    /// What follows a wait.
    then: Then,
}

/// What readers see.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Nothing,
    List,
    Absence,
}

/// From which version a list begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// The newest, by a consistent read.
    Newest,
    /// Not older than what is held.
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    List,
    Watch,
}

/// How the last activity ended.
#[derive(Debug)]
pub(super) enum Input {
    /// The reflector starts, or a wait is over.
    Go,
    /// A list is complete and committed.
    Listed,
    /// A streaming list is not what the server does: it said so, was silent, or did not finish.
    StreamingRefused,
    /// A streaming list failed otherwise.
    StreamingFailed(Error),
    /// A list in pages failed.
    ListFailed { error: Error, at: PageAt },
    /// A list is below what is held, and was forgotten.
    ListBelow { from: Origin },
    /// The server ended the watch in order.
    WatchEnded { events: bool, settled: bool },
    /// The watch did not open, answered an error, or broke.
    WatchFailed { error: Error, settled: bool },
    /// An event of the watch was below an earlier one.
    WentBack,
    /// The watch has been silent for long.
    Silent,
    /// A consistent read during the silence: what it says of the version held.
    Probed(Probe),
    /// The watch went well: an event came, or it has been open for a while.
    Settled,
    /// The application wants everything anew.
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
    /// There is, or may be, something the watch should have told.
    Newer,
    /// The server has gone back.
    Below,
    /// It could not be made.
    Failed(Error),
}

/// The next activity.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// List by a watch with initial events; afterwards the same stream is the watch.
    StreamList { from: Origin },
    /// List in pages, or in one piece. `new_epoch`: a consistent read below what is held is to be believed.
    List { from: Origin, paged: bool, new_epoch: bool },
    /// Go on with the open watch, or open one from the version held.
    Watch,
    /// Drop the open watch and open another from the version held.
    Rewatch,
    /// Read one object consistently, to compare versions.
    Probe,
    /// Ask whether the kind is served at all.
    Discover,
    /// Show that there is nothing, as the kind is not served, then wait.
    ShowAbsence,
    /// Wait.
    Wait { pace: Pace, retry_after: Option<Duration> },
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// Longer each time.
    Growing,
    /// As long as the longest of these.
    Longest,
    /// As long as between two questions for an absent kind.
    Absent,
}

// === impl State ===

impl State {
    /// Nothing was listed yet.
    pub(super) fn start() -> Self {
        Self {
            from: Origin::Newest,
            paged: true,
            no_streaming_until: None,
            no_streaming_once: false,
            streaming_failures: 0,
            expired: false,
            watch_failures: 0,
            below: 0,
            shown: Shown::Nothing,
            absences: 0,
            then: Then::List,
        }
    }

    fn list(&self, now: Instant, options: &Options) -> Effect {
        let refused = self.no_streaming_until.is_some_and(|until| now < until);
        if options.streaming && !refused && !self.no_streaming_once {
            Effect::StreamList { from: self.from }
        } else {
            Effect::List { from: self.from, paged: self.paged, new_epoch: self.below > 0 }
        }
    }

    fn wait(mut self, then: Then, pace: Pace, retry_after: Option<Duration>) -> (Self, Effect) {
        self.then = then;
        (self, Effect::Wait { pace, retry_after })
    }

    /// What is held is of no use as a beginning. At once the first time, then growing.
    fn list_newest(mut self, error: &Error, now: Instant, options: &Options) -> (Self, Effect) {
        self.from = Origin::Newest;
        if error.is_expired() && !self.expired {
            self.expired = true;
            let effect = self.list(now, options);
            return (self, effect);
        }
        self.wait(Then::List, Pace::Growing, error.retry_after())
    }

    fn list_failed(self, error: &Error, now: Instant, options: &Options) -> (Self, Effect) {
        if error.is_expired() || error.is_version_too_large() {
            self.list_newest(error, now, options)
        } else if error.is_kind_absent() {
            self.not_found(error, options)
        } else {
            self.wait(Then::List, Pace::Growing, error.retry_after())
        }
    }

    /// Discovery is asked where an absence would be shown.
    fn not_found(mut self, error: &Error, options: &Options) -> (Self, Effect) {
        let matters = match self.shown {
            Shown::Nothing => options.optional,
            Shown::List => options.empty_when_gone,
            Shown::Absence => false,
        };
        if matters {
            self.then = Then::List;
            (self, Effect::Discover)
        } else {
            self.wait(Then::List, Pace::Absent, error.retry_after())
        }
    }

    /// The kind is known not to be served, and shown so: another 404 is no trouble.
    pub(super) fn shows_absence(&self) -> bool {
        self.shown == Shown::Absence
    }

    /// A read went back in time: it is made again, consistently and in pages, whose version shows at once.
    fn read_again(mut self, counts: bool) -> (Self, Effect) {
        self.below += u32::from(counts);
        self.from = Origin::Newest;
        self.no_streaming_once = true;
        self.wait(Then::List, Pace::Growing, None)
    }
}

/// From how the last activity ended to the next one.
pub(super) fn step(mut state: State, input: Input, now: Instant, options: &Options) -> (State, Effect) {
    match input {
        Input::Go => {
            let effect = match state.then {
                Then::List => state.list(now, options),
                Then::Watch => Effect::Watch,
            };
            (state, effect)
        }
        Input::Listed => {
            state.from = Origin::Held;
            state.paged = true;
            state.no_streaming_once = false;
            state.streaming_failures = 0;
            state.below = 0;
            state.shown = Shown::List;
            state.absences = 0;
            (state, Effect::Watch)
        }
        Input::StreamingRefused => {
            state.no_streaming_until = Some(now + options.streaming_retry);
            let effect = state.list(now, options);
            (state, effect)
        }
        Input::StreamingFailed(error) => {
            state.streaming_failures += 1;
            if state.streaming_failures >= STREAMING_FAILURES {
                state.streaming_failures = 0;
                state.no_streaming_once = true;
            }
            state.list_failed(&error, now, options)
        }
        Input::ListFailed { error, at } => {
            if at == PageAt::Later && error.is_expired() {
                state.paged = false;
                state.no_streaming_once = true;
            }
            // Pages were tried; the next attempt may stream again, unless pages were chosen for a reason.
            state.no_streaming_once &= !state.paged || state.below > 0;
            state.list_failed(&error, now, options)
        }
        Input::ListBelow { from } => state.read_again(from == Origin::Newest),
        Input::WatchEnded { events, settled } => {
            // One quick end after events is a server that restarts; again and again is a proxy that cuts.
            if settled || (events && state.watch_failures == 0) {
                state.watch_failures += u32::from(!settled);
                return (state, Effect::Rewatch);
            }
            watch_failed(state, None, events)
        }
        Input::WatchFailed { error, settled } => {
            if error.is_expired() || error.is_version_too_large() {
                return state.list_newest(&error, now, options);
            }
            if error.is_kind_absent() {
                state.from = Origin::Newest;
                return state.not_found(&error, options);
            }
            if error.is_protocol() {
                state.watch_failures += 1;
                return state.wait(Then::List, Pace::Growing, None);
            }
            if is_refused(&error) {
                state.watch_failures += 1;
                return state.wait(Then::List, Pace::Longest, error.retry_after());
            }
            // A connection that was fine until it broke: most likely the server or a proxy restarts.
            if settled && (error.is_transport() || error.is_timeout()) {
                return (state, Effect::Rewatch);
            }
            watch_failed(state, Some(&error), false)
        }
        Input::WentBack => {
            // What is held may be from a server that is ahead of this one; a consistent read tells.
            state.from = Origin::Newest;
            if state.expired {
                return state.wait(Then::List, Pace::Growing, None);
            }
            state.expired = true;
            let effect = state.list(now, options);
            (state, effect)
        }
        Input::Silent => (state, Effect::Probe),
        Input::Probed(Probe::Same) => {
            state.below = 0;
            (state, Effect::Watch)
        }
        Input::Probed(Probe::Newer) => {
            state.below = 0;
            (state, Effect::Rewatch)
        }
        Input::Probed(Probe::Below) => state.read_again(true),
        Input::Probed(Probe::Failed(error)) => watch_failed(state, Some(&error), false),
        Input::Settled => {
            state.expired = false;
            state.watch_failures = 0;
            (state, Effect::Watch)
        }
        Input::Refresh => {
            state.from = Origin::Newest;
            let effect = state.list(now, options);
            (state, effect)
        }
        Input::Discovered { served: Some(false) } => {
            state.absences += 1;
            // What is held is worth a second look; one that shows nothing has nothing to lose.
            let enough = if state.shown == Shown::List { ABSENCES } else { 1 };
            if state.absences < enough {
                return state.wait(Then::List, Pace::Absent, None);
            }
            state.absences = 0;
            state.shown = Shown::Absence;
            state.from = Origin::Newest;
            state.then = Then::List;
            (state, Effect::ShowAbsence)
        }
        Input::Discovered { served: _ } => {
            state.absences = 0;
            state.wait(Then::List, Pace::Absent, None)
        }
    }
}

/// The watch is opened again later, or the kind listed when that has not helped for a while. It is of no use where
/// nobody answers, a burden where there is too much to do already, and needless while events come.
fn watch_failed(mut state: State, error: Option<&Error>, events: bool) -> (State, Effect) {
    state.watch_failures += 1;
    let no_list = events
        || error
            .is_some_and(|error| error.is_transport() || error.is_timeout() || error.is_too_many_requests());
    let then = if state.watch_failures < WATCH_FAILURES || no_list { Then::Watch } else { Then::List };
    let retry_after = error.and_then(Error::retry_after);
    state.wait(then, Pace::Growing, retry_after)
}

/// The server will not watch, though it may well list: 403 and the like, but not what passes by itself.
pub(super) fn is_refused(error: &Error) -> bool {
    error.http_code().is_some_and(|code| (400..500).contains(&code) && !matches!(code, 401 | 408 | 429))
}
