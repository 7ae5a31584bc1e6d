//! The settings of a reflector.

use std::time::Duration;

use crate::config::{Absent, Config};

/// Times and sizes of a reflector. The defaults are meant for production.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Objects per page of a list, as many as client-go requests.
    pub(crate) page_size: u32,
    /// The most pages of one list.
    pub(crate) pages: u32,
    /// List by a watch with initial events (KEP-3157) if the server supports it.
    pub(crate) streaming: bool,
    /// How long no streaming list is tried after the server could not make one.
    pub(crate) streaming_retry: Duration,
    /// How long an unfinished streaming list may be silent.
    pub(crate) streaming_silence: Duration,
    /// After this time, a streaming list must send a page of objects in each `streaming_silence`; otherwise
    /// it is treated as endless.
    pub(crate) streaming_patience: Duration,
    /// How long a streaming list may take in total.
    pub(crate) streaming_total: Duration,
    /// The shortest time a server is asked to keep a watch open; each watch asks for up to twice that, at random, so
    /// that the watches of many clients do not end together.
    pub(crate) watch_timeout: Duration,
    /// How much longer than asked for a watch may stay open before its connection counts as dead.
    pub(crate) watch_grace: Duration,
    /// How long a watch may be without event or bookmark before a list of one object checks whether it has
    /// missed something. Shorter if the server has sent bookmarks more often.
    pub(crate) watch_silence: Duration,
    /// A watch that ends sooner and without an event has failed.
    pub(crate) watch_settled: Duration,
    /// What to do about a kind that is not served.
    pub(crate) absent: Absent,
    /// The shortest time between two checks for a kind that the server does not know.
    pub(crate) absent_poll: Duration,
    /// The most events applied at once.
    pub(crate) batch_events: usize,
    /// The most bytes of undecoded objects applied at once; the last event may exceed it.
    pub(crate) batch_bytes: usize,
    /// Budgets and intervals that applications may set.
    pub(crate) config: Config,
}

impl Settings {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            page_size: config.page_size,
            pages: config.limits.pages,
            streaming: config.streaming_lists,
            streaming_retry: Duration::from_secs(60 * 60),
            streaming_silence: Duration::from_secs(10),
            streaming_patience: Duration::from_secs(45),
            streaming_total: Duration::from_secs(5 * 60),
            watch_timeout: Duration::from_secs(5 * 60),
            watch_grace: Duration::from_secs(10),
            watch_silence: config.limits.watch_silence,
            watch_settled: Duration::from_secs(1),
            absent: config.absent.unwrap_or_default(),
            absent_poll: Duration::from_secs(8),
            batch_events: 4096,
            batch_bytes: 8 << 20,
            config,
        }
    }
}

#[cfg(test)]
impl Default for Settings {
    fn default() -> Self {
        Self::new(Config::new())
    }
}
