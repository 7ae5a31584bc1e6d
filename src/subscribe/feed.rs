//! Fills a work queue with the keys of a subscription's changes.

use std::hash::Hash;

use super::{Change, Subscription};
use crate::queue::WorkQueue;
use crate::snapshot::Snapshot;
use crate::store::End;

/// How many changes are turned into keys before the task yields.
pub(super) const CHUNK: usize = 512;

impl<T: Send + Sync + 'static> Subscription<T> {
    /// Adds the keys that `keys` returns for each change to `queue`. Runs until the informer stops (returns why) or the
    /// queue is shut down (returns `None`, at the first change after that). The first batch has all objects.
    ///
    /// `keys` receives the change and the snapshot that contains it. It returns any number of keys to reconcile: that
    /// of the object, or those of related objects, as controller-runtime's `EnqueueRequestsFromMapFunc` does.
    ///
    /// Run it in a task, and end that task with the queue. Not cancel-safe: if it is dropped in the middle of a batch,
    /// the rest of that batch is not added.
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
