//! What an informer has done and is doing, in numbers, readable without a metrics library.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::Informer;
use crate::reflector::{Cause, Phase, Status, Tally};
use crate::version::ResourceVersion;

/// A sample of an informer in numbers, from [`Informer::stats`].
///
/// Counts go up from zero at the start of the informer and never down; what is not called a count is as of now. For a
/// metrics library or a human: no task wakes when they change. What to act on, such as staleness and the last error, is in
/// [`Status`](crate::Status).
///
/// Printed (`{}`) they are one line, with nothing in it that came from an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Objects held.
    pub objects: usize,
    /// Objects whose newest version could not be taken in; an earlier one may be held.
    pub invalid_objects: usize,
    /// The version up to which the state is complete. `None` before the first list, and always for
    /// [`Informer::from_stream`].
    pub resource_version: Option<ResourceVersion>,
    /// Count of published changes of content. Bookmarks do not count.
    pub revision: u64,
    /// Time since the API server last sent something: an event, a bookmark, or a page of a list. API servers send
    /// bookmarks about once a minute, so minutes are a sign of trouble. `None` before the first time.
    pub last_event: Option<Duration>,
    /// Count of completed lists.
    pub lists: u64,
    /// Lists after the first, by what made them necessary.
    pub relists: Relists,
    /// Count of watches opened.
    pub watches: u64,
    /// Count of watches opened without a list: API servers end each after minutes, connections break. The watch that
    /// is part of a list or follows it is not counted. 0 for [`Informer::from_stream`], which is not told.
    pub watch_restarts: u64,
    /// Count of errors met: requests that failed, watches that broke, answers that were of no use.
    pub errors: u64,
    /// Count of the times when the API server had gone back, as after a restore from a backup, and all was taken in
    /// anew. 0 for [`Informer::from_stream`].
    pub new_epochs: u64,
    /// Old versions of the state that somebody still holds: a snapshot, a batch, a reader, or a subscription that
    /// lags. As of at most half a second ago while the informer runs.
    pub pinned_versions: usize,
    /// Subscriptions that exist.
    pub subscribers: usize,
    /// How many published changes of content the slowest subscription has not been given yet. A batch counts as given
    /// when it was handed out; it brings all that happened since the last one.
    pub slowest_lag: u64,
}

/// How often a kind was listed again, by what made that necessary. The first list is none of them.
///
/// Counted when the list begins; further attempts at it are not counted, whatever they fail for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relists {
    /// The version held was no longer kept by the API server (410): the informer had been cut off for long, or
    /// changes are many and history is short.
    pub expired: u64,
    /// The version held was not known yet to the API server that was asked (`ResourceVersionTooLarge`).
    pub too_large: u64,
    /// Several watches in a row failed or ended at once.
    pub watch_failed: u64,
    /// The API server refuses to watch (a 4xx such as 403): it is listed from time to time.
    pub watch_refused: u64,
    /// A watch returned an invalid response.
    pub invalid_response: u64,
    /// A watch sent an event older than the previous one.
    pub out_of_order: u64,
    /// After a long silence, a consistent read was below the version held.
    pub behind: u64,
    /// The kind was not found (404), and is asked for again.
    pub kind_absent: u64,
    /// [`Informer::refresh`] was called; one list may serve several calls.
    pub refresh: u64,
    /// The stream of [`Informer::from_stream`] began a list anew, and does not tell why.
    pub by_stream: u64,
}

impl<T> Informer<T> {
    /// The informer in numbers.
    ///
    /// O(subscriptions), under the short lock of the list of subscriptions. Waits for no reader of snapshots, and neither
    /// writer nor readers wait for it.
    ///
    /// ```
    /// # use k8s_openapi::api::core::v1::ConfigMap;
    /// # use kube_client::{Api, Client};
    /// # use kube_informer::{Informer, testing::ApiServer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = Client::new(ApiServer::new().service(), "default");
    /// let maps = Informer::builder(Api::<ConfigMap>::all(client)).start();
    /// maps.synced().await?;
    /// let stats = maps.stats();
    /// assert_eq!((stats.objects, stats.relists.total(), stats.subscribers), (0, 0, 0));
    /// println!("{stats}"); // and {maps:?}, with the name of the kind before it
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        let inner = &*self.inner;
        // The slowest first: a subscription may go on meanwhile, and is not to be ahead of what is newest.
        let (subscribers, slowest) = inner.shared.positions().look();
        let view = inner.shared.load();
        let now = Instant::now();
        Stats {
            objects: view.len(),
            invalid_objects: view.invalid_len(),
            resource_version: view.resource_version().cloned(),
            revision: view.revision(),
            last_event: inner.tally.heard(now),
            lists: inner.tally.lists(),
            relists: Relists::of(&inner.tally),
            watches: inner.tally.watches(),
            watch_restarts: inner.tally.watch_restarts(),
            errors: inner.tally.errors(),
            new_epochs: view.epoch,
            pinned_versions: inner.retired.pinned().versions(view.revision()),
            subscribers,
            slowest_lag: slowest.map_or(0, |slowest| view.revision().saturating_sub(slowest)),
        }
    }
}

// === impl Stats ===

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Many(self.objects as u64, "object"))?;
        if self.invalid_objects > 0 {
            write!(f, " ({} invalid)", self.invalid_objects)?;
        }
        if let Some(version) = &self.resource_version {
            write!(f, " at version {version}")?;
        }
        match self.last_event {
            Some(age) => write!(f, ", last event {} ago", Age(age))?,
            None => f.write_str(", no event yet")?,
        }
        write!(f, ", {}", self.relists)?;
        if self.new_epochs > 0 {
            write!(f, ", {}", Many(self.new_epochs, "new epoch"))?;
        }
        write!(f, ", {}, {}", Many(self.watch_restarts, "watch restart"), Many(self.errors, "error"))?;
        write!(f, ", {} pinned", Many(self.pinned_versions as u64, "old version"))?;
        write!(f, ", {}", Many(self.subscribers as u64, "subscriber"))?;
        match (self.slowest_lag, self.subscribers) {
            (0, _) => Ok(()),
            (lag, 1) => write!(f, " ({lag} behind)"),
            (lag, _) => write!(f, " (slowest {lag} behind)"),
        }
    }
}

// === impl Relists ===

impl Relists {
    fn of(tally: &Tally) -> Self {
        Self {
            expired: tally.relists(Cause::Expired),
            too_large: tally.relists(Cause::TooLarge),
            watch_failed: tally.relists(Cause::WatchFailed),
            watch_refused: tally.relists(Cause::WatchRefused),
            invalid_response: tally.relists(Cause::InvalidResponse),
            out_of_order: tally.relists(Cause::OutOfOrder),
            behind: tally.relists(Cause::Behind),
            kind_absent: tally.relists(Cause::KindAbsent),
            refresh: tally.relists(Cause::Refresh),
            by_stream: tally.relists(Cause::Stream),
        }
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.causes().map(|(_, count)| count).sum()
    }

    /// Each cause by its name, the name of its field, with how often it was: for metrics with a label.
    pub fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self {
            expired,
            too_large,
            watch_failed,
            watch_refused,
            invalid_response,
            out_of_order,
            behind,
            kind_absent,
            refresh,
            by_stream,
        } = *self;
        [
            ("expired", expired),
            ("too_large", too_large),
            ("watch_failed", watch_failed),
            ("watch_refused", watch_refused),
            ("invalid_response", invalid_response),
            ("out_of_order", out_of_order),
            ("behind", behind),
            ("kind_absent", kind_absent),
            ("refresh", refresh),
            ("by_stream", by_stream),
        ]
        .into_iter()
    }
}

impl fmt::Display for Relists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Many(self.total(), "relist"))?;
        let mut separator = " (";
        for (cause, count) in self.causes().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{count} {}", cause.replace('_', " "))?;
            separator = ", ";
        }
        if separator == ", " { f.write_str(")") } else { Ok(()) }
    }
}

// --- how it is printed ---

/// The phase, and how old the state is where that matters.
pub(super) struct Health(pub(super) Status);

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(phase(self.0.phase))?;
        match self.0.stale_since {
            Some(since) => write!(f, ", stale for {}", Age(since.elapsed())),
            None => Ok(()),
        }
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::Listing => "listing",
        Phase::Watching => "watching",
        Phase::BackingOff => "backing off",
        Phase::Polling => "polling",
        Phase::Absent => "kind absent",
        Phase::Stopped => "stopped",
    }
}

/// `1 object`, `2 objects`.
struct Many(u64, &'static str);

impl fmt::Display for Many {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// `0.4s`, `12s`, `5m`, `3h`, `2d`: two digits are enough.
struct Age(Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0..10 => write!(f, "{:.1}s", self.0.as_secs_f64()),
            seconds @ 10..120 => write!(f, "{seconds}s"),
            seconds @ 120..7200 => write!(f, "{}m", seconds / 60),
            seconds @ 7200..172_800 => write!(f, "{}h", seconds / 3600),
            seconds => write!(f, "{}d", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests;
