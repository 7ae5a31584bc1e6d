//! The handle: adding keys, and looking at the queue.

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use super::{
    delay::after,
    options::Options,
    shared::{Phase, Shared},
    stats::Stats,
};

/// A queue of distinct keys for any number of producers and workers; see the [module](super) for its semantics.
///
/// A handle is a pointer: clones are cheap and speak of the same queue. Every call but [`get`](Self::get) and
/// [`drain`](Self::drain) is synchronous and holds one short lock; no task or callback runs under it, but the
/// keys' `Hash`, `Eq` and `Drop` do (as does `Clone` when a failure is counted), so these must neither panic
/// nor use the queue. An add allocates the key once and costs O(1), a delayed one O(log delayed keys).
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
/// let key = queue.get().await.unwrap(); // a claim: nobody else gets this key until it is dropped
/// assert_eq!(*key, "default/net1");
/// # task.await.unwrap();
/// # }
/// ```
pub struct WorkQueue<K> {
    pub(super) shared: Arc<Shared<K>>,
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
        Self { shared: Arc::new(Shared::new(&options)) }
    }

    /// Queues the key now, unless it already waits in the queue. If it is claimed, it is queued when the claim
    /// ends. Does nothing once the queue is shut down.
    pub fn add(&self, key: K) {
        self.add_shared(Arc::new(key));
    }

    /// Queues each key as [`add`](Self::add) does, under one lock: nobody sees a part of them. The iterator is
    /// collected first, so it may do as it likes.
    pub fn add_all(&self, keys: impl IntoIterator<Item = K>) {
        let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        if keys.is_empty() {
            return;
        }
        self.shared.update(|inner, now| keys.into_iter().for_each(|key| inner.add(key, now)));
    }

    /// Queues the key after the delay. If it is already delayed, the earlier deadline wins; a key that is
    /// queued or claimed meanwhile comes back at its deadline all the same. Nothing cancels a delayed add but
    /// the end of the queue: [shut down](Self::shut_down), it drops those it holds and accepts no more.
    ///
    /// The timer is that of the runtime [`get`](Self::get) runs in, with its millisecond granularity.
    pub fn add_after(&self, key: K, delay: Duration) {
        let key = Arc::new(key);
        self.shared.update(|inner, now| match delay {
            Duration::ZERO => inner.add(key, now),
            delay => inner.add_at(key, after(now, delay)),
        });
    }

    /// Ends the per-key delay's growth: the key's next failure counts as its first. Call it when the work on
    /// the key succeeded, or is given up; the counts of keys never forgotten stay in memory. A retry already
    /// scheduled stays. Does not touch the queue's lock.
    pub fn forget(&self, key: &K) {
        self.shared.backoff.forget(key);
    }

    /// How many failures [`add_rate_limited`](Self::add_rate_limited) counted since the key was last forgotten.
    #[must_use]
    pub fn retries(&self, key: &K) -> u32 {
        self.shared.backoff.failures(key)
    }

    /// How many keys could be handed out now: neither those claimed nor those delayed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.update(|inner, _| inner.state.ready())
    }

    /// Whether no key could be handed out now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the queue has stopped to accept keys.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shared.update(|inner, _| inner.phase != Phase::Open)
    }

    /// The queue's counters and times at this moment: one consistent sample. Copies under a kilobyte and looks
    /// at each claimed key; cheap enough for a scrape, not meant for each reconcile.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.update(|inner, now| inner.sample(now))
    }

    pub(super) fn add_shared(&self, key: Arc<K>) {
        self.shared.update(|inner, now| inner.add(key, now));
    }
}

impl<K: Hash + Eq + Clone> WorkQueue<K> {
    /// Queues the key again after a failure: counts the failure and waits for the longer of the key's
    /// exponential delay and the next token of the bucket shared by all keys (see [`Options`]).
    ///
    /// Adding one key again and again neither inflates its delay nor drains the bucket, as it does in
    /// client-go (controller-runtime issue 1594). A failure is counted once per claim, and without a claim only
    /// if the key was not waiting already. And a token is taken only if this add makes the key come earlier
    /// than it would have: one that is queued, to be queued after its claim, or delayed for no longer, keeps
    /// its place.
    pub fn add_rate_limited(&self, key: K) {
        let key = Arc::new(key);
        self.shared.update(|inner, now| {
            if inner.phase != Phase::Open {
                return;
            }
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
            if queued || pending.is_some_and(|pending| pending <= deadline) {
                return;
            }
            inner.bucket.take(now);
            if deadline <= now { inner.add(key, now) } else { inner.add_at(key, deadline) }
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
        f.debug_struct("WorkQueue").finish_non_exhaustive() // no keys: they may name what must not be logged
    }
}
