//! How long a task works before it lets other tasks run.

use std::time::{Duration, Instant};

use tokio::task::yield_now;

/// The length of a turn. One poll may use several turns (reading, changing the store, freeing), which
/// together stay below a millisecond.
const LENGTH: Duration = Duration::from_micros(200);

/// A task's turn, measured in time: the cost of one object depends on its size and on the application's
/// closures, so a count of objects would be no limit.
///
/// It uses the system clock and not tokio's, which is paused in tests.
pub(crate) struct Turn {
    began: Instant,
}

impl Turn {
    /// Begins a turn.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// Whether other tasks should run before more work is done. Reads the clock, about 30 ns.
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
