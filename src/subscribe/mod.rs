//! Streams of changes: level-triggered, coalesced, never losing a delete, and never holding up the store.
//!
//! ```text
//!   cursor: last delivered snapshot --+
//!                                     +-- difference of two versions --> Batch { changes, snapshot }
//!   newest published snapshot --------+
//! ```
//!
//! A subscription is where its consumer stands: the last snapshot it was given. Its next batch is the
//! difference between that and the newest one, found in time proportional to the changes, so however slow the
//! consumer is, nothing queues up for it and no delete is lost; what came and went meanwhile is silent.

mod batch;
mod feed;
mod positions;
mod scope;
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
pub(crate) use self::positions::{Position, Positions};
use self::scope::{ByKey, Scope};
use crate::index::Index;
use crate::informer::Informer;
use crate::object::Obj;
use crate::snapshot::Snapshot;
use crate::store::Wake;

/// A stream of the changes of an informer. See [`Informer::subscribe`].
///
/// - The first batch holds all that exists, once the informer has synced; it comes also when that is nothing.
/// - Each further batch holds what changed since the one before, coalesced per object, and comes with the
///   snapshot that contains it. Applied to the state before, it gives exactly that snapshot.
/// - A `Deleted` carries the value that this subscription delivered last, also when a relist found the object gone.
///   Versions in between, which it did not deliver, are not seen.
/// - Batches that would be empty (because of [`in_namespace`](Self::in_namespace),
///   [`in_index`](Self::in_index) or [`filter`](Self::filter)) are skipped, the first one excepted.
///
/// A slow, stuck or forgotten consumer delays nobody; it keeps in memory the old versions of what changed since
/// its last batch. A subscription keeps the informer running.
pub struct Subscription<T> {
    informer: Informer<T>,
    cursor: Snapshot<T>,
    /// What the stats know of the cursor.
    position: Position,
    begun: bool,
    scope: Scope<T>,
    predicate: Option<Predicate<T>>,
    wake: Wake,
}

/// Which changes a consumer cares about, by the value before and the value after.
type Predicate<T> = Arc<dyn Fn(Option<&Obj<T>>, Option<&Obj<T>>) -> bool + Send + Sync>;

/// Why a subscription, or a wait, has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// The informer was shut down.
    Stopped,
    /// The informer's task panicked: the application's stream did ([`Informer::from_stream`]), or the task that polled
    /// the driver of [`Builder::build`](crate::builder::Builder::build); anything else is a bug in this crate.
    Failed,
}

impl<T: Send + Sync + 'static> Subscription<T> {
    pub(crate) fn new(informer: Informer<T>) -> Self {
        let nothing = informer.shared().empty();
        Self::from(informer, nothing)
    }

    /// Goes on from a snapshot of the same informer.
    pub(crate) fn from(informer: Informer<T>, cursor: Snapshot<T>) -> Self {
        let shared = informer.shared();
        let begun = cursor.is_synced();
        // Without its first batch, it is behind the newest version, but not behind those from before its time.
        let revision = if begun { cursor.revision() } else { shared.load().revision().saturating_sub(1) };
        Self {
            position: shared.positions().enter(revision),
            begun,
            cursor,
            scope: Scope::Everything,
            predicate: None,
            wake: shared.changes(),
            informer,
        }
    }

    /// Only objects of one namespace. Call it before the first batch: a membership change of scope is not a
    /// change of the objects.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.scope = Scope::Namespace(namespace.into());
        self
    }

    /// Only objects under one index key. An object that comes to have the key is `Added`, one that no longer
    /// has it is `Deleted` (with the value delivered last). O(1) per batch when that list did not change.
    ///
    /// # Panics
    ///
    /// When the index is another informer's, or was added after the snapshot this subscription goes on from.
    #[must_use]
    #[track_caller]
    pub fn in_index<K>(mut self, index: &Index<T, K>, key: K) -> Self
    where
        K: Hash + Eq + Send + Sync + 'static,
    {
        // What an index that came later had in it before cannot be told.
        if self.begun {
            self.cursor.by_index(index, &key)
        } else {
            self.informer.snapshot().by_index(index, &key)
        };
        self.scope = Scope::Key(Arc::new(ByKey { index: *index, key }));
        self
    }

    /// Drops changes for which `wanted(before, after)` is false; one side is `None` where the object was not
    /// there. It runs in the consumer's task, each time [`Batch::changes`] is walked.
    ///
    /// Unlike a scope this is no view of its own: what is dropped is not delivered later.
    #[must_use]
    pub fn filter<F>(mut self, wanted: F) -> Self
    where
        F: Fn(Option<&Obj<T>>, Option<&Obj<T>>) -> bool + Send + Sync + 'static,
    {
        self.predicate = Some(Arc::new(wanted));
        self
    }

    /// The next batch; `None` once the informer has stopped and everything was delivered.
    ///
    /// Cancel-safe: a batch is either returned or still to come.
    pub async fn next(&mut self) -> Option<Batch<T>> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    /// Why [`next`](Self::next) has returned `None`; itself `None` while the stream goes on.
    pub fn end(&self) -> Option<End> {
        self.wake.has_ended().then(|| self.informer.shared().end()).flatten()
    }

    /// The snapshot of the last batch delivered; empty before the first.
    pub fn position(&self) -> &Snapshot<T> {
        &self.cursor
    }

    /// Moves on to the newest snapshot as soon as there is something to deliver.
    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<Batch<T>>> {
        let Self { informer, cursor, position, begun, scope, predicate, wake } = self;
        wake.poll_found(context, || {
            let newest = informer.snapshot();
            if !newest.is_synced() || (*begun && newest.revision() == cursor.revision()) {
                return None;
            }
            position.reach(newest.revision());
            let old = std::mem::replace(cursor, newest.clone());
            let initial = !std::mem::replace(begun, true);
            let batch = Batch::new(old, newest, initial, scope.clone(), predicate.clone());
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
    crate::trie::Trie::diff(&old.objects, &new.objects)
        .filter_map(|found| Change::between(found.old, found.new))
}
