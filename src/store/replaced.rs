//! When the revisions that a subscription may have reached were replaced, for statistics.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The revisions that were replaced, in order, each with the time.
///
/// The writer adds one, which costs a clock reading and a short lock. Each sweep of old versions removes those that no
/// reader has, so what stays is proportional to the versions in memory.
#[derive(Default)]
pub(crate) struct Replaced(Mutex<VecDeque<(u64, Instant)>>);

// === impl Replaced ===

impl Replaced {
    /// This revision is no longer the newest.
    pub(super) fn push(&self, revision: u64) {
        self.lock().push_back((revision, Instant::now()));
    }

    /// The last revision that was replaced.
    pub(super) fn last(&self) -> Option<u64> {
        self.lock().back().map(|(revision, _)| *revision)
    }

    /// Removes what is not in `held`, a sorted list made after `last` was asked. The first view stays with the store, and
    /// so does its time.
    pub(super) fn retain(&self, held: &[u64], last: Option<u64>) {
        self.lock().retain(|(revision, _)| {
            *revision == 0 || Some(*revision) > last || held.binary_search(revision).is_ok()
        });
    }

    /// Since when there is a newer revision than this one, which a reader has. O(log n).
    pub(crate) fn since(&self, revision: u64) -> Option<Instant> {
        let replaced = self.lock();
        replaced.get(replaced.partition_point(|(other, _)| *other < revision)).map(|(_, at)| *at)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_held_keeps_its_time_and_the_rest_is_removed() {
        let (replaced, begin) = (Replaced::default(), Instant::now());
        for revision in 0..10 {
            replaced.push(revision);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let at = |revision| replaced.since(revision).map(|at| (at - begin).as_secs());
        assert_eq!((at(0), at(3), at(9), at(10)), (Some(0), Some(3), Some(9), None));
        let last = replaced.last();
        replaced.push(10);
        replaced.retain(&[3, 7], last);
        assert_eq!(replaced.lock().len(), 4);
        assert_eq!((at(0), at(3), at(7), at(10), at(11)), (Some(0), Some(3), Some(7), Some(10), None));
    }
}
