//! Ends a queue: at once, when its work is done, or at a deadline.

use std::{hash::Hash, pin::pin, time::Duration};

use tokio::time::Instant;

use super::{
    delay::after,
    shared::{Inner, Lifecycle},
    work_queue::WorkQueue,
};

/// The queue ended before all accepted keys were done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the work queue ended with {discarded} keys discarded and {in_flight} still claimed")]
#[non_exhaustive]
pub struct Unfinished {
    /// Number of keys that were discarded: those queued, or to be queued again.
    pub discarded: usize,
    /// Number of keys whose claim had not ended.
    pub in_flight: usize,
}

// === impl WorkQueue ===

impl<K: Hash + Eq> WorkQueue<K> {
    /// Stops accepting keys. Does not wait.
    ///
    /// [`get`](Self::get) still returns the queued keys, and those that were added again while claimed; after that it
    /// returns `None`. Delayed keys, including retries, are dropped: their deadline may be far away, and the next start
    /// of the application lists every object again.
    pub fn shut_down(&self) {
        self.shared.update(|inner, _| {
            if inner.phase == Lifecycle::Open {
                inner.phase = Lifecycle::ShutDown;
                inner.delayed.clear();
            }
        });
    }

    /// [`shut_down`](Self::shut_down), and discards the queued keys too. Claims stay valid until they end. A running
    /// [`drain`](Self::drain) returns. Does not wait.
    pub fn shut_down_now(&self) {
        self.shared.update(|inner, _| {
            inner.force();
        });
    }

    /// [Shuts down](Self::shut_down) and waits until all accepted keys are done: those queued, those claimed, and those
    /// added again meanwhile. Workers must continue to call [`get`](Self::get).
    ///
    /// # Errors
    /// [`Unfinished`] if `within` passes first, or if [`shut_down_now`](Self::shut_down_now) is called. The queued keys
    /// are then discarded, and every `get` returns `None`. A later call returns at once, with the present `in_flight`.
    ///
    /// # Cancel safety
    /// Cancel-safe: a dropped call leaves the queue shut down, and discards nothing.
    ///
    /// # Panics
    /// If the runtime has no timer.
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
        // If the queue settled in time, this discards nothing.
        self.shared.update(|inner, _| match (inner.force(), inner.state.running()) {
            (0, 0) => Ok(()),
            (discarded, in_flight) => Err(Unfinished { discarded, in_flight }),
        })
    }
}

// === impl Inner ===

impl<K: Hash + Eq> Inner<K> {
    /// Enters the last phase, and returns the number of discarded keys.
    fn force(&mut self) -> usize {
        if let Lifecycle::Forced { discarded } = self.phase {
            return discarded;
        }
        self.delayed.clear();
        let discarded = self.state.discard();
        self.phase = Lifecycle::Forced { discarded };
        discarded
    }
}
