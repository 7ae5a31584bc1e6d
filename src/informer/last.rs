//! What the status says at the end, however the informer came to it.

use tokio::sync::watch;
use tokio::time::Instant;

use crate::reflector::{Phase, Status};

/// Says, when dropped, that the informer has stopped: shut down, never started, its driver dropped, or panicked.
///
/// The store's writer holds it and drops it first, so that those who learn of the end find it in the status.
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
