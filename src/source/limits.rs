//! Bounds on responses of the API server, in bytes, pages and time.

use std::time::Duration;

/// Bounds on the responses that an informer accepts from an API server. [`Config::limits`](crate::Config::limits) sets
/// them.
///
/// With them, a broken response neither exhausts memory nor keeps the informer waiting forever.
///
/// The defaults are far above what a healthy API server sends. A response that exceeds a limit is an error, reported in
/// the informer's [`Status`](crate::Status). As after any other error, the informer keeps its state and retries with
/// growing waits. An object that is too large, nested deeper than 128 levels, or not JSON, is invalid and affects no
/// other object. Bytes that are not UTF-8 are read as U+FFFD. For each limit, zero means no limit.
///
/// client-go has timeouts, but no such bounds.
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
    /// How much of an error response is read, to find its reason.
    pub(crate) error_bytes: usize,
    pub(crate) pages: u32,
    pub(crate) head_time: Duration,
    pub(crate) body_silence: Duration,
    pub(crate) page_time: Duration,
    pub(crate) watch_silence: Duration,
}

/// As good as no limit, but short enough to be added to an instant.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

// === impl Limits ===

impl Limits {
    /// Returns the defaults. The documentation of each limit names its default.
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

    /// Sets the largest event of a watch, in bytes of JSON. Default: 32 MiB.
    ///
    /// An event that does not end needs this much memory. Line breaks within an event, and white space between events,
    /// do not matter.
    ///
    /// After a larger event the informer closes the watch and lists the kind, since the end of such an event is not
    /// known. An event contains one object, so this should be larger than [`object_bytes`](Self::object_bytes).
    #[must_use]
    pub fn line_bytes(self, bytes: usize) -> Self {
        Self { line_bytes: size(bytes), ..self }
    }

    /// Sets the largest page of a list, in bytes of JSON. Default: 512 MiB.
    ///
    /// Pages of [`page_size`](crate::Config::page_size) objects are far smaller. But a list that expired between two
    /// pages is requested in one piece, and servers may ignore the page size. After a larger page the informer lists
    /// again, with pages of half the size where it can.
    #[must_use]
    pub fn page_bytes(self, bytes: usize) -> Self {
        Self { page_bytes: size(bytes), ..self }
    }

    /// Sets the largest object, in bytes of JSON. Default: 16 MiB. etcd accepts requests of 1.5 MiB by default, and an
    /// object stored as protobuf can be a few times as large as JSON.
    ///
    /// A larger object is invalid, in a list and in a watch: it is counted and listed in
    /// [`View::invalid`](crate::View::invalid), and neither decoded nor projected. Its last good version stays, and its
    /// next version is tried again. Other objects are not affected. A DELETED event deletes an object of any size.
    #[must_use]
    pub fn object_bytes(self, bytes: usize) -> Self {
        Self { object_bytes: size(bytes), ..self }
    }

    /// Sets the maximum number of pages of one list. Default: 10,000, which is five million objects at the default page
    /// size, and more than etcd is designed for.
    ///
    /// A list of more pages fails, and none of its objects are stored. This stops a server that returns new `continue`
    /// tokens forever. Streaming lists have no pages, but five minutes in total.
    #[must_use]
    pub fn pages(self, pages: u32) -> Self {
        Self { pages: if pages == 0 { u32::MAX } else { pages }, ..self }
    }

    /// Sets how long the head of a response may take. Default: 30 s. This detects half-open connections.
    ///
    /// A kube-apiserver responds within a few seconds, or with 429. A client that retries by itself, as kube's does by
    /// default, needs this time for all of its attempts.
    #[must_use]
    pub fn head_time(self, time: Duration) -> Self {
        Self { head_time: duration(time), ..self }
    }

    /// Sets how long the body of a list may pause. Default: 30 s.
    #[must_use]
    pub fn body_silence(self, time: Duration) -> Self {
        Self { body_silence: duration(time), ..self }
    }

    /// Sets how long the body of a page may take in total. Default: 5 min. A kube-apiserver aborts a list after one
    /// minute.
    #[must_use]
    pub fn page_time(self, time: Duration) -> Self {
        Self { page_time: duration(time), ..self }
    }

    /// Sets how long a watch may be without an event or bookmark before the informer checks it. Default: 3 min.
    ///
    /// The check is a consistent read of one object. A kube-apiserver sends bookmarks about once a minute.
    ///
    /// This detects half-open connections, and API servers restored from a backup, which send nothing to a watch from a
    /// version that they do not have yet. If this time is shorter than the time between bookmarks, each check costs a
    /// small list, and a new watch if anything was written to the cluster meanwhile. The first check is at least a
    /// second after a watch was opened. Without a limit, a dead connection is detected when its watch should have ended
    /// (after 10 minutes at most), and a restored server possibly never.
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
