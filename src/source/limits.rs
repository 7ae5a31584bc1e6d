//! What a source takes from a server at most, in bytes and in time.

use std::time::Duration;

/// Bounds that keep one broken answer from taking the process down or from being waited for without end.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The longest line of a watch. etcd takes requests of 1.5 MiB by default; a line holds one object, and JSON is
    /// at most a few times larger than what is stored.
    pub(crate) line_bytes: usize,
    /// The largest body of a list. Lists come in pages, but an unpaged one is asked for when a `continue` token
    /// expired, and servers may ignore `limit`.
    pub(crate) page_bytes: usize,
    /// How much of an answer that is not a success is read, to find its reason.
    pub(crate) error_bytes: usize,
    /// How long the head of a response may take.
    pub(crate) head: Duration,
    /// How long the body of a list may stand still.
    pub(crate) body_idle: Duration,
    /// How long a whole page may take. A kube-apiserver gives up on a list after one minute.
    pub(crate) page: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes: 16 << 20,
            page_bytes: 512 << 20,
            error_bytes: 64 << 10,
            head: Duration::from_secs(30),
            body_idle: Duration::from_secs(30),
            page: Duration::from_secs(300),
        }
    }
}
