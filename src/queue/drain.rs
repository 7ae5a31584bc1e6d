//! The end of a queue: at once, when its work is done, or at a deadline.

use std::{hash::Hash, pin::pin, time::Duration};

use tokio::time::Instant;

use super::{
    delay::after,
    shared::{Inner, Phase},
    work_queue::WorkQueue,
};

/// A queue ended with work left over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the work queue ended with {discarded} keys not handed out and {in_flight} still being worked on")]
#[non_exhaustive]
pub struct Unfinished {
    /// Keys that were queued, or to be queued again, and were thrown away.
    pub discarded: usize,
    /// Keys whose claim had not ended.
    pub in_flight: usize,
}

// === impl WorkQueue ===

impl<K: Hash + Eq> WorkQueue<K> {
    /// Accepts no more keys. Those queued are still handed out, also those added again while claimed; then every
    /// [`get`](Self::get) returns `None`. Delayed keys, retries among them, are dropped: their time may be
    /// far away, and the next start lists everything anew.
    pub fn shut_down(&self) {
        self.shared.update(|inner, _| {
            if inner.phase == Phase::Open {
                inner.phase = Phase::ShutDown;
                inner.delayed.clear();
            }
        });
    }

    /// Ends the queue at once: as [`shut_down`](Self::shut_down), but what is queued is discarded too. Leases
    /// stay valid until they end. A [`drain`](Self::drain) under way returns.
    pub fn shut_down_now(&self) {
        self.shared.update(|inner, _| {
            inner.force();
        });
    }

    /// [Shuts down](Self::shut_down) and waits until all that was accepted is done: the queued keys, the claimed
    /// ones, and those added again meanwhile. Somebody must still be getting them.
    ///
    /// # Errors
    /// [`Unfinished`] when `within` passed first, or [`shut_down_now`](Self::shut_down_now) was called; what was
    /// still queued is then discarded, and every `get` ends. A later call returns at once, with what is still
    /// in flight then.
    ///
    /// # Cancel safety
    /// Cancel-safe: a dropped call leaves the queue shut down, with nothing discarded.
    ///
    /// # Panics
    /// When the runtime has no timer.
    pub async fn drain(&self, within: Duration) -> Result<(), Unfinished> {
        let deadline = after(Instant::now(), within);
        self.shut_down();
        loop {
            let mut settled = pin!(self.shared.settled.notified());
            settled.as_mut().enable();
            if self.shared.update(|inner, _| inner.settled()) {
                break;
            }
            if tokio::time::timeout_at(deadline, settled).await.is_err() {
                break;
            }
        }
        // Of a queue that settled in time, this discards nothing.
        self.shared.update(|inner, _| match (inner.force(), inner.state.running()) {
            (0, 0) => Ok(()),
            (discarded, in_flight) => Err(Unfinished { discarded, in_flight }),
        })
    }
}

// === impl Inner ===

impl<K: Hash + Eq> Inner<K> {
    /// Goes to the last phase, and returns how many runs that cost.
    fn force(&mut self) -> usize {
        if let Phase::Forced { discarded } = self.phase {
            return discarded;
        }
        self.delayed.clear();
        let discarded = self.state.discard();
        self.phase = Phase::Forced { discarded };
        discarded
    }
}
