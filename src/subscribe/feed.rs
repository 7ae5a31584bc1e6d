//! Turns the changes of a subscription into keys: into a work queue, or as a stream.

use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::future::BoxFuture;

use super::{Batch, Change, Subscription};
use crate::object::Obj;
use crate::queue::{Priority, WorkQueue};
use crate::snapshot::Snapshot;
use crate::store::End;

/// How many changes are turned into keys before the task yields.
pub(super) const CHUNK: usize = 512;

impl<T: Send + Sync + 'static> Subscription<T> {
    /// Adds to `queue` the keys that `keys` emits for each change. The first batch has all objects.
    ///
    /// When the informer has stopped, this returns the reason; when the queue was shut down, it returns `None` at the
    /// next change.
    ///
    /// `keys` receives the change, the snapshot that contains it, and a function that emits a key. It emits any number
    /// of keys to reconcile: that of the object, or those of related objects, as controller-runtime's
    /// `EnqueueRequestsFromMapFunc` does. Nothing is allocated per change.
    ///
    /// Keys of the first batch, and of objects whose content changed at an unchanged version (see
    /// [`Informer::refresh`](crate::Informer::refresh)), have [`Priority::Low`]; all others have [`Priority::Normal`].
    ///
    /// Run it in a task, and end that task with the queue. Not cancel-safe: if it is dropped in the middle of a batch,
    /// the rest of that batch is not added.
    ///
    /// ```
    /// use kube_informer::{Informer, ObjectKey, queue::WorkQueue};
    /// use k8s_openapi::api::core::v1::ConfigMap;
    ///
    /// async fn enqueue(maps: Informer<ConfigMap>, queue: WorkQueue<ObjectKey>) {
    ///     maps.subscribe().feed(queue, |change, _, emit| emit(change.key().to_owned())).await;
    /// }
    /// ```
    pub async fn feed<K>(
        mut self,
        queue: WorkQueue<K>,
        mut keys: impl FnMut(Change<'_, T>, &Snapshot<T>, &mut dyn FnMut(K)),
    ) -> Option<End>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let mut emitted = Vec::new();
        while let Some(batch) = self.next().await {
            if queue.is_shut_down() {
                return None;
            }
            let mut chunks = Chunks::new(&batch);
            while chunks.next(|change, priority| {
                keys(change, batch.snapshot(), &mut |key| emitted.push((key, priority)));
            }) {
                queue.add_all_with_priority(emitted.drain(..));
                tokio::task::yield_now().await;
            }
            queue.add_all_with_priority(emitted.drain(..));
        }
        self.end()
    }

    /// Returns a stream of the keys that `keys` emits for each change, for a queue of your own. It ends when the
    /// informer stops. [`feed`](Self::feed) describes `keys`.
    ///
    /// A key is returned once per change that emits it. Cancel-safe: a `next` that is dropped loses no key.
    ///
    /// ```
    /// # use futures_util::StreamExt;
    /// use kube_informer::{Informer, Obj};
    /// use k8s_openapi::api::core::v1::Pod;
    ///
    /// async fn print_nodes(pods: Informer<Pod>) {
    ///     let mut nodes = pods.subscribe().keys(|change, _, emit| {
    ///         for pod in [change.old(), change.new()].into_iter().flatten() {
    ///             pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).into_iter().for_each(&mut *emit);
    ///         }
    ///     });
    ///     while let Some(node) = nodes.next().await {
    ///         println!("a pod of {node} changed");
    ///     }
    /// }
    /// ```
    pub fn keys<K>(
        mut self,
        mut keys: impl FnMut(Change<'_, T>, &Snapshot<T>, &mut dyn FnMut(K)) + Send + 'static,
    ) -> impl Stream<Item = K> + Send + Unpin + 'static
    where
        K: Send + 'static,
    {
        let emitted = Arc::new(Mutex::new(Vec::new()));
        let sink = emitted.clone();
        let producer = async move {
            while let Some(batch) = self.next().await {
                let mut chunks = Chunks::new(&batch);
                let mut more = true;
                while more {
                    let mut chunk = Vec::new();
                    more = chunks.next(|change, _| {
                        keys(change, batch.snapshot(), &mut |key| chunk.push(key));
                    });
                    sink.lock().unwrap_or_else(PoisonError::into_inner).append(&mut chunk);
                    tokio::task::yield_now().await;
                }
            }
        };
        Keys { producer: Some(Box::pin(producer)), emitted, ready: Vec::new().into_iter() }
    }
}

/// The changes of a batch in pieces, so that the caller can yield in between.
pub(crate) struct Chunks<'a, T> {
    changes: super::Changes<'a, T>,
    initial: bool,
}

/// See [`Subscription::keys`].
struct Keys<K> {
    /// Puts keys into `emitted`, and yields after each chunk.
    producer: Option<BoxFuture<'static, ()>>,
    emitted: Arc<Mutex<Vec<K>>>,
    ready: std::vec::IntoIter<K>,
}

// === impl Chunks ===

impl<'a, T> Chunks<'a, T> {
    pub(crate) fn new(batch: &'a Batch<T>) -> Self {
        Self { changes: batch.changes(), initial: batch.is_initial() }
    }

    /// Calls `each` for the next changes; false if these were the last.
    pub(crate) fn next(&mut self, mut each: impl FnMut(Change<'a, T>, Priority)) -> bool {
        let mut seen = 0;
        for change in self.changes.by_ref().take(CHUNK) {
            seen += 1;
            let low = self.initial || is_refreshed(&change);
            each(change, if low { Priority::Low } else { Priority::Normal });
        }
        seen == CHUNK
    }
}

/// Whether the content changed and the version did not, which only a refresh finds.
pub(super) fn is_refreshed<T>(change: &Change<'_, T>) -> bool {
    match change {
        Change::Modified { old, new } => Obj::resource_version(old) == Obj::resource_version(new),
        _ => false,
    }
}

// === impl Keys ===

impl<K: Send + 'static> Stream for Keys<K> {
    type Item = K;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<K>> {
        loop {
            if let Some(key) = self.ready.next() {
                return Poll::Ready(Some(key));
            }
            let polled = match &mut self.producer {
                Some(producer) => producer.as_mut().poll(context),
                None => return Poll::Ready(None),
            };
            let emitted = std::mem::take(&mut *self.emitted.lock().unwrap_or_else(PoisonError::into_inner));
            let nothing = emitted.is_empty();
            self.ready = emitted.into_iter();
            match polled {
                Poll::Ready(()) => self.producer = None,
                Poll::Pending if nothing => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}

impl<K> Unpin for Keys<K> {}
