//! How long a task works before others have their turn.

use std::time::{Duration, Instant};

use tokio::task::yield_now;

/// Several of these may run out in one poll: what reads, what changes the store, and what frees. Together they stay
/// below a millisecond.
const LENGTH: Duration = Duration::from_micros(200);

/// A task's turn, by the clock: what an object costs is decided by its author and by the application's closures, so
/// a number of objects says nothing.
///
/// The clock is the system's and not tokio's, which stands still in tests and is not about work.
pub(crate) struct Turn {
    began: Instant,
}

impl Turn {
    /// Begins a turn.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// Whether others are to run before more work is done. Reads the clock, about 30 ns.
    pub(crate) fn is_over(&self) -> bool {
        self.began.elapsed() >= LENGTH
    }

    /// Lets other tasks run if the turn is over, and begins the next. Cancel-safe.
    pub(crate) async fn pass(&mut self) {
        if self.is_over() {
            yield_now().await;
            *self = Self::new();
        }
    }
}
