//! Configures an informer before it runs.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use futures_core::Stream;
use kube_client::Api;
use kube_core::Resource;
use kube_runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::driver::{Abandon, Driver};
use super::from::{Feed, FromApi, FromStream, Origin, Parts, Project, Reading};
use super::last::LastWord;
use super::{Informer, Inner, Prepared};
use crate::config::Config;
use crate::index::{Index, IndexBy, IndexSet};
use crate::reflector::{Status, Tally};
use crate::scope::Scope;
use crate::shard::{By, Ranges};
use crate::store::Writer;
use crate::stored::StoredWith;

/// Configures an informer: scope, projection, indexes. See [`Informer::builder`] and [`Informer::from_stream`].
///
/// `K` is the type that the API serves, `T` the type that is stored, and `S` the source of the objects. The informer
/// sends no request before [`start`](Self::start), or before the driver of [`build`](Self::build) is polled.
#[must_use = "nothing happens before `start` or `build`"]
pub struct Builder<K: Resource, T, S: Origin<K> = FromApi<K>> {
    from: S,
    project: S::Project<T>,
    indexes: IndexSet<T>,
}

/// Capacity of the command channel; callers wait when it is full.
pub(super) const COMMANDS: usize = 8;

impl<K> Informer<K> {
    /// Returns the builder of an informer with the kind, namespace and client of an [`Api`].
    ///
    /// The informer stores `K` itself, unless the builder is given a projection.
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

    /// Returns the builder of an informer fed by kube-runtime's [`watcher`](kube_runtime::watcher()), or by any stream
    /// of its events. The informer stops when the stream ends.
    ///
    /// Such a stream lists and backs off by itself, and carries neither list versions nor bookmarks. So the guarantees
    /// are weaker: snapshots have no [`resource_version`](crate::View::resource_version), [`at_least`](Self::at_least)
    /// returns an error, and mistakes of the stream are not corrected. [`Status::last_error`] has the errors of the
    /// stream.
    ///
    /// `events` must be the stream of one watcher, with its errors. Lists of several watchers (`select_all`) would
    /// replace each other's objects: once two lists that overlap are complete, the informer stops
    /// ([`Error::is_merged_streams`](crate::Error::is_merged_streams)). Lists that do not overlap are not recognized.
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

impl<K: Resource + Send + Sync + 'static, S: Origin<K>> Builder<K, K, S> {
    pub(crate) fn new(from: S) -> Self {
        let whole: Project<K, K> = Box::new(|object| Ok(Some(object)));
        Self { from, project: whole.into(), indexes: IndexSet::new() }
    }

    /// Stores the value that `project` returns, in place of the object itself. client-go calls this a transform.
    ///
    /// Every projection runs on the informer's task, once per stored version of an object. If it panics, the object
    /// counts as invalid and its last good version stays. `T` needs no trait but `Send + Sync`.
    ///
    /// Declare the indexes after the projection, whose result they index. An index that was declared before is one of
    /// `K`. If `T` is `K` too, it stays and indexes the result. If not, it is dropped, and the compiler refuses to use its
    /// handle with an informer of `T`:
    ///
    /// ```compile_fail,E0308
    /// # use k8s_openapi::api::core::v1::Pod;
    /// # use kube_client::{Api, Client};
    /// # use kube_informer::Informer;
    /// # fn example(client: Client) {
    /// let mut pods = Informer::builder(Api::<Pod>::all(client));
    /// let by_node = pods.index(|pod: &Pod| pod.spec.as_ref()?.node_name.clone());
    /// let uids = pods.project(|pod: Pod| pod.metadata.uid).start();
    /// uids.read(|uids| uids.by_index(&by_node, "node-1").len()); // an `Index<Pod, _>`, and not of the uids
    /// # }
    /// ```
    pub fn project<T: Send + Sync + 'static>(
        self,
        mut project: impl FnMut(K) -> T + Send + 'static,
    ) -> Builder<K, T, S> {
        self.projected(Box::new(move |object| Ok(Some(project(object)))))
    }

    /// Stores the value that `project` returns, and skips objects for which it returns `None`: readers and subscribers
    /// do not see them. A relist may project a skipped object again.
    pub fn project_some<T: Send + Sync + 'static>(
        self,
        mut project: impl FnMut(K) -> Option<T> + Send + 'static,
    ) -> Builder<K, T, S> {
        self.projected(Box::new(move |object| Ok(project(object))))
    }

    /// Stores the value that `project` returns, which may be an error.
    ///
    /// An object with an error counts as invalid, and its last good version stays.
    ///
    /// The error is the [`source`](std::error::Error::source) of the reported
    /// [`DecodeError`](crate::error::DecodeError). No log line and no error text of this crate contains it.
    pub fn try_project<T: Send + Sync + 'static, E: StdError + Send + Sync + 'static>(
        self,
        mut project: impl FnMut(K) -> Result<T, E> + Send + 'static,
    ) -> Builder<K, T, S> {
        self.projected(Box::new(move |object| match project(object) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Arc::new(error)),
        }))
    }

    /// Stores the value that the projection of the type returns.
    pub(crate) fn stored<T: StoredWith<Object = K>>(self, settings: Arc<T::Settings>) -> Builder<K, T, S> {
        self.projected(Box::new(move |object| T::project_with(object, &settings).map_err(Arc::from)))
    }

    fn projected<T: Send + Sync + 'static>(self, project: Project<K, T>) -> Builder<K, T, S> {
        self.with(project.into())
    }

    fn with<T: Send + Sync + 'static>(self, project: S::Project<T>) -> Builder<K, T, S> {
        // The handles of these indexes are of `K`. If that is also what is stored, they remain valid.
        let declared: Box<dyn Any> = Box::new(self.indexes);
        let indexes = declared.downcast().map_or_else(|_| IndexSet::new(), |same| *same);
        Builder { from: self.from, project, indexes }
    }
}

impl<K: Resource + Send + Sync + 'static> Builder<K, K> {
    /// Stores the value that `decode` makes of the JSON text of an object, which is not decoded into `K`.
    ///
    /// With [`project`](Self::project), all of `K` is decoded first, and then most of it is dropped. Here, a type of your own
    /// can borrow the few fields it needs from the text, and only what is kept is allocated. The larger the rest of the
    /// object, the more this saves.
    ///
    /// ```
    /// use std::borrow::Cow;
    ///
    /// use k8s_openapi::api::core::v1::Pod;
    /// use kube_client::{Api, Client};
    /// use kube_informer::Informer;
    /// use serde::Deserialize;
    ///
    /// /// What is read of a pod.
    /// #[derive(Deserialize)]
    /// struct Fields<'a> {
    ///     #[serde(borrow)]
    ///     spec: Spec<'a>,
    /// }
    ///
    /// #[derive(Deserialize)]
    /// #[serde(rename_all = "camelCase")]
    /// struct Spec<'a> {
    ///     /// A `Cow`, as text with an escape cannot be borrowed.
    ///     #[serde(borrow, default)]
    ///     node_name: Cow<'a, str>,
    /// }
    ///
    /// /// What is stored of a pod.
    /// struct Node(Box<str>);
    ///
    /// fn node(json: &str) -> serde_json::Result<Node> {
    ///     let fields: Fields<'_> = serde_json::from_str(json)?;
    ///     Ok(Node(fields.spec.node_name.into()))
    /// }
    ///
    /// # fn example(client: Client) {
    /// let mut nodes = Informer::builder(Api::<Pod>::all(client)).decode(node);
    /// let by_node = nodes.index(|node: &Node| node.0.to_string());
    /// # let _ = (by_node, nodes.start());
    /// # }
    /// # assert_eq!(&*node(r#"{"spec":{"nodeName":"a"}}"#).unwrap().0, "a");
    /// ```
    ///
    /// The text is what the API server sent, except that `managedFields` is null unless
    /// [`Config::keep_managed_fields`](crate::Config::keep_managed_fields) is set, and that `apiVersion` and `kind` are there
    /// also where lists leave them out. It is an object, but not certainly valid JSON; where it is not UTF-8,
    /// invalid bytes and lone surrogates are replaced by U+FFFD. The informer reads the key, uid and version by itself.
    ///
    /// An object with an error counts as invalid, and its last good version stays. The error is the
    /// [`source`](std::error::Error::source) of the reported [`DecodeError`](crate::error::DecodeError); no log line and no
    /// error text of this crate contains it. If `decode` fails and the text has lone surrogates, it is called once more
    /// with U+FFFD in their place, before the object counts as invalid. A panic makes the object invalid, too. An object larger than
    /// [`Limits::object_bytes`](crate::Limits::object_bytes) is invalid, and not decoded.
    ///
    /// `decode` runs on the informer's task, once per stored version of an object (or twice, see above). Declare the indexes after it, as with
    /// [`project`](Self::project).
    pub fn decode<T: Send + Sync + 'static, E: StdError + Send + Sync + 'static>(
        self,
        mut decode: impl FnMut(&str) -> Result<T, E> + Send + 'static,
    ) -> Builder<K, T> {
        self.with(Reading::Text(Box::new(move |json| decode(json).map_err(|error| Arc::new(error) as _))))
    }
}

impl<K: Resource, T> Builder<K, T> {
    /// Sets which objects to cache. The default is the scope of the [`Api`](kube_client::Api): its namespace, or all
    /// objects. This replaces the default, and labels and fields set before. [`Informer::set_scope`] changes it later.
    ///
    /// A scope may have several parts, such as namespaces; the client must be allowed to list and watch each.
    ///
    /// ```
    /// # use k8s_openapi::api::core::v1::Pod;
    /// # use kube_client::{Api, Client};
    /// # use kube_informer::{Informer, Scope};
    /// # fn example(client: Client, variable: &str) {
    /// // `variable` is that of operators, WATCH_NAMESPACE: one namespace, several, or empty for all.
    /// let scope = Scope::namespaces(variable.split(','));
    /// let pods = Informer::builder(Api::<Pod>::all(client)).scope(scope).start();
    /// # let _ = pods;
    /// # }
    /// ```
    pub fn scope(mut self, scope: Scope) -> Self {
        self.from.scope = scope;
        self
    }

    /// Restricts the scope to objects with these labels. See [`Scope::labels`].
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.from.scope = self.from.scope.labels(selector);
        self
    }

    /// Restricts the scope to objects with these fields. See [`Scope::fields`].
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.from.scope = self.from.scope.fields(selector);
        self
    }

    /// Restricts the scope to a shard of the objects. See [`Scope::shard`].
    pub fn shard(mut self, by: By, ranges: impl Into<Ranges>) -> Self {
        self.from.scope = self.from.scope.shard(by, ranges);
        self
    }

    /// Sets how the informer lists, watches and recovers. Replaces an earlier configuration; the default is
    /// [`Config::new`].
    pub fn config(mut self, config: Config) -> Self {
        self.from.config = config;
        self
    }
}

impl<K, T, S> Builder<K, T, S>
where
    K: Resource + Send + 'static,
    T: Send + Sync + 'static,
    S: Feed<K>,
{
    /// Adds an index and returns its handle.
    ///
    /// An index is a closure that returns the keys of an object (one key, an `Option`, a `Vec`, an array), a built-in
    /// of [`mod@index`](crate::index), or an [`IndexBy`] of your own.
    ///
    /// Keys are computed on the informer's task, once per stored version of an object. The type of a closure's
    /// parameter must be written out.
    ///
    /// ```
    /// # use k8s_openapi::api::core::v1::Pod;
    /// # use kube_client::{Api, Client};
    /// # use kube_informer::{Informer, index};
    /// # fn example(client: Client) {
    /// let mut pods = Informer::builder(Api::<Pod>::all(client));
    /// let by_node = pods.index(|pod: &Pod| pod.spec.as_ref()?.node_name.clone());
    /// let by_app = pods.index(index::label("app"));
    /// # let _ = (by_node, by_app);
    /// # }
    /// ```
    pub fn index<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        self.indexes.index(index)
    }

    /// Returns the indexes declared so far, so that a function can declare more.
    ///
    /// Such a function declares the indexes of one part of the application, and can be called for a builder and in a
    /// unit test alike.
    pub fn indexes(&mut self) -> &mut IndexSet<T> {
        &mut self.indexes
    }

    /// Starts the informer as a task on the current tokio runtime. Returns at once; [`Informer::synced`] waits for the
    /// first list.
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

    /// Returns the informer and the future that drives it, for applications that spawn their tasks themselves.
    ///
    /// The informer makes progress only while the driver is polled. Dropping the driver stops the informer. The driver
    /// completes when the informer is shut down, or when its last handle is dropped.
    pub fn build(self) -> (Informer<T>, impl Future<Output = ()> + Send + 'static) {
        let (informer, prepared) = self.prepare();
        let driver = Driver::new(prepared.drive());
        let driven: Weak<dyn Abandon> = Arc::downgrade(driver.driven()) as _;
        informer.set_idle(driven);
        (informer, driver)
    }

    /// Returns the informer and the parts that will drive it.
    pub(crate) fn prepare(self) -> (Informer<T>, Prepared<K, T, S>) {
        let Self { from, project, indexes } = self;
        let (store, indexers) = indexes.into_parts();
        let mut writer = Writer::new(store, indexers);
        let shared = writer.shared().clone();
        let (status, status_receiver) = watch::channel(Status::new());
        writer.at_the_end(LastWord(status.clone()));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (commands, taken) = mpsc::channel(COMMANDS);
        let (tally, retired) = (Arc::new(Tally::new()), writer.retired().clone());
        let inner = Inner {
            name: from.name().into(),
            shared,
            status: status_receiver,
            tally: tally.clone(),
            retired,
            commands,
            lists: S::LISTS,
            has_own_scope: from.has_own_scope(),
            stop: stop.clone(),
            tasks: tasks.clone(),
            idle: OnceLock::new(),
            graph: None,
        };
        let parts = Parts { project, writer, status, tally, commands: taken, stop };
        let prepared = Prepared { from, parts, token: tasks.token(), tasks };
        (Informer { inner: Arc::new(inner) }, prepared)
    }
}

impl<K: Resource, T, S: Origin<K> + fmt::Debug> fmt::Debug for Builder<K, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("from", &self.from)
            .field("indexes", &self.indexes)
            .finish_non_exhaustive()
    }
}
