//! A claimed key.

use std::{fmt, hash::Hash, ops::Deref, sync::Arc};

use super::{priority::Priority, work_queue::WorkQueue};

/// The exclusive right to work on one key. It dereferences to the key; no other [`get`](WorkQueue::get) returns the key
/// until the claim ends.
///
/// It ends when it is dropped, also by a panic or an aborted task (client-go's `Done`). If the key was added meanwhile,
/// it is then queued again. The end does not mean success: before it, call
/// [`add_rate_limited`](WorkQueue::add_rate_limited) to retry, or [`forget`](WorkQueue::forget) after a success.
#[must_use = "dropping the claim ends it"]
pub struct Claim<K: Hash + Eq> {
    queue: WorkQueue<K>,
    key: Arc<K>,
    priority: Priority,
}

// === impl Claim ===

impl<K: Hash + Eq> Claim<K> {
    pub(super) fn new(queue: WorkQueue<K>, key: Arc<K>, priority: Priority) -> Self {
        Self { queue, key, priority }
    }

    /// The priority with which the key was returned. O(1).
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Ends the claim, as dropping it does. O(1), one short lock.
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
