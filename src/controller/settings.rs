//! The settings of a controller, with their defaults.

use std::time::Duration;

use crate::queue::Options;

/// See the methods of [`Controller`](super::Controller).
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) concurrency: usize,
    pub(super) retries: Options,
    pub(super) timeout: Option<Duration>,
    pub(super) written_within: Duration,
    pub(super) stop_within: Duration,
    /// At the stop, queued keys are reconciled, not discarded.
    pub(super) drains: bool,
}

impl Settings {
    pub(super) fn new() -> Self {
        Self {
            concurrency: 1,
            retries: Options::new(),
            timeout: None,
            written_within: Duration::from_secs(30),
            stop_within: Duration::from_secs(30),
            drains: true,
        }
    }
}
