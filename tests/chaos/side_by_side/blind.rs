//! When nothing got through to any consumer, so that no consumer could see a write.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Stalls, refusals and times without a server, in the order in which they began.
#[derive(Clone, Default)]
pub(crate) struct Blinds(Arc<Mutex<Vec<Blind>>>);

struct Blind {
    from: Instant,
    to: Option<Instant>,
}

/// Most that are looked at for one write: they cover minutes.
const LAST: usize = 100;

// === impl Blinds ===

impl Blinds {
    /// Begins one; its number ends it.
    pub(crate) fn begin(&self) -> usize {
        let mut blinds = self.lock();
        blinds.push(Blind { from: Instant::now(), to: None });
        blinds.len() - 1
    }

    pub(crate) fn end(&self, number: usize) {
        if let Some(blind) = self.lock().get_mut(number) {
            blind.to = Some(Instant::now());
        }
    }

    /// How much of that time a consumer could see something.
    pub(crate) fn open(&self, from: Instant, to: Instant) -> Duration {
        let blinds = self.lock();
        let (mut open, mut at) = (Duration::ZERO, from);
        for blind in &blinds[blinds.len().saturating_sub(LAST)..] {
            if blind.from > to {
                break;
            }
            open += blind.from.saturating_duration_since(at);
            at = at.max(blind.to.unwrap_or(to));
        }
        open + to.saturating_duration_since(at)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Blind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
