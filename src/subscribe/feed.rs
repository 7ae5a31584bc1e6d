//! From changes to keys: fills a work queue from a subscription.

use std::hash::Hash;

use super::{Change, End, Subscription};
use crate::queue::WorkQueue;
use crate::snapshot::Snapshot;

/// How many changes are turned into keys before other tasks get their turn.
pub(super) const CHUNK: usize = 512;

impl<T: Send + Sync + 'static> Subscription<T> {
    /// Adds to `queue` the keys that `keys` names for each change, until the informer stops, and answers why it
    /// did; or until something changes after the queue was shut down, and answers `None`. The first batch names
    /// all that exists.
    ///
    /// `keys` is given the change and the snapshot that contains it. It names any number of keys of whatever
    /// must be looked at again: the object's own, or those of others found in a snapshot.
    ///
    /// Run it as a task of yours, and end that with the queue: cancelled in the middle of a batch, the rest of
    /// that batch is not added.
    ///
    /// ```
    /// use kube_informer::{Informer, ObjectKey, queue::WorkQueue};
    /// use k8s_openapi::api::core::v1::ConfigMap;
    ///
    /// async fn enqueue(maps: Informer<ConfigMap>, queue: WorkQueue<ObjectKey>) {
    ///     maps.subscribe().feed(queue, |change, _| [change.key().to_owned()]).await;
    /// }
    /// ```
    pub async fn feed<K, I>(
        mut self,
        queue: WorkQueue<K>,
        mut keys: impl FnMut(Change<'_, T>, &Snapshot<T>) -> I,
    ) -> Option<End>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        I: IntoIterator<Item = K>,
    {
        while let Some(batch) = self.next().await {
            if queue.is_shut_down() {
                return None;
            }
            let mut changes = batch.changes();
            loop {
                let mut looked_at = 0;
                let chunk = changes.by_ref().take(CHUNK).inspect(|_| looked_at += 1);
                queue.add_all(chunk.flat_map(|change| keys(change, batch.snapshot())).collect::<Vec<_>>());
                if looked_at < CHUNK {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        self.end()
    }
}
