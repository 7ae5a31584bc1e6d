//! How an informer is put together before it runs.

use std::error::Error as StdError;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, OnceLock, Weak};

use kube_core::Resource;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::driver::{Abandon, Driver};
use super::from::{Feed, FromApi, Parts};
use super::last::LastWord;
use super::{Informer, Inner, Prepared};
use crate::config::Config;
use crate::index::{Index, IndexBy, IndexSet};
use crate::reflector::{Recorder, Status, Tally};
use crate::registry::Stored;
use crate::source::Limits;
use crate::store::Writer;

/// An informer in the making: what to select, what to keep of each object, what to index. See
/// [`Informer::builder`] and [`Informer::from_stream`].
///
/// `K` is what the API serves, `T` what is stored, `S` where it comes from. Nothing is asked of the API server before
/// [`start`](Self::start), or before the driver of [`build`](Self::build) is polled.
#[must_use = "nothing happens before `start` or `build`"]
pub struct Builder<K: Resource, T, S = FromApi<K>> {
    from: S,
    project: Project<K, T>,
    indexes: IndexSet<T>,
}

/// Orders that may wait to be taken; who has more to ask waits to ask.
const ORDERS: usize = 8;

/// What is kept of an object; `None` keeps it out, an error makes it bad.
pub(crate) type Project<K, T> =
    Box<dyn FnMut(K) -> Result<Option<T>, Arc<dyn StdError + Send + Sync>> + Send>;

impl<K: Resource + Send + Sync + 'static, S> Builder<K, K, S> {
    pub(crate) fn new(from: S) -> Self {
        Self { from, project: Box::new(|object| Ok(Some(object))), indexes: IndexSet::new() }
    }

    /// Stores what `project` makes of each object instead of the object itself.
    ///
    /// Like the other projections it runs on the informer's task, once per version of each object kept; when
    /// it panics the object counts as bad, and its last good version stays. `T` needs no trait but
    /// `Send + Sync`.
    ///
    /// # Panics
    ///
    /// All projections do when an index was declared before them.
    #[track_caller]
    pub fn project<T: Send + Sync + 'static>(
        self,
        mut project: impl FnMut(K) -> T + Send + 'static,
    ) -> Builder<K, T, S> {
        self.projected(Box::new(move |object| Ok(Some(project(object)))))
    }

    /// Stores what `project` makes of each object, and leaves out those it answers `None` for: to readers and
    /// subscribers they do not exist. They may be projected again at a relist.
    #[track_caller]
    pub fn project_some<T: Send + Sync + 'static>(
        self,
        mut project: impl FnMut(K) -> Option<T> + Send + 'static,
    ) -> Builder<K, T, S> {
        self.projected(Box::new(move |object| Ok(project(object))))
    }

    /// Stores what `project` makes of each object; one it fails for counts as bad, and its last good version
    /// stays. The error is found as [`source`](std::error::Error::source) of the reported
    /// [`DecodeError`](crate::DecodeError), and is never part of a text of ours.
    #[track_caller]
    pub fn try_project<T: Send + Sync + 'static, E: StdError + Send + Sync + 'static>(
        self,
        mut project: impl FnMut(K) -> Result<T, E> + Send + 'static,
    ) -> Builder<K, T, S> {
        self.projected(Box::new(move |object| match project(object) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Arc::new(error)),
        }))
    }

    /// Stores what the type says of itself.
    pub(crate) fn stored<T: Stored<Object = K>>(self) -> Builder<K, T, S> {
        self.projected(Box::new(|object| T::project(object).map_err(Arc::from)))
    }

    #[track_caller]
    fn projected<T: Send + Sync + 'static>(self, project: Project<K, T>) -> Builder<K, T, S> {
        assert!(
            self.indexes.is_empty(),
            "a projection must come before the indexes: they are of what it makes"
        );
        Builder { from: self.from, project, indexes: IndexSet::new() }
    }
}

impl<K: Resource, T> Builder<K, T> {
    /// Only objects with these labels, in the API's selector syntax (`app=web,tier!=db`). The API server
    /// selects: an object that no longer matches is deleted from the informer.
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.from.selection.labels = selector.into();
        self
    }

    /// Only objects with these fields, in the API's selector syntax (`spec.nodeName=node1`). Which fields can
    /// be selected by depends on the kind.
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.from.selection.fields = selector.into();
        self
    }

    /// How the informer goes about its work, above all after trouble. See [`Config`].
    pub fn config(mut self, config: Config) -> Self {
        self.from.options.config = config;
        self
    }

    /// How many objects are asked for at once when the API server has no streaming lists. 500 by default, as
    /// in client-go; 0 asks for all at once.
    pub fn page_size(mut self, objects: u32) -> Self {
        self.from.options.page_size = objects;
        self
    }

    /// Whether to list by a watch that begins with all objects (KEP-3157), which is easier on the API server
    /// than pages. On by default; a server that cannot is noticed and asked for pages.
    pub fn streaming_lists(mut self, wanted: bool) -> Self {
        self.from.options.streaming = wanted;
        self
    }

    /// How much is taken from the API server at most, in bytes, in pages and in time.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.from.limits = limits;
        self
    }

    /// Counts as synced, and empty, while the API server does not serve the kind: for kinds that an application can
    /// do without. When the kind comes, its objects arrive as changes.
    ///
    /// A 404 alone is not enough, since a broken proxy answers the same: discovery must say so too, which every
    /// user may ask by default (`system:discovery`). Without this, [`Informer::synced`] waits for the kind.
    pub fn optional(mut self) -> Self {
        self.from.options.optional = true;
        self
    }

    /// Gives up what is held when the kind is no longer served: its objects are then deleted, and subscribers told
    /// so. By default they stay, and [`Status::stale_since`](crate::Status::stale_since) says since when.
    ///
    /// The kind counts as gone when discovery has said twice, some seconds apart, that no version of it is served;
    /// a version of several that is no longer served, or a discovery that fails, changes nothing. (A
    /// CustomResourceDefinition takes its objects with it.) Where an aggregated API is removed for a while, or a
    /// proxy leads to another cluster, objects are deleted here that still exist: so it must be asked for.
    pub fn empty_when_kind_vanishes(mut self) -> Self {
        self.from.options.empty_when_gone = true;
        self
    }

    /// Keeps `metadata.managedFields`, which is often the largest part of an object and is dropped by default.
    pub fn keep_managed_fields(mut self) -> Self {
        self.from.keep_managed_fields = true;
        self
    }
}

impl<K, T, S> Builder<K, T, S>
where
    K: Resource + Send + 'static,
    T: Send + Sync + 'static,
    S: Feed<K>,
{
    /// An index by one key of each object.
    pub fn index<X>(&mut self, key: impl Fn(&T) -> X + Send + 'static) -> Index<T, X>
    where
        X: Hash + Eq + Send + Sync + 'static,
    {
        self.indexes.index(key)
    }

    /// An index by any number of keys of each object; naming a key twice counts once.
    pub fn index_many<I>(&mut self, keys: impl Fn(&T) -> I + Send + 'static) -> Index<T, I::Item>
    where
        I: IntoIterator,
        I::Item: Hash + Eq + Send + Sync + 'static,
    {
        self.indexes.index_many(keys)
    }

    /// An index of the module [`index`](crate::index), or one of your own making.
    pub fn index_by<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        self.indexes.index_by(index)
    }

    /// The indexes declared so far, to declare more: for functions that declare what a part of the application
    /// looks up, and do not care where the objects come from.
    pub fn indexes(&mut self) -> &mut IndexSet<T> {
        &mut self.indexes
    }

    /// Starts the informer as a task of its own on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. [`build`](Self::build) needs none.
    pub fn start(self) -> Informer<T> {
        let (informer, prepared) = self.prepare();
        // The tracker owns the task: `shutdown` waits for it.
        informer.inner.tasks.spawn(prepared.drive());
        informer
    }

    /// The informer, and the future that drives it, for applications that own their tasks. The informer does
    /// nothing unless the driver is polled; dropping the driver stops it, and it ends by itself when the
    /// informer is shut down or its last handle dropped.
    pub fn build(self) -> (Informer<T>, impl Future<Output = ()> + Send + 'static) {
        let (informer, prepared) = self.prepare();
        let driver = Driver::new(prepared.drive());
        let driven: Weak<dyn Abandon> = Arc::downgrade(driver.driven()) as _;
        informer.set_idle(driven);
        (informer, driver)
    }

    /// The informer, which nothing drives yet.
    pub(crate) fn prepare(self) -> (Informer<T>, Prepared<K, T, S>) {
        let Self { from, project, indexes } = self;
        let (store, indexers) = indexes.into_parts();
        let mut writer = Writer::new(store, indexers);
        let shared = writer.shared().clone();
        let (status, status_receiver) = watch::channel(Status::new());
        writer.at_the_end(LastWord(status.clone()));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (orders, taken) = mpsc::channel(ORDERS);
        let (tally, retired) = (Arc::new(Tally::new()), writer.retired().clone());
        let record = Recorder::new(tally.clone());
        let inner = Inner {
            name: from.name().into(),
            shared,
            status: status_receiver,
            tally,
            retired,
            orders,
            lists: S::LISTS,
            stop: stop.clone(),
            tasks: tasks.clone(),
            idle: OnceLock::new(),
        };
        let parts = Parts { project, writer, status, record, orders: taken, stop };
        let prepared = Prepared { from, parts, token: tasks.token(), tasks };
        (Informer { inner: Arc::new(inner) }, prepared)
    }
}

impl<K: Resource, T, S: fmt::Debug> fmt::Debug for Builder<K, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("from", &self.from)
            .field("indexes", &self.indexes)
            .finish_non_exhaustive()
    }
}
