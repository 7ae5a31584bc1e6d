//! What an informer logs: `warn` when it begins to wait for a server that fails, refuses, or does not serve the kind;
//! `info` when it is synced and when it has recovered; everything else at `debug`. `docs/LOGS.md` lists the events.
//!
//! Every event is inside the span `informer`. No event contains a value of an object: an [`Error`] prints
//! none.

use std::time::Duration;

use super::status::Phase;
use crate::error::Error;

/// What was logged about the current streak of failures.
#[derive(Default)]
pub(super) struct Log {
    /// The last phase for which a warning was logged.
    warned: Option<Phase>,
}

impl Log {
    /// The first list is complete.
    pub(super) fn synced(&self) {
        tracing::info!("synced");
    }

    /// The informer begins to wait. Logs one warning per streak and phase; retries are logged at `debug`.
    pub(super) fn waits(&mut self, phase: Phase, error: Option<&Error>) {
        let Some(error) = error else { return };
        if self.warned.replace(phase) == Some(phase) {
            return;
        }
        let error = tracing::field::display(error);
        match phase {
            Phase::Absent => tracing::warn!(error, "the API server does not serve the kind; asking again"),
            Phase::Polling => tracing::warn!(error, "watches do not work; listing from time to time"),
            _ => tracing::warn!(error, "cannot follow the API server; retrying"),
        }
    }

    /// The cache is empty because the kind is not installed, as the informer was configured.
    pub(super) fn absent(&self) {
        tracing::info!("the kind is not installed; the cache is empty");
    }

    /// The informer follows the server. `stale`: how long it did not.
    pub(super) fn well(&mut self, stale: Option<Duration>) {
        if self.warned.take().is_some() {
            tracing::info!(?stale, "recovered");
        }
    }
}
