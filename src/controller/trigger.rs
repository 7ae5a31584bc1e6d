//! What leads to a reconcile: changes of the primary objects and of watched ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::changed::Predicate;
use super::term::Term;
use crate::error::{Error, ErrorKind};
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::reflector::Status;
use crate::snapshot::Snapshot;
use crate::subscribe::{Batch, Change, Chunks};

/// The caches that a mapping of [`Controller::watches`](super::Controller::watches) can look into. Snapshots: all reads
/// of one agree.
#[derive(Debug)]
#[non_exhaustive]
pub struct World<'a, T, U> {
    /// The newest snapshot of the primary objects.
    pub primary: &'a Snapshot<T>,
    /// The snapshot of the watched objects that contains the change, and nothing newer.
    pub watched: &'a Snapshot<U>,
    /// The snapshot of the watched objects before it.
    pub previous: &'a Snapshot<U>,
}

/// An informer whose changes lead to reconciles, its types erased.
pub(super) trait Trigger: Send + Sync {
    /// Of the kind.
    fn name(&self) -> &str;

    fn status(&self) -> Status;

    fn synced(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// Returns when the informer stops.
    fn stopped(&self) -> BoxFuture<'_, Error>;

    /// Queues keys until the informer stops.
    fn feed(&self, term: Arc<Term>) -> BoxFuture<'static, ()>;
}

/// The informer of the primary objects: each change is one of its own key.
pub(super) struct Primary<T> {
    pub(super) informer: Informer<T>,
    pub(super) when: Option<Arc<dyn Predicate<T>>>,
}

/// Another informer.
pub(super) struct Watched<T, U, F> {
    pub(super) primary: Informer<T>,
    pub(super) watched: Informer<U>,
    pub(super) keys: Arc<F>,
}

impl<T: Send + Sync + 'static> Trigger for Primary<T> {
    fn name(&self) -> &str {
        self.informer.name()
    }

    fn status(&self) -> Status {
        self.informer.status()
    }

    fn synced(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.informer.synced())
    }

    fn stopped(&self) -> BoxFuture<'_, Error> {
        Box::pin(stopped(&self.informer))
    }

    fn feed(&self, term: Arc<Term>) -> BoxFuture<'static, ()> {
        let when = self.when.clone();
        let noted = term.clone();
        Box::pin(feed(self.informer.clone(), term, move |change, _, emit| {
            if let (Change::Modified { old, new }, Some(when)) = (change, &when) {
                // A predicate that panics hides no change.
                let passes = catch_unwind(AssertUnwindSafe(|| when.passes(old, new)));
                if passes.is_err() {
                    noted.mapping_panicked();
                }
                if !passes.unwrap_or(true) {
                    return;
                }
            }
            let key = change.key().to_owned();
            if let Some(tenure) = &noted.tenure {
                match (change.old(), change.new()) {
                    (_, Some(object)) if !tenure.queues(&key, &Obj::uid(object)) => return,
                    (Some(object), None) => tenure.deleted(&key, &Obj::uid(object)),
                    _ => {}
                }
            }
            noted.writes.note(&key, change.new().map(Obj::resource_version).as_ref());
            emit(key);
        }))
    }
}

impl<T, U, F> Trigger for Watched<T, U, F>
where
    T: Send + Sync + 'static,
    U: Send + Sync + 'static,
    F: Fn(Change<'_, U>, &World<'_, T, U>, &mut dyn FnMut(ObjectKey)) + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        self.watched.name()
    }

    fn status(&self) -> Status {
        self.watched.status()
    }

    fn synced(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.watched.synced())
    }

    fn stopped(&self) -> BoxFuture<'_, Error> {
        Box::pin(stopped(&self.watched))
    }

    fn feed(&self, term: Arc<Term>) -> BoxFuture<'static, ()> {
        let (primary, keys) = (self.primary.clone(), self.keys.clone());
        let noted = term.clone();
        Box::pin(feed(self.watched.clone(), term, move |change, batch, emit| {
            let world =
                World { primary: &primary.snapshot(), watched: batch.snapshot(), previous: batch.previous() };
            keys(change, &world, &mut |key| {
                noted.writes.note(&key, None);
                emit(key);
            });
        }))
    }
}

async fn stopped<U: Send + Sync + 'static>(informer: &Informer<U>) -> Error {
    // The predicate is never true.
    informer.wait_until(|_| false).await.err().unwrap_or_else(|| ErrorKind::Stopped.into())
}

async fn feed<U: Send + Sync + 'static>(
    informer: Informer<U>,
    term: Arc<Term>,
    keys: impl Fn(Change<'_, U>, &Batch<U>, &mut dyn FnMut(ObjectKey)) + Send,
) {
    let mut subscription = informer.subscribe();
    let mut emitted = Vec::new();
    while let Some(batch) = subscription.next().await {
        let mut chunks = Chunks::new(&batch);
        let mut more = true;
        while more {
            more = chunks.next(|change, priority| {
                let mut emit = |key| emitted.push((key, priority));
                if catch_unwind(AssertUnwindSafe(|| keys(change, &batch, &mut emit))).is_err() {
                    term.mapping_panicked();
                }
            });
            if batch.is_initial() {
                term.first.note(emitted.iter().map(|(key, _)| key));
            }
            term.queue.add_all_with_priority(emitted.drain(..));
            if more {
                tokio::task::yield_now().await;
            }
        }
        if batch.is_initial() {
            term.first.batch_queued();
        }
    }
}
