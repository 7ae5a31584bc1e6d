//! The last status of an informer, however it ends.

use tokio::sync::watch;
use tokio::time::Instant;

use crate::reflector::{Phase, Status};

/// On drop, sets the phase to stopped: the informer was shut down or never started, its driver was dropped,
/// or it panicked.
///
/// The store's writer owns it and drops it first, so that waiters who see the end also see it in the status.
pub(super) struct LastWord(pub(super) watch::Sender<Status>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.send_if_modified(|status| {
            let news = status.phase != Phase::Stopped || status.stale_since.is_none();
            status.phase = Phase::Stopped;
            status.stale_since.get_or_insert_with(Instant::now);
            news
        });
    }
}
