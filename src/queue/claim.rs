//! A key handed out.

use std::{fmt, hash::Hash, ops::Deref, sync::Arc};

use super::work_queue::WorkQueue;

/// The right to work on one key: derefs to it, and as long as it lives nobody else gets that key.
///
/// It ends when dropped, also by a panic or because the task was aborted; a key added meanwhile is then queued
/// again. Ending it says nothing of success: for a retry call
/// [`add_rate_limited`](WorkQueue::add_rate_limited) first, else [`forget`](WorkQueue::forget).
#[must_use = "dropping the claim ends it"]
pub struct Claim<K: Hash + Eq> {
    queue: WorkQueue<K>,
    key: Arc<K>,
}

// === impl Claim ===

impl<K: Hash + Eq> Claim<K> {
    pub(super) fn new(queue: WorkQueue<K>, key: Arc<K>) -> Self {
        Self { queue, key }
    }

    /// Ends the claim; the same as dropping it.
    pub fn done(self) {}

    pub(super) fn queue(&self) -> &WorkQueue<K> {
        &self.queue
    }

    pub(super) fn key(&self) -> &Arc<K> {
        &self.key
    }
}

impl<K: Hash + Eq> Deref for Claim<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.key
    }
}

impl<K: Hash + Eq> Drop for Claim<K> {
    fn drop(&mut self) {
        self.queue.shared.update(|inner, now| {
            if let Some(took) = inner.state.done(&self.key, now) {
                inner.recorder.worked(took);
            }
        });
    }
}

impl<K: Hash + Eq> fmt::Debug for Claim<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}
