//! When nothing got through to any consumer, so that no consumer could see a write.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Stalls and refusals, one after the other.
#[derive(Clone, Default)]
pub(crate) struct Blinds(Arc<Mutex<Vec<Blind>>>);

struct Blind {
    from: Instant,
    to: Option<Instant>,
}

// === impl Blinds ===

impl Blinds {
    pub(crate) fn begin(&self) {
        self.lock().push(Blind { from: Instant::now(), to: None });
    }

    pub(crate) fn end(&self) {
        if let Some(last) = self.lock().last_mut() {
            last.to = Some(Instant::now());
        }
    }

    /// From when on a write could be seen, at most that it was seen.
    pub(crate) fn over(&self, written: Instant, seen: Instant) -> Instant {
        let blinds = self.lock();
        let blind = blinds.iter().rev().find(|blind| blind.from <= written);
        let over = blind.map_or(written, |blind| blind.to.unwrap_or(seen));
        over.clamp(written, seen.max(written))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Blind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
