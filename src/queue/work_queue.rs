//! The handle of a queue.

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use super::{
    delay::after,
    options::Options,
    priority::Priority,
    shared::{Core, Lifecycle},
    stats::Stats,
};

/// A queue of distinct keys for any number of producers and workers; see the [module](super) for its semantics.
///
/// Cloning copies a pointer; all clones are the same queue. Every call but [`get`](Self::get) and
/// [`drain`](Self::drain) is synchronous and holds one short lock. `Hash`, `Eq` and `Drop` of the keys run under it
/// (and `Clone`, when a failure is counted), so these must not panic and must not use the queue. No other code of the
/// application runs under the lock. An add allocates once, for the key, and costs O(1); a delayed add costs O(log
/// delayed keys).
///
/// ```
/// use kube_informer::queue::WorkQueue;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let queue = WorkQueue::new();
/// let producer = queue.clone();
/// let task = tokio::spawn(async move { producer.add("default/net1".to_owned()) });
///
/// let key = queue.get().await.unwrap(); // a claim: no other `get` returns this key until it is dropped
/// assert_eq!(*key, "default/net1");
/// # task.await.unwrap();
/// # }
/// ```
pub struct WorkQueue<K> {
    pub(super) shared: Arc<Core<K>>,
}

// === impl WorkQueue ===

impl<K: Hash + Eq> WorkQueue<K> {
    /// An empty queue with the default limits of [`Options`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(Options::new())
    }

    /// An empty queue with these limits.
    #[must_use]
    pub fn with_options(options: Options) -> Self {
        Self { shared: Arc::new(Core::new(&options)) }
    }

    /// Queues the key, unless it is queued already. If it is claimed, it is queued when the claim ends. No effect once
    /// the queue is shut down. O(1).
    pub fn add(&self, key: K) {
        self.add_with_priority(key, Priority::Normal);
    }

    /// [`add`](Self::add) with this priority; `add` has [`Priority::Normal`]. A queued key keeps the higher one of its
    /// two priorities. O(1).
    pub fn add_with_priority(&self, key: K, priority: Priority) {
        let key = Arc::new(key);
        self.shared.update(|inner, now| inner.add(key, priority, now));
    }

    /// Queues each key as [`add`](Self::add) does, under one lock, so that they become visible together. The iterator
    /// is collected before the lock is taken. O(keys).
    pub fn add_all(&self, keys: impl IntoIterator<Item = K>) {
        self.add_all_with_priority(keys.into_iter().map(|key| (key, Priority::Normal)));
    }

    /// [`add_all`](Self::add_all) with a priority per key. O(keys).
    pub fn add_all_with_priority(&self, keys: impl IntoIterator<Item = (K, Priority)>) {
        let keys: Vec<_> = keys.into_iter().map(|(key, priority)| (Arc::new(key), priority)).collect();
        if keys.is_empty() {
            return;
        }
        self.shared
            .update(|inner, now| keys.into_iter().for_each(|(key, priority)| inner.add(key, priority, now)));
    }

    /// Queues the key after the delay. If it is delayed already, the earlier deadline wins. A key that is queued or
    /// claimed meanwhile is queued again at its deadline. Only [`shut_down`](Self::shut_down) cancels delayed adds.
    /// O(log delayed keys).
    ///
    /// The timer is that of the tokio runtime in which [`get`](Self::get) runs, with a granularity of a millisecond.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.add_after_with(Arc::new(key), delay, Priority::Normal);
    }

    /// Resets the failure count of the key, so that its next failure counts as the first. Call it after a success, or
    /// when the key is dropped for good; the count stays in memory otherwise. A scheduled retry stays. O(1), without
    /// the lock of the queue.
    pub fn forget(&self, key: &K) {
        self.shared.backoff.forget(key);
    }

    /// The number of failures of the key since [`forget`](Self::forget) (client-go's `NumRequeues`). O(1).
    #[must_use]
    pub fn retries(&self, key: &K) -> u32 {
        self.shared.backoff.failures(key)
    }

    /// The number of keys that are ready; claimed and delayed keys do not count. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.update(|inner, _| inner.state.ready())
    }

    /// Whether no key is ready. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the queue was shut down. O(1).
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shared.update(|inner, _| inner.phase != Lifecycle::Open)
    }

    /// Returns statistics, as one consistent sample. O(claimed keys); copies less than a kilobyte. Cheap enough for
    /// each scrape of metrics, not for each reconcile.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.update(|inner, now| inner.sample(now))
    }

    /// Queues a key again that is claimed, with the priority of the claim.
    pub(super) fn add_again(&self, key: Arc<K>) {
        self.shared.update(|inner, now| {
            let priority = inner.state.priority_of_run(&key).unwrap_or_default();
            inner.add(key, priority, now);
        });
    }

    pub(super) fn add_after_with(&self, key: Arc<K>, delay: Duration, priority: Priority) {
        self.shared.update(|inner, now| match delay {
            Duration::ZERO => inner.add(key, priority, now),
            delay => inner.add_at(key, after(now, delay), priority),
        });
    }
}

impl<K: Hash + Eq + Clone> WorkQueue<K> {
    /// Counts a failure and queues the key again with the priority of its claim, after the longer of its exponential delay and the next token of the
    /// bucket that all keys share (see [`Options`]).
    ///
    /// Repeated adds of one key neither increase its delay nor drain the bucket, as they do in client-go
    /// (controller-runtime issue 1594). A failure counts once per claim, and without a claim only if the key was not
    /// waiting already. A token is taken only if this add makes the key ready earlier: a key that is queued, will be
    /// queued after its claim, or has an earlier deadline keeps its place.
    pub fn add_rate_limited(&self, key: K) {
        let key = Arc::new(key);
        self.shared.update(|inner, now| {
            if inner.phase != Lifecycle::Open {
                return;
            }
            let priority = inner.state.priority_of_run(&key).unwrap_or_default();
            let queued = inner.state.is_dirty(&key);
            let pending = inner.delayed.deadline(&key);
            let counts = inner.state.fail_run(&key).unwrap_or(!queued && pending.is_none());
            let failures = if counts {
                inner.recorder.retried();
                self.shared.backoff.fail(&key)
            } else {
                self.shared.backoff.failures(&key).saturating_sub(1)
            };
            let deadline = after(now, self.shared.backoff.delay(failures)).max(inner.bucket.next(now));
            let earlier = queued || pending.is_some_and(|pending| pending <= deadline);
            if !earlier {
                inner.bucket.take(now);
            }
            // A key that comes earlier anyway keeps its place, and gets the higher priority.
            if queued || deadline <= now {
                inner.add(key, priority, now);
            } else {
                inner.add_at(key, deadline, priority);
            }
        });
    }
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Hash + Eq> Default for WorkQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for WorkQueue<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue").finish_non_exhaustive() // no keys: they may be confidential
    }
}
