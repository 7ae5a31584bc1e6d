//! A cached snapshot for one task.

use std::fmt;

use super::Informer;
use crate::snapshot::Snapshot;

/// Keeps the newest snapshot at hand for a loop that reads often. See [`Informer::reader`].
///
/// Looking for a newer version costs one atomic load; only a change costs more. It is never behind a snapshot that
/// its task has seen, whichever way that came to it. An idle reader keeps one old version in memory. It keeps the
/// informer running; clone it for each task.
pub struct Reader<T> {
    informer: Informer<T>,
    seen: u64,
    snapshot: Snapshot<T>,
}

impl<T: Send + Sync + 'static> Reader<T> {
    pub(crate) fn new(informer: Informer<T>) -> Self {
        let (seen, newest) = informer.shared().newest_counted();
        Self { snapshot: Snapshot(newest), informer, seen }
    }

    /// The newest snapshot. O(1), lock-free; one atomic load when there is nothing new.
    #[inline]
    pub fn snapshot(&mut self) -> &Snapshot<T> {
        if let Some(newer) = self.informer.shared().newer(&mut self.seen) {
            self.snapshot = Snapshot(newer);
        }
        &self.snapshot
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { informer: self.informer.clone(), seen: self.seen, snapshot: self.snapshot.clone() }
    }
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("snapshot", &self.snapshot).finish()
    }
}
