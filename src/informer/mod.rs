//! The informer: source, reflector, store and readers, wired together.

mod builder;
mod command;
mod driver;
mod from;
mod last;
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
use kube_client::Api;
use kube_core::Resource;
use kube_runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::builder::Builder;
pub(crate) use self::driver::Abandon;
pub use self::from::{FromApi, FromStream};
pub(crate) use self::prepared::Prepared;
use self::stats::Health;
pub use self::stats::{Relists, Stats};
pub(crate) use self::weak::WeakInformer;
use crate::error::{Error, Kind};
use crate::key::AsKey;
use crate::object::Obj;
use crate::reflector::{Command, Phase, Status, Tally};
use crate::snapshot::{Snapshot, View};
use crate::store::{AddIndex, Retired, Shared};
use crate::subscribe::Subscription;

/// A typed copy of one kind of the API server's objects, kept up to date in the background.
///
/// ```text
///  API server -> source -> reflector -> project -> store { objects + indexes } -> publish -> Snapshot
///                                                              '-> wake -> Subscription -> WorkQueue
/// ```
///
/// Built by [`Informer::builder`]. A handle: cloning copies a pointer. The informer runs for as long as a handle,
/// or a [`Subscription`] of it exists, or until [`shutdown`](Self::shutdown); snapshots and
/// objects outlive it.
///
/// Reads are synchronous and lock-free: they wait neither for the API server nor for each other, and while
/// the server cannot be reached they answer from the last state, which [`status`](Self::status) then calls stale.
pub struct Informer<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    /// Of the kind, and the namespace if it is one.
    name: Box<str>,
    shared: Arc<Shared<T>>,
    status: watch::Receiver<Status>,
    tally: Arc<Tally>,
    /// Not used but for stats: what is left when the task has ended goes with the last handle.
    retired: Arc<Retired<T>>,
    commands: mpsc::Sender<Command<AddIndex<T>>>,
    /// It lists by itself, and knows the version of what it holds.
    lists: bool,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// What is in other hands and perhaps not polled: the driver of `build`, or a registry's entry before its start.
    idle: OnceLock<Weak<dyn Abandon>>,
}

impl<K> Informer<K> {
    /// Begins an informer of the kind, namespace and cluster of an [`Api`].
    ///
    /// What is stored is `K` itself unless the builder is given a projection.
    pub fn builder(api: Api<K>) -> Builder<K, K>
    where
        K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
        K::DynamicType: Default,
    {
        Self::builder_with(api, K::DynamicType::default())
    }

    /// [`builder`](Self::builder) for kinds known only at run time, such as `DynamicObject`.
    pub fn builder_with(api: Api<K>, dyntype: K::DynamicType) -> Builder<K, K>
    where
        K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
    {
        Builder::new(FromApi::new(api, dyntype))
    }

    /// Begins an informer fed by kube-runtime's [`watcher`](kube_runtime::watcher()), or by any stream of its
    /// events. It stops when the stream ends.
    ///
    /// Such a stream tells neither the version of its lists nor its bookmarks, and does its own listing and backing
    /// off. So the informer promises less: its snapshots have no
    /// [`resource_version`](View::resource_version), [`at_least`](Self::at_least) cannot wait for a write, and what
    /// the stream gets wrong stays wrong. Errors it yields are found in [`Status::last_error`].
    ///
    /// ```no_run
    /// use k8s_openapi::api::core::v1::ConfigMap;
    /// use kube_client::{Api, Client};
    /// use kube_informer::Informer;
    /// use kube_runtime::{WatchStreamExt, watcher};
    ///
    /// # async fn example(client: Client) {
    /// let events = watcher(Api::<ConfigMap>::all(client), watcher::Config::default()).default_backoff();
    /// let maps = Informer::from_stream(events).start();
    /// # }
    /// ```
    pub fn from_stream<E>(events: E) -> Builder<K, K, FromStream<E>>
    where
        K: Resource + Send + Sync + 'static,
        E: Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    {
        Builder::new(FromStream::new(events))
    }
}

impl<T: Send + Sync + 'static> Informer<T> {
    /// Waits until the first list is complete: all of it is then in the snapshot and in every index (objects
    /// that could not be decoded are counted in [`Stats::invalid_objects`]). For a kind that is not installed, the empty
    /// cache counts as synced with [`Absent::Empty`](crate::Absent::Empty).
    ///
    /// It waits through every trouble with the API server, denied permissions included;
    /// [`synced_or_blocked`](Self::synced_or_blocked) does not. Any number of tasks may wait. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] when the informer stops first.
    pub async fn synced(&self) -> Result<(), Error> {
        self.wait_until(View::is_synced).await.map(drop)
    }

    /// [`synced`](Self::synced), but ends as soon as the API server refuses the list in a way that repeating it does
    /// not change: who we are is not known (401), the list is forbidden (403), the kind is not served (404), a
    /// selector is invalid (400), and every other 4xx but 408, 409, 410, 421, 423, 425 and 429; also 501 and 505.
    /// The informer keeps trying all the same. Cancel-safe.
    ///
    /// # Errors
    ///
    /// What the API server said, or [`Error::is_stopped`].
    pub async fn synced_or_blocked(&self) -> Result<(), Error> {
        let mut status = self.inner.status.clone();
        let blocked = async {
            loop {
                let blocking = status.borrow_and_update().blocked().cloned();
                match blocking {
                    Some(error) => return error,
                    None if status.changed().await.is_err() => return Kind::Stopped.into(),
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

    /// Whether the first list is complete. O(1), lock-free. Never goes back to false.
    pub fn is_synced(&self) -> bool {
        self.inner.shared.load().is_synced()
    }

    /// The newest version of everything, held. O(1), lock-free, no allocation.
    pub fn snapshot(&self) -> Snapshot<T> {
        self.inner.shared.snapshot()
    }

    /// Runs `read` on the newest version without holding it: cheaper than [`snapshot`](Self::snapshot), for a
    /// look-up or two. Lock-free; a `read` that takes long delays nobody.
    #[inline]
    pub fn read<R>(&self, read: impl FnOnce(&View<T>) -> R) -> R {
        read(&self.inner.shared.load())
    }

    /// The newest version of one object. O(1), lock-free. For several look-ups that must agree with each
    /// other, take a [`snapshot`](Self::snapshot).
    ///
    /// Handing out the object counts a reference, which writes to its memory; a loop over many objects that
    /// only looks at them is faster with [`read`](Self::read) or a snapshot.
    #[inline]
    pub fn get(&self, key: impl AsKey) -> Option<Obj<T>> {
        self.inner.shared.load().get(key).cloned()
    }

    /// A stream of changes, beginning with all that exists.
    pub fn subscribe(&self) -> Subscription<T> {
        Subscription::new(self.clone())
    }

    /// A stream of the changes since a snapshot of this informer: for a consumer that holds where it stands, and
    /// was restarted. The first batch leads from there to the newest state; from a snapshot that was not yet
    /// synced it is all that exists.
    ///
    /// # Panics
    ///
    /// When the snapshot is another informer's.
    #[track_caller]
    pub fn subscribe_from(&self, snapshot: &Snapshot<T>) -> Subscription<T> {
        assert_eq!(snapshot.store, self.snapshot().store, "the snapshot is another informer's");
        Subscription::from(self.clone(), snapshot.clone())
    }

    /// How the informer is doing. Copies a small struct under a short lock that readers of snapshots never
    /// touch.
    pub fn status(&self) -> Status {
        self.inner.status.borrow().clone()
    }

    /// The status now and after each change of it; changes in quick succession may be seen as one. Ends when
    /// the informer stops.
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

    /// Stops the informer and waits until its task has ended; subscriptions deliver what was published and
    /// then end, and so does every other wait. Any number of callers may wait. Cancel-safe: the informer stops even if
    /// nobody waits for it.
    ///
    /// The driver of [`Builder::build`](crate::builder::Builder::build) need not be polled for that: unless somebody is polling
    /// it at the moment, what it drives is dropped here.
    ///
    /// It waits for what the task does at that moment, which is one closure of the application at most, and up to
    /// 20 ms for old versions to be freed; what is left of these goes with the last handle.
    ///
    /// Snapshots stay readable.
    pub async fn shutdown(&self) {
        self.inner.stop();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// What `shutdown` ends besides the task. Once.
    pub(crate) fn set_idle(&self, idle: Weak<dyn Abandon>) {
        let _ = self.inner.idle.set(idle);
    }

    pub(crate) fn status_receiver(&self) -> watch::Receiver<Status> {
        self.inner.status.clone()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.inner.shared
    }
}

impl Status {
    /// The error that keeps the first list from being made, if the server itself said so.
    pub(crate) fn blocked(&self) -> Option<&Error> {
        let error = self.last_error.as_ref()?;
        (error.is_permanent() && !self.synced && matches!(self.phase, Phase::BackingOff | Phase::Absent))
            .then_some(error)
    }
}

impl<T> Inner<T> {
    fn stop(&self) {
        self.stop.cancel();
        if let Some(idle) = self.idle.get().and_then(Weak::upgrade) {
            idle.abandon();
        }
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        self.stop();
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
