//! Statistics of an informer, readable without a metrics library.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::Informer;
use crate::reflector::{Phase, RelistCause, Status, Tally};
use crate::version::ResourceVersion;

/// Statistics of an informer, from [`Informer::stats`].
///
/// Counts begin at zero when the informer starts, and never decrease. All other fields are current values. The
/// statistics are for metrics and operators: a change of them wakes no task. [`Status`](crate::Status) has what an
/// application acts on, such as staleness and the last error.
///
/// `Display` prints one line, without any content of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Number of cached objects.
    pub objects: usize,
    /// Number of objects whose newest version is invalid; an earlier one may be cached.
    pub invalid_objects: usize,
    /// The resourceVersion that the newest snapshot reflects. `None` before the first list, for kinds without versions,
    /// and for [`Informer::from_stream`].
    pub resource_version: Option<ResourceVersion>,
    /// Count of published changes of content. Bookmarks do not count.
    pub revision: u64,
    /// Time since the last event, bookmark or list page. API servers send bookmarks about once a minute, so several
    /// minutes are a sign of a problem. `None` before the first one.
    pub last_event: Option<Duration>,
    /// Count of completed lists.
    pub lists: u64,
    /// Counts of the lists after the first, by cause.
    pub relists: Relists,
    /// Count of watches opened.
    pub watches: u64,
    /// Count of watches opened without a list, after the API server ended a watch or a connection broke. A watch that
    /// is part of a list, or follows one, is not counted. 0 for [`Informer::from_stream`].
    pub watch_restarts: u64,
    /// Count of errors: failed requests, broken watches, invalid responses.
    pub errors: u64,
    /// Count of new epochs: the API server returned to an earlier state, as after a restore from a backup, and every
    /// object was stored again. 0 for [`Informer::from_stream`].
    pub new_epochs: u64,
    /// Number of old versions of the state kept in memory by a snapshot, a batch, or a subscription that lags. While
    /// the informer runs, the number is at most half a second old.
    pub pinned_versions: usize,
    /// Number of subscriptions.
    pub subscribers: usize,
    /// Number of published changes of content (as in [`revision`](Self::revision)) that the slowest subscription has
    /// not received yet. A batch counts as received when `next` has returned it.
    pub slowest_lag: u64,
    /// The longest time for which a subscription has been behind: since the first change of content that it has not
    /// received, or since it began if that was later. Zero if none is behind.
    pub longest_lag: Duration,
}

/// Counts of relists, by cause. The first list is not among them.
///
/// A relist counts once, when it begins; further attempts do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relists {
    /// The API server no longer had the version to resume from (410): the informer was disconnected for long, or there
    /// are many changes and the history is short.
    pub expired: u64,
    /// The API server did not have the version to resume from yet (`ResourceVersionTooLarge`).
    pub too_large: u64,
    /// Several watches in a row failed, or ended immediately.
    pub watch_failed: u64,
    /// The API server refuses watches (a 4xx such as 403), so the kind is polled.
    pub watch_refused: u64,
    /// A watch returned an invalid response.
    pub invalid_response: u64,
    /// A watch sent an event older than the previous one.
    pub out_of_order: u64,
    /// After a long silence, a consistent read returned a version below the cached one.
    pub behind: u64,
    /// The kind was not found (404).
    pub kind_absent: u64,
    /// [`Informer::refresh`] was called. Several calls may share one list.
    pub refresh: u64,
    /// The stream of [`Informer::from_stream`] listed again; it does not report why.
    pub by_stream: u64,
}

impl<T> Informer<T> {
    /// Returns statistics of the informer.
    ///
    /// O(subscriptions), under a short lock of the list of subscriptions. Does not wait for the writer or for readers
    /// of snapshots, and does not delay them.
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
        let (now, replaced) = (Instant::now(), inner.retired.replaced());
        // Read the slowest first: a subscription may advance meanwhile, and must not appear ahead of the newest
        // revision.
        let newest = inner.shared.load().revision();
        let (mut slowest, mut longest_lag) = (None::<u64>, Duration::ZERO);
        let subscribers = inner.shared.positions().look(|revision, begun| {
            slowest = Some(slowest.map_or(revision, |slowest| slowest.min(revision)));
            if revision < newest {
                let since = replaced.since(revision).map_or(begun, |since| since.max(begun));
                longest_lag = longest_lag.max(now.saturating_duration_since(since));
            }
        });
        let view = inner.shared.load();
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
            longest_lag,
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
            expired: tally.relists(RelistCause::Expired),
            too_large: tally.relists(RelistCause::TooLarge),
            watch_failed: tally.relists(RelistCause::WatchFailed),
            watch_refused: tally.relists(RelistCause::WatchRefused),
            invalid_response: tally.relists(RelistCause::InvalidResponse),
            out_of_order: tally.relists(RelistCause::OutOfOrder),
            behind: tally.relists(RelistCause::Behind),
            kind_absent: tally.relists(RelistCause::KindAbsent),
            refresh: tally.relists(RelistCause::Refresh),
            by_stream: tally.relists(RelistCause::Stream),
        }
    }

    /// The sum of all causes.
    pub fn total(&self) -> u64 {
        self.causes().map(|(_, count)| count).sum()
    }

    /// Iterates over the causes: the name of each field, and its count. For a metric with a label.
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
pub(crate) struct Health(pub(crate) Status);

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
