//! Streams of changes: level-triggered and coalesced. They lose no delete and never delay the store.
//!
//! ```text
//!   cursor: last delivered snapshot --+
//!                                     +-- difference of two versions --> Batch { changes, snapshot }
//!   newest published snapshot --------+
//! ```
//!
//! A subscription is a cursor: the last snapshot that its consumer received. The next batch is the difference between
//! that snapshot and the newest one, computed in O(changes). So nothing queues up for a slow consumer, and no delete is
//! lost. An object that was created and deleted between two batches is not reported.

mod batch;
mod feed;
mod merge;
mod selection;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

pub use self::batch::{Batch, Change, Changes};
pub(crate) use self::feed::Chunks;
use self::selection::{ByKey, Selection};
use crate::index::Index;
use crate::informer::Informer;
use crate::object::Obj;
use crate::snapshot::Snapshot;
use crate::store::{End, Position, Wake};

/// A stream of the changes of an informer. See [`Informer::subscribe`].
///
/// - The first batch has all objects, and is delivered once the informer has synced, even if it is empty.
/// - Each further batch has the changes since the previous one, coalesced per object, and the snapshot that contains
///   them. Applied to the previous snapshot, the changes give exactly that snapshot.
/// - A `Deleted` carries the value that this subscription delivered last, also when a relist revealed the delete.
///   Versions that were not delivered are skipped.
/// - Batches that would be empty (because of [`in_namespace`](Self::in_namespace),
///   [`in_index`](Self::in_index) or [`filter_changes`](Self::filter_changes)) are skipped, except the first one.
///
/// A slow or stuck consumer delays neither the informer nor other consumers. It keeps the old versions of the objects
/// that changed since its last batch in memory. A subscription keeps the informer running.
pub struct Subscription<T> {
    informer: Informer<T>,
    cursor: Snapshot<T>,
    /// The position that the statistics read.
    position: Position,
    begun: bool,
    selection: Selection<T>,
    predicate: Option<Predicate<T>>,
    wake: Wake,
}

/// Selects changes by the value before and the value after.
type Predicate<T> = Arc<dyn Fn(Option<&Obj<T>>, Option<&Obj<T>>) -> bool + Send + Sync>;

impl<T: Send + Sync + 'static> Informer<T> {
    /// Returns a stream of changes. The first batch has all objects, each as `Added`. Allocates once.
    pub fn subscribe(&self) -> Subscription<T> {
        Subscription::new(self.clone())
    }

    /// Returns a stream of changes that resumes from a snapshot of this informer: the first batch has everything that
    /// changed since.
    ///
    /// From a snapshot that was not synced, the first batch has all objects. Allocates once.
    ///
    /// # Panics
    ///
    /// If the snapshot belongs to another informer.
    #[track_caller]
    pub fn subscribe_from(&self, snapshot: &Snapshot<T>) -> Subscription<T> {
        assert_eq!(snapshot.store, self.snapshot().store, "the snapshot belongs to another informer");
        Subscription::from(self.clone(), snapshot.clone())
    }
}

impl<T: Send + Sync + 'static> Subscription<T> {
    pub(crate) fn new(informer: Informer<T>) -> Self {
        let nothing = informer.shared().empty();
        Self::from(informer, nothing)
    }

    /// Resumes from a snapshot of the same informer.
    pub(crate) fn from(informer: Informer<T>, cursor: Snapshot<T>) -> Self {
        let shared = informer.shared();
        let begun = cursor.is_synced();
        // Before that, some parts of the scope may be complete; their objects belong to the first batch, too.
        let cursor = if begun { cursor } else { shared.empty() };
        // Before its first batch, the subscription lags behind the newest version, but not behind earlier
        // ones.
        let revision = if begun { cursor.revision() } else { shared.load().revision().saturating_sub(1) };
        Self {
            position: shared.positions().enter(revision),
            begun,
            cursor,
            selection: Selection::Everything,
            predicate: None,
            wake: shared.changes(),
            informer,
        }
    }

    /// Restricts the subscription to one namespace.
    ///
    /// Call it before the first batch: changing it later does not report the objects that enter or leave. Replaces an
    /// earlier `in_namespace` or `in_index`.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.selection = Selection::Namespace(namespace.into());
        self
    }

    /// Restricts the subscription to the objects under one index key.
    ///
    /// An object that gets the key is `Added`; one that loses it is `Deleted`, with the value delivered last. Call it
    /// before the first batch, as [`in_namespace`](Self::in_namespace). A batch costs
    /// O(changes of the informer), and not more than O(objects under the key).
    ///
    /// # Panics
    ///
    /// If the index belongs to another informer, or was added after the snapshot that this subscription resumes from.
    #[must_use]
    #[track_caller]
    pub fn in_index<K>(mut self, index: &Index<T, K>, key: K) -> Self
    where
        K: Hash + Eq + Send + Sync + 'static,
    {
        // An old snapshot does not have an index that was added later.
        if self.begun {
            self.cursor.by_index(index, &key)
        } else {
            self.informer.snapshot().by_index(index, &key)
        };
        self.selection = Selection::Key(Arc::new(ByKey { index: *index, key }));
        self
    }

    /// Drops changes for which `wanted(before, after)` is false.
    ///
    /// `before` is `None` for a new object, `after` for a deleted one. The closure runs in the consumer's task, each
    /// time [`Batch::changes`] is iterated.
    ///
    /// Unlike [`in_index`](Self::in_index), a filter keeps no state: a dropped change is lost. Replaces an earlier
    /// filter. (`StreamExt::filter` drops whole batches.)
    ///
    /// ```
    /// use futures_util::StreamExt as _;
    /// use k8s_openapi::api::core::v1::ConfigMap;
    /// use kube_informer::{Informer, Obj};
    ///
    /// async fn follow(maps: Informer<ConfigMap>) {
    ///     let data = |map: Option<&Obj<ConfigMap>>| map.map(|map| map.data.clone());
    ///     let changes = maps.subscribe().filter_changes(move |before, after| data(before) != data(after));
    ///     changes.for_each(async |batch| println!("{} changes of data", batch.changes().count())).await;
    /// }
    /// ```
    #[must_use]
    pub fn filter_changes<F>(mut self, wanted: F) -> Self
    where
        F: Fn(Option<&Obj<T>>, Option<&Obj<T>>) -> bool + Send + Sync + 'static,
    {
        self.predicate = Some(Arc::new(wanted));
        self
    }

    /// Waits for the next batch. Returns `None` once the informer has stopped and everything was delivered.
    ///
    /// Cancel-safe: if the call is dropped, a later call returns the batch.
    pub async fn next(&mut self) -> Option<Batch<T>> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    /// The reason why [`next`](Self::next) returned `None`. `None` while the informer runs.
    pub fn end(&self) -> Option<End> {
        self.wake.has_ended().then(|| self.informer.shared().end()).flatten()
    }

    /// The snapshot of the last delivered batch; an empty one before the first. O(1).
    pub fn position(&self) -> &Snapshot<T> {
        &self.cursor
    }

    /// Advances to the newest snapshot as soon as there is something to deliver.
    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<Batch<T>>> {
        let Self { informer, cursor, position, begun, selection, predicate, wake } = self;
        wake.poll_found(context, || {
            let newest = {
                let newest = informer.shared().load();
                let is_news = newest.is_synced() && !(*begun && newest.revision() == cursor.revision());
                is_news.then(|| Snapshot(Arc::clone(&newest)))?
            };
            position.reach(newest.revision());
            let old = std::mem::replace(cursor, newest.clone());
            let initial = !std::mem::replace(begun, true);
            let batch = Batch::new(old, newest, initial, selection.clone(), predicate.clone());
            (initial || batch.changes().next().is_some()).then_some(batch)
        })
    }
}

impl<T: Send + Sync + 'static> Stream for Subscription<T> {
    type Item = Batch<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Batch<T>>> {
        self.poll_batch(context)
    }
}

impl<T> Unpin for Subscription<T> {}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("delivered", &self.cursor)
            .field("ended", &self.wake.has_ended())
            .finish()
    }
}

/// The changes between two versions of one store.
#[cfg(test)]
pub(crate) fn differences<'a, T>(
    old: &'a Snapshot<T>,
    new: &'a Snapshot<T>,
) -> impl Iterator<Item = Change<'a, T>> {
    new.differences(old).filter_map(|(old, new)| Change::between(old, new))
}
