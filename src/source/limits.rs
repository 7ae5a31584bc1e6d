//! What is taken from a server at most, in bytes, in pages and in time.

use std::time::Duration;

/// Bounds on what an informer takes from an API server, so that no broken answer takes the process down or is waited
/// for without end. Given to [`Config::limits`](crate::Config::limits).
///
/// The defaults are far above what a sound API server does. Whatever exceeds one is an error that says so in the
/// informer's [`Status`](crate::Status) and, like any other, is followed by a growing wait and another attempt; the
/// state is kept meanwhile. An object that is too large harms only itself, as does one nested deeper than 128 levels,
/// or one that is no JSON; bytes that are no UTF-8 are read as U+FFFD and harm nothing. Zero means no limit, for each
/// of them.
///
/// client-go has no such bounds but its timeouts: it reads what comes.
///
/// ```
/// use std::time::Duration;
/// use kube_informer::Limits;
///
/// // For a controller in a small container that follows small objects.
/// let limits = Limits::new()
///     .object_bytes(1 << 20)
///     .line_bytes(4 << 20)
///     .page_bytes(32 << 20)
///     .page_time(Duration::from_secs(60));
/// # let _ = limits;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) line_bytes: usize,
    pub(crate) page_bytes: usize,
    pub(crate) object_bytes: usize,
    /// How much of an answer that is not a success is read, to find its reason.
    pub(crate) error_bytes: usize,
    pub(crate) pages: u32,
    pub(crate) head_time: Duration,
    pub(crate) body_silence: Duration,
    pub(crate) page_time: Duration,
    pub(crate) watch_silence: Duration,
}

/// As good as no limit, and still a time that can be added to one.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

// === impl Limits ===

impl Limits {
    /// The defaults, which are said with each limit.
    #[must_use]
    pub fn new() -> Self {
        Self {
            line_bytes: 32 << 20,
            page_bytes: 512 << 20,
            object_bytes: 16 << 20,
            error_bytes: 64 << 10,
            pages: 10_000,
            head_time: Duration::from_secs(30),
            body_silence: Duration::from_secs(30),
            page_time: Duration::from_secs(5 * 60),
            watch_silence: Duration::from_secs(3 * 60),
        }
    }

    /// The largest event of a watch, in bytes of JSON: 32 MiB. This much is held of an event that does not end. How
    /// many lines it takes, and what stands between two events, does not matter.
    ///
    /// Beyond it the watch is given up, and listed instead: nothing tells where such an event ends, or whether it
    /// does. An event holds one object, so leave room above [`object_bytes`](Self::object_bytes).
    #[must_use]
    pub fn line_bytes(self, bytes: usize) -> Self {
        Self { line_bytes: size(bytes), ..self }
    }

    /// The largest page of a list, in bytes of JSON: 512 MiB.
    ///
    /// Pages of [`page_size`](crate::Config::page_size) objects are far smaller; but a list that expired between
    /// two pages is asked for in one piece, and servers may ignore the size. Beyond it the list fails.
    #[must_use]
    pub fn page_bytes(self, bytes: usize) -> Self {
        Self { page_bytes: size(bytes), ..self }
    }

    /// The largest object, in bytes of JSON: 16 MiB. etcd takes requests of 1.5 MiB by default, and as JSON what is
    /// stored in protobuf can be a few times as large.
    ///
    /// A larger one is invalid, in a list and in a watch: counted, listed in [`View::invalid`](crate::View::invalid), neither
    /// decoded nor projected, its last good version kept, and tried again at its next version. All others are taken
    /// in. An object whose metadata is not readable is counted as invalid; a DELETED event deletes an object of any size.
    #[must_use]
    pub fn object_bytes(self, bytes: usize) -> Self {
        Self { object_bytes: size(bytes), ..self }
    }

    /// The most pages of one list: 10,000, which is five million objects at the default page size, and more than
    /// etcd is made for.
    ///
    /// Beyond it the list fails and nothing of it is kept: a server that always answers a new `continue` token is
    /// not followed for ever. Streaming lists have no pages, and five minutes for all.
    #[must_use]
    pub fn pages(self, pages: u32) -> Self {
        Self { pages: if pages == 0 { u32::MAX } else { pages }, ..self }
    }

    /// How long a response may take to begin: 30 s. What was sent meanwhile may be lost, as on a half-open
    /// connection.
    ///
    /// A kube-apiserver answers within a few seconds, or says 429; a client that retries by itself, as kube's does
    /// by default, needs this time for all of its attempts.
    #[must_use]
    pub fn head_time(self, time: Duration) -> Self {
        Self { head_time: duration(time), ..self }
    }

    /// How long the body of a list may stand still before its end: 30 s.
    #[must_use]
    pub fn body_silence(self, time: Duration) -> Self {
        Self { body_silence: duration(time), ..self }
    }

    /// How long the body of a page may take in all, however steadily it drips: 5 min. A kube-apiserver gives up on a
    /// list after one.
    #[must_use]
    pub fn page_time(self, time: Duration) -> Self {
        Self { page_time: duration(time), ..self }
    }

    /// How long a watch may be without event or bookmark before one object is read, to learn whether there is
    /// anything to hear: 3 min, where a kube-apiserver sends bookmarks about once a minute.
    ///
    /// This finds out half-open connections, and API servers restored from a backup, which say nothing to a watch
    /// from a version they do not have yet. A time shorter than that between bookmarks costs a small list whenever
    /// it has passed, and a new watch when anything was written to the cluster meanwhile. At least a second passes
    /// after a watch was opened. Without a limit, a connection is found dead when its watch should have ended (10
    /// minutes at most), and a restored server perhaps never.
    #[must_use]
    pub fn watch_silence(self, time: Duration) -> Self {
        Self { watch_silence: duration(time), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

fn size(bytes: usize) -> usize {
    if bytes == 0 { usize::MAX } else { bytes }
}

fn duration(time: Duration) -> Duration {
    if time.is_zero() { FOREVER } else { time.min(FOREVER) }
}
