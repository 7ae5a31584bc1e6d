//! Which keys a run may reconcile: all, or those that this replica holds.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_core::future::BoxFuture;

use super::term::Term;
use crate::error::Error;
use crate::key::ObjectKey;
#[cfg(feature = "shard")]
use {super::sharded::Follower, crate::shard::By};

/// How the objects of a controller are divided among replicas.
pub(super) trait Sharding: Send + Sync {
    /// What is hashed.
    #[cfg(feature = "shard")]
    fn by(&self) -> By;

    /// Also sets the scope of this informer.
    #[cfg(feature = "shard")]
    fn follows(&mut self, follower: Arc<dyn Follower>);

    /// Begins a run. `with_deleted`: keys without an object are reconciled, too.
    fn begin(&self, with_deleted: bool) -> Result<Arc<dyn Tenure>, Error>;
}

/// What this replica may reconcile during a run.
pub(super) trait Tenure: Send + Sync {
    /// Caches and queues what this replica should have, until it has left its group.
    fn follow(self: Arc<Self>, term: Arc<Term>) -> BoxFuture<'static, Result<(), Error>>;

    /// Leaves the group. No reconcile runs any more, and `follow` has ended.
    fn leave(&self) -> BoxFuture<'_, ()>;

    /// Whether a change of this object is to be queued now. If not, its key is queued when the object is held.
    fn queues(&self, key: &ObjectKey, uid: &str) -> bool;

    /// An object was deleted, which had this uid.
    fn deleted(&self, key: &ObjectKey, uid: &str);

    /// A reconcile of a key is about to begin. `uid`: of its object, if there is one. `None` if the key is not held.
    fn enter(&self, key: &ObjectKey, uid: Option<&str>) -> Option<Entry>;

    /// The reconcile has ended. `done`: if the key has no object, nothing is left to do for it.
    fn exit(&self, key: &ObjectKey, done: bool);

    /// Whether a reconcile may go on.
    fn goes_on(&self, entry: Entry) -> bool;

    /// Completes once everything was lost that was held when the reconcile began.
    fn lost(&self, entry: Entry) -> BoxFuture<'static, ()>;
}

/// What was valid when a reconcile began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Of the object.
    pub(super) hash: u64,
    /// How often everything had been lost.
    pub(super) losses: u64,
}

/// The right to reconcile a key, given back when this is dropped.
pub(super) struct Place<'a> {
    tenure: Option<(&'a dyn Tenure, Entry)>,
    key: &'a ObjectKey,
    done: bool,
}

// === impl Place ===

impl<'a> Place<'a> {
    /// `None` if another replica reconciles the key. `uid`: of its object, if there is one.
    pub(super) fn enter(
        tenure: Option<&'a dyn Tenure>,
        key: &'a ObjectKey,
        uid: Option<&str>,
    ) -> Option<Self> {
        let tenure = match tenure {
            Some(tenure) => Some((tenure, tenure.enter(key, uid)?)),
            None => None,
        };
        Some(Self { tenure, key, done: false })
    }

    /// Polls a future as long as that is allowed. `None` if it was dropped instead.
    pub(super) async fn guard<F: Future>(&self, future: F) -> Option<F::Output> {
        let Some((tenure, entry)) = self.tenure else { return Some(future.await) };
        let (mut future, mut lost) = (pin!(future), pin!(tenure.lost(entry)));
        poll_fn(|context| {
            // A process that was paused may go on here before anything else has noticed.
            if !tenure.goes_on(entry) || lost.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// Nothing is left to do for the key, if it has no object.
    pub(super) fn done(&mut self) {
        self.done = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some((tenure, _)) = self.tenure {
            tenure.exit(self.key, self.done);
        }
    }
}
