//! How an informer is put together before it runs.

use std::error::Error as StdError;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use kube_client::Api;
use kube_core::Resource;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Informer, Inner};
use crate::error::DecodeError;
use crate::index::{Index, IndexBy, Indexer, Many, One};
use crate::reflector::{self, Options, Status};
use crate::source::{Decoder, HttpSource, Limits, Selection};
use crate::store::{Intake, Take, Writer, next_store};

/// An informer in the making: what to select, what to keep of each object, what to index. See
/// [`Informer::builder`].
///
/// `K` is what the API serves, `T` what is stored. Nothing is asked of the API server before
/// [`start`](Self::start), or before the driver of [`build`](Self::build) is polled.
#[must_use = "nothing happens before `start` or `build`"]
pub struct Builder<K: Resource, T> {
    api: Api<K>,
    dyntype: K::DynamicType,
    selection: Selection,
    keep_managed_fields: bool,
    options: Options,
    project: Project<K, T>,
    indexers: Vec<Box<dyn Indexer<T>>>,
    store: u64,
}

/// What is kept of an object; `None` keeps it out, an error makes it bad.
type Project<K, T> = Box<dyn FnMut(K) -> Result<Option<T>, Arc<dyn StdError + Send + Sync>> + Send>;

impl<K> Builder<K, K>
where
    K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone,
{
    pub(crate) fn new(api: Api<K>, dyntype: K::DynamicType) -> Self {
        Self {
            api,
            dyntype,
            selection: Selection::default(),
            keep_managed_fields: false,
            options: Options::default(),
            project: Box::new(|object| Ok(Some(object))),
            indexers: Vec::new(),
            store: next_store(),
        }
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
    ) -> Builder<K, T> {
        self.projected(Box::new(move |object| Ok(Some(project(object)))))
    }

    /// Stores what `project` makes of each object, and leaves out those it answers `None` for: to readers and
    /// subscribers they do not exist. They may be projected again at a relist.
    #[track_caller]
    pub fn project_some<T: Send + Sync + 'static>(
        self,
        mut project: impl FnMut(K) -> Option<T> + Send + 'static,
    ) -> Builder<K, T> {
        self.projected(Box::new(move |object| Ok(project(object))))
    }

    /// Stores what `project` makes of each object; one it fails for counts as bad, and its last good version
    /// stays. The error is found as [`source`](std::error::Error::source) of the reported
    /// [`DecodeError`](crate::DecodeError), and is never part of a text of ours.
    #[track_caller]
    pub fn try_project<T: Send + Sync + 'static, E: StdError + Send + Sync + 'static>(
        self,
        mut project: impl FnMut(K) -> Result<T, E> + Send + 'static,
    ) -> Builder<K, T> {
        self.projected(Box::new(move |object| match project(object) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Arc::new(error)),
        }))
    }

    #[track_caller]
    fn projected<T>(self, project: Project<K, T>) -> Builder<K, T> {
        assert!(
            self.indexers.is_empty(),
            "a projection must come before the indexes: they are of what it makes"
        );
        let Self { api, dyntype, selection, keep_managed_fields, options, store, .. } = self;
        Builder {
            api,
            dyntype,
            selection,
            keep_managed_fields,
            options,
            project,
            indexers: Vec::new(),
            store,
        }
    }
}

impl<K, T> Builder<K, T>
where
    K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone,
    T: Send + Sync + 'static,
{
    /// Only objects with these labels, in the API's selector syntax (`app=web,tier!=db`). The API server
    /// selects: an object that no longer matches is deleted from the informer.
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.selection.labels = selector.into();
        self
    }

    /// Only objects with these fields, in the API's selector syntax (`spec.nodeName=node1`). Which fields can
    /// be selected by depends on the kind.
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.selection.fields = selector.into();
        self
    }

    /// How many objects are asked for at once when the API server has no streaming lists. 500 by default, as
    /// in client-go; 0 asks for all at once.
    pub fn page_size(mut self, objects: u32) -> Self {
        self.options.page_size = objects;
        self
    }

    /// Whether to list by a watch that begins with all objects (KEP-3157), which is easier on the API server
    /// than pages. On by default; a server that cannot is noticed and asked for pages.
    pub fn streaming_lists(mut self, wanted: bool) -> Self {
        self.options.streaming = wanted;
        self
    }

    /// Keeps `metadata.managedFields`, which is often the largest part of an object and is dropped by default.
    pub fn keep_managed_fields(mut self) -> Self {
        self.keep_managed_fields = true;
        self
    }

    /// An index by one key of each object.
    pub fn index<X>(&mut self, key: impl Fn(&T) -> X + Send + 'static) -> Index<T, X>
    where
        X: Hash + Eq + Send + Sync + 'static,
    {
        self.index_by(One(key))
    }

    /// An index by any number of keys of each object; naming a key twice counts once.
    pub fn index_many<I>(&mut self, keys: impl Fn(&T) -> I + Send + 'static) -> Index<T, I::Item>
    where
        I: IntoIterator,
        I::Item: Hash + Eq + Send + Sync + 'static,
    {
        self.index_by(Many(keys))
    }

    /// An index of the module [`index`](crate::index), or one of your own making.
    pub fn index_by<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        // More than 2^32 indexes cannot be declared: each is at least a pointer here.
        let slot = self.indexers.len() as u32;
        self.indexers.push(Box::new(index));
        Index::new(slot, self.store)
    }

    /// Starts the informer as a task of its own on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. [`build`](Self::build) needs none.
    pub fn start(self) -> Informer<T> {
        let (informer, driver) = self.build();
        // The tracker owns the task: `shutdown` waits for it.
        informer.inner.tasks.spawn(driver);
        informer
    }

    /// The informer, and the future that drives it, for applications that own their tasks. The informer does
    /// nothing unless the driver is polled; dropping the driver stops it, and it ends by itself when the
    /// informer is shut down or its last handle dropped.
    pub fn build(self) -> (Informer<T>, impl Future<Output = ()> + Send + 'static) {
        let Self { api, dyntype, selection, keep_managed_fields, options, mut project, indexers, store } =
            self;
        let decoder = Decoder::new(&dyntype, keep_managed_fields);
        let take: Take<K, T> = Box::new(move |item| {
            let (meta, object) = decoder.decode(item)?;
            project(object).map_err(|source| DecodeError {
                source: Some(source),
                ..DecodeError::of(&meta, "its projection failed")
            })
        });
        let source = HttpSource::new(api, &dyntype, selection, Limits::default());
        let writer = Writer::new(store, indexers);
        let (shared, retired) = (writer.shared().clone(), writer.retired().clone());
        let (status, status_receiver) = watch::channel(Status::new());
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let reflector = reflector::run(source, Intake::new(writer, take), status, stop.clone(), options);
        // Old versions are freed for as long as the informer runs, however busy the reflector is.
        let driver = async move {
            tokio::select! {
                _ended = reflector => {}
                () = retired.sweep_forever() => {}
            }
        };
        let driver = tasks.track_future(driver);
        let inner = Inner { shared, status: status_receiver, stop, tasks };
        (Informer { inner: Arc::new(inner) }, driver)
    }
}

impl<K: Resource, T> fmt::Debug for Builder<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.api.resource_url())
            .field("selection", &self.selection)
            .field("indexes", &self.indexers.len())
            .finish_non_exhaustive()
    }
}
