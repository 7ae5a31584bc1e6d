//! A key handed out.

use std::{fmt, hash::Hash, ops::Deref, sync::Arc};

use super::work_queue::WorkQueue;

/// The right to work on one key: derefs to it, and as long as it lives nobody else gets that key.
///
/// It ends when dropped, also by a panic or because the task was aborted; a key added meanwhile is then queued
/// again. Ending it says nothing of success: for a retry call
/// [`add_rate_limited`](WorkQueue::add_rate_limited) first, else [`forget`](WorkQueue::forget).
#[must_use = "dropping the lease ends it"]
pub struct Lease<K: Hash + Eq> {
    queue: WorkQueue<K>,
    key: Arc<K>,
}

// === impl Lease ===

impl<K: Hash + Eq> Lease<K> {
    pub(super) fn new(queue: WorkQueue<K>, key: Arc<K>) -> Self {
        Self { queue, key }
    }

    /// Ends the lease; the same as dropping it.
    pub fn done(self) {}

    pub(super) fn queue(&self) -> &WorkQueue<K> {
        &self.queue
    }

    pub(super) fn key(&self) -> &Arc<K> {
        &self.key
    }
}

impl<K: Hash + Eq> Deref for Lease<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.key
    }
}

impl<K: Hash + Eq> Drop for Lease<K> {
    fn drop(&mut self) {
        self.queue.shared.update(|inner, now| {
            if let Some(took) = inner.state.done(&self.key, now) {
                inner.recorder.worked(took);
            }
        });
    }
}

impl<K: Hash + Eq> fmt::Debug for Lease<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
