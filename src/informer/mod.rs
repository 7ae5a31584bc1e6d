//! The informer: connects source, reflector, store and readers.

mod builder;
mod command;
mod derived;
mod driver;
mod from;
mod last;
mod parts;
mod prepared;
mod stats;
#[cfg(test)]
mod tests;
mod wait;
mod weak;

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::builder::Builder;
pub(crate) use self::derived::{DerivedParts, Lifetime};
pub(crate) use self::driver::{Abandon, Driver};
pub use self::from::{FromApi, FromStream};
pub(crate) use self::prepared::Prepared;
pub(crate) use self::stats::Health;
pub use self::stats::{Relists, Stats};
pub(crate) use self::weak::WeakInformer;
use crate::error::{Error, ErrorKind};
use crate::key::AsKey;
use crate::object::Obj;
use crate::reflector::{Command, Status, Tally};
use crate::snapshot::{Snapshot, View};
use crate::store::{AddIndex, Retired, Shared};

/// A typed, indexed copy of the objects of one kind, kept up to date by a list and a watch (client-go's
/// `SharedIndexInformer`).
///
/// ```text
///  API server -> source -> reflector -> project -> store { objects + indexes } -> publish -> Snapshot
///                                                              '-> wake -> Subscription -> WorkQueue
/// ```
///
/// Built by [`Informer::builder`]. An `Informer` is a handle: cloning copies a pointer. The informer runs until
/// [`shutdown`](Self::shutdown), or until its last handle and [`Subscription`](crate::Subscription) are dropped.
/// Snapshots and objects stay valid after that.
///
/// Reads are synchronous and lock-free: they wait neither for the API server nor for each other. While the server
/// cannot be reached, they return the last state, and [`status`](Self::status) reports it as stale.
pub struct Informer<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    /// The name of the kind, and of the namespace if the scope is one.
    name: Box<str>,
    shared: Arc<Shared<T>>,
    status: watch::Receiver<Status>,
    tally: Arc<Tally>,
    /// Used for statistics. Memory that remains when the task has ended is freed with the last handle.
    retired: Arc<Retired<T>>,
    commands: mpsc::Sender<Command<AddIndex<T>>>,
    /// Whether the informer lists by itself, so that the cache has a version.
    lists: bool,
    /// Whether the scope can change.
    has_own_scope: bool,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// The future that perhaps no task polls: the driver of `build`, or an entry of a registry that is not
    /// started.
    idle: OnceLock<Weak<dyn Abandon>>,
    /// The graph that computes a derived collection. It runs at least as long as this handle exists.
    graph: Option<Arc<Lifetime>>,
}

impl<T: Send + Sync + 'static> Informer<T> {
    /// Waits until the first list is complete in the snapshot and in every index (client-go's `WaitForCacheSync`).
    ///
    /// Objects that do not decode do not delay this; [`Stats::invalid_objects`] counts them. For a kind that is not
    /// installed, the empty cache counts as synced with [`Absent::Empty`](crate::Absent::Empty) and
    /// [`Absent::Clear`](crate::Absent::Clear).
    ///
    /// The wait continues through all errors of the API server, denied permissions included; use a timeout, or
    /// [`synced_or_blocked`](Self::synced_or_blocked). Any number of tasks may wait. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] if the informer stops first.
    pub async fn synced(&self) -> Result<(), Error> {
        self.wait_until(View::is_synced).await.map(drop)
    }

    /// [`synced`](Self::synced), but returns early on an error that retrying will not fix.
    ///
    /// These errors are: the client is not authenticated (401), the list is forbidden (403), the kind is not installed
    /// (404), a selector is invalid (400), every other 4xx except 408, 409, 410, 421, 423, 425 and 429, and also 501
    /// and 505. The informer itself continues to retry. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The error of the API server, or [`Error::is_stopped`] if the informer stops first.
    pub async fn synced_or_blocked(&self) -> Result<(), Error> {
        let mut status = self.inner.status.clone();
        let blocked = async {
            loop {
                let blocking = status.borrow_and_update().blocked().cloned();
                match blocking {
                    Some(error) => return error,
                    None if status.changed().await.is_err() => return ErrorKind::Stopped.into(),
                    None => {}
                }
            }
        };
        tokio::select! {
            biased;
            synced = self.synced() => synced,
            error = blocked => Err(error),
        }
    }

    /// Whether the first list is complete. O(1), lock-free. Once true, it stays true.
    pub fn is_synced(&self) -> bool {
        self.inner.shared.load().is_synced()
    }

    /// Returns the newest snapshot.
    ///
    /// O(1), lock-free, no allocation (except for the first read of a thread, which allocates once). The snapshot keeps
    /// old versions of objects in memory while it is held.
    pub fn snapshot(&self) -> Snapshot<T> {
        self.inner.shared.snapshot()
    }

    /// Runs `read` on the newest state without taking a snapshot: cheaper than [`snapshot`](Self::snapshot) for one or
    /// two look-ups.
    ///
    /// O(1) besides `read`, lock-free. A slow `read` delays neither the writer nor other readers.
    #[inline]
    pub fn read<R>(&self, read: impl FnOnce(&View<T>) -> R) -> R {
        read(&self.inner.shared.load())
    }

    /// Returns the newest version of one object. O(1), lock-free, no allocation. Several look-ups that must agree with
    /// each other need one [`snapshot`](Self::snapshot).
    ///
    /// This increments the object's reference count, a write to its memory. To only read many objects,
    /// [`read`](Self::read) or a snapshot is faster. See [`View::get`] for the keys.
    #[inline]
    pub fn get(&self, key: impl AsKey) -> Option<Obj<T>> {
        self.inner.shared.load().get(key).cloned()
    }

    /// Returns the health of the informer. Copies a small struct, under a short lock that readers of snapshots do not
    /// take.
    pub fn status(&self) -> Status {
        self.inner.status.borrow().clone()
    }

    /// Returns a stream of the status: its current value first, then its value after each change.
    ///
    /// Changes in quick succession may be merged. The stream ends when the informer stops. Allocates once.
    pub fn status_changes(&self) -> impl Stream<Item = Status> + Send + Unpin + 'static {
        let receiver = self.inner.status.clone();
        Box::pin(stream::unfold((receiver, true), |(mut receiver, first)| async move {
            if !first && receiver.changed().await.is_err() {
                return None;
            }
            let status = receiver.borrow_and_update().clone();
            Some((status, (receiver, false)))
        }))
    }

    /// Stops the informer and waits until its task has ended. Subscriptions deliver what was published and then end;
    /// every other wait ends too. Snapshots stay readable.
    ///
    /// Any number of callers may wait. Cancel-safe: once first polled, the informer stops even if the call is dropped.
    ///
    /// The call waits for at most one running closure of the application, and up to 20 ms while the task frees old
    /// versions; the last handle frees the rest.
    ///
    /// The driver of [`Builder::build`](crate::builder::Builder::build) need not be polled for this. If no task is
    /// polling it at that moment, `shutdown` drops its content.
    pub async fn shutdown(&self) {
        self.inner.stop();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Sets the future that `shutdown` also ends. Call it once.
    pub(crate) fn set_idle(&self, idle: Weak<dyn Abandon>) {
        let _ = self.inner.idle.set(idle);
    }

    /// The name of the kind, and of the namespace if the scope is one.
    pub(crate) fn name(&self) -> &str {
        &self.inner.name
    }

    pub(crate) fn status_receiver(&self) -> watch::Receiver<Status> {
        self.inner.status.clone()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.inner.shared
    }
}

impl<T> Inner<T> {
    fn stop(&self) {
        self.stop.cancel();
        if let Some(idle) = self.idle.get().and_then(Weak::upgrade) {
            idle.abandon();
        }
        if let Some(graph) = &self.graph {
            graph.stop();
        }
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        // A graph goes on while anything of it is used.
        if self.graph.is_none() {
            self.stop();
        }
    }
}

impl<T> Clone for Informer<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

/// The kind, the phase and the [`Stats`], on one line, also by `{:#?}`.
impl<T> fmt::Debug for Informer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Informer({}: {}, {})",
            self.inner.name,
            Health(self.inner.status.borrow().clone()),
            self.stats()
        )
    }
}
