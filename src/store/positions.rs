//! The positions of the subscriptions of an informer, for its statistics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::Instant;

/// The number of positions at which dead ones are removed for the first time.
const FIRST_SWEEP: usize = 16;

/// The positions of all subscriptions of one informer.
///
/// Only subscribing and statistics take the lock; the writer and readers of snapshots do not. A subscription
/// that advances stores its own number. A dropped subscription leaves a dead pointer, removed when statistics
/// are read next, or when there are twice as many positions as after the last removal. So memory is
/// proportional to the number of live subscriptions.
pub(crate) struct Positions(Mutex<Known>);

struct Known {
    positions: Vec<Weak<Reached>>,
    sweep_at: usize,
}

/// The revision up to which one subscription has received all changes.
pub(crate) struct Position(Arc<Reached>);

struct Reached {
    revision: AtomicU64,
    /// When the subscription began.
    begun: Instant,
}

// === impl Positions ===

impl Positions {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Known { positions: Vec::new(), sweep_at: FIRST_SWEEP }))
    }

    pub(crate) fn enter(&self, revision: u64) -> Position {
        let position = Arc::new(Reached { revision: AtomicU64::new(revision), begun: Instant::now() });
        let mut known = self.lock();
        if known.positions.len() >= known.sweep_at {
            known.positions.retain(|position| position.strong_count() > 0);
            known.sweep_at = FIRST_SWEEP.max(2 * known.positions.len());
        }
        known.positions.push(Arc::downgrade(&position));
        Position(position)
    }

    /// The number of subscriptions. Each is shown to `visit`, with its position and the time it began. O(n).
    pub(crate) fn look(&self, mut visit: impl FnMut(u64, Instant)) -> usize {
        let mut known = self.lock();
        known.positions.retain(|position| {
            let Some(position) = position.upgrade() else { return false };
            visit(position.revision.load(Relaxed), position.begun);
            true
        });
        known.positions.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Position ===

impl Position {
    /// Relaxed: only statistics read it, and no other memory access depends on its order.
    pub(crate) fn reach(&self, revision: u64) {
        self.0.revision.store(revision, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of subscriptions, and the lowest position.
    fn look(positions: &Positions) -> (usize, Option<u64>) {
        let mut revisions = Vec::new();
        let count = positions.look(|revision, _| revisions.push(revision));
        (count, revisions.into_iter().min())
    }

    #[test]
    fn the_slowest_is_found_and_the_dead_are_forgotten() {
        let positions = Positions::new();
        assert_eq!(look(&positions), (0, None));
        let (slow, fast) = (positions.enter(3), positions.enter(7));
        assert_eq!(look(&positions), (2, Some(3)));
        slow.reach(9);
        assert_eq!(look(&positions), (2, Some(7)));
        drop(fast);
        assert_eq!(look(&positions), (1, Some(9)));
    }

    #[test]
    fn subscribing_again_and_again_grows_nothing() {
        let positions = Positions::new();
        let kept: Vec<_> = (0..20).map(|at| positions.enter(at)).collect();
        for at in 0..10_000 {
            drop(positions.enter(at));
        }
        assert!(positions.lock().positions.len() <= 2 * kept.len());
        assert_eq!(look(&positions), (20, Some(0)));
    }
}
