//! How far the subscriptions of an informer are, for those who ask; nobody else keeps count of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// So many are looked through before the dead ones among them are worth looking for.
const FIRST_SWEEP: usize = 16;

/// Where every subscription of one informer stands.
///
/// The lock is for subscribing and for asking. Neither the writer nor a reader of snapshots knows of it, and a
/// subscription that moves on stores a number of its own. A dropped one leaves a dead pointer, found at the next
/// look or when there are twice as many as at the last, so they cost no more than those that live.
pub(crate) struct Positions(Mutex<Known>);

struct Known {
    positions: Vec<Weak<AtomicU64>>,
    sweep_at: usize,
}

/// The revision up to which one subscription was given all there is.
pub(crate) struct Position(Arc<AtomicU64>);

// === impl Positions ===

impl Positions {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Known { positions: Vec::new(), sweep_at: FIRST_SWEEP }))
    }

    pub(crate) fn enter(&self, revision: u64) -> Position {
        let position = Arc::new(AtomicU64::new(revision));
        let mut known = self.lock();
        if known.positions.len() >= known.sweep_at {
            known.positions.retain(|position| position.strong_count() > 0);
            known.sweep_at = FIRST_SWEEP.max(2 * known.positions.len());
        }
        known.positions.push(Arc::downgrade(&position));
        Position(position)
    }

    /// How many there are, and the least of them. O(n).
    pub(crate) fn look(&self) -> (usize, Option<u64>) {
        let mut least: Option<u64> = None;
        let mut known = self.lock();
        known.positions.retain(|position| {
            let Some(position) = position.upgrade() else { return false };
            let revision = position.load(Relaxed);
            least = Some(least.map_or(revision, |least| least.min(revision)));
            true
        });
        (known.positions.len(), least)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Position ===

impl Position {
    /// Only told to those who look: nothing is ordered by it.
    pub(crate) fn reach(&self, revision: u64) {
        self.0.store(revision, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_is_found_and_the_dead_are_forgotten() {
        let positions = Positions::new();
        assert_eq!(positions.look(), (0, None));
        let (slow, fast) = (positions.enter(3), positions.enter(7));
        assert_eq!(positions.look(), (2, Some(3)));
        slow.reach(9);
        assert_eq!(positions.look(), (2, Some(7)));
        drop(fast);
        assert_eq!(positions.look(), (1, Some(9)));
    }

    #[test]
    fn subscribing_again_and_again_grows_nothing() {
        let positions = Positions::new();
        let kept: Vec<_> = (0..20).map(|at| positions.enter(at)).collect();
        for at in 0..10_000 {
            drop(positions.enter(at));
        }
        assert!(positions.lock().positions.len() <= 2 * kept.len());
        assert_eq!(positions.look(), (20, Some(0)));
    }
}
