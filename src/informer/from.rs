//! The sources of an informer's objects.

use std::any::TypeId;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use futures_core::Stream;
use kube_client::Api;
use kube_core::{ClusterResourceScope, Resource};
use kube_runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::parts::{Common, Reflectors};
use crate::config::{Absent, Config};
use crate::error::DecodeError;
use crate::reflector::{self, Board, Command, Gate, Recorder, Status, Tally};
use crate::scope::{Part, Scope};
use crate::source::{Decoder, HttpSource, Json, resource_name};
use crate::store::{AddIndex, Intake, Store, Take, Writer};

/// A source of objects: lists and watches an API server. See [`Informer::builder`](crate::Informer::builder).
pub struct FromApi<K: Resource> {
    api: Api<K>,
    dyntype: K::DynamicType,
    pub(super) scope: Scope,
    pub(super) config: Config,
    /// The default of the stored type, used if `config` does not set it.
    absent: Absent,
    /// Shared with the other informers of the same registry.
    gate: Arc<Gate>,
    /// Whether a registry knows the informer by its scope, so that the scope cannot change.
    in_registry: bool,
}

/// A source of objects: a stream of events. See [`Informer::from_stream`](crate::Informer::from_stream).
pub struct FromStream<E> {
    events: E,
}

/// Computes what is stored of an object; `None` skips the object, an error makes it invalid.
pub(crate) type Project<K, T> =
    Box<dyn FnMut(K) -> Result<Option<T>, Arc<dyn StdError + Send + Sync>> + Send>;

/// Computes what is stored of the JSON text of an object; an error makes the object invalid.
pub(crate) type Decode<T> = Box<dyn FnMut(&str) -> Result<T, Arc<dyn StdError + Send + Sync>> + Send>;

/// Computes what is stored of an object that an API server sends.
pub enum Reading<K, T> {
    /// Of the decoded object.
    Object(Project<K, T>),
    /// Of its text.
    Text(Decode<T>),
}

/// What a projection can be made of: objects, and JSON text if that is what the source has. Sealed: only [`FromApi`] and
/// [`FromStream`] implement it.
pub trait Origin<K> {
    #[doc(hidden)]
    type Project<T>: From<Project<K, T>>;
}

/// A source that feeds a store. Sealed: only [`FromApi`] and [`FromStream`] implement it.
pub trait Feed<K>: Origin<K> + Sized {
    /// Whether the source can list on request and its lists have a version.
    #[doc(hidden)]
    const LISTS: bool;

    /// Whether the scope can change while the informer runs.
    #[doc(hidden)]
    fn has_own_scope(&self) -> bool;

    /// The name of the objects, in one line.
    #[doc(hidden)]
    fn name(&self) -> String;

    /// The span of everything that the informer logs.
    #[doc(hidden)]
    fn span(&self) -> tracing::Span;

    /// Runs until `stop` is cancelled or the source ends.
    #[doc(hidden)]
    fn feed<T: Send + Sync + 'static>(
        self,
        parts: Parts<Self::Project<T>, T>,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// The parts of an informer that a feed uses. `P` is its [`Origin::Project`].
pub struct Parts<P, T> {
    pub(super) project: P,
    pub(super) writer: Writer<T>,
    pub(super) status: watch::Sender<Status>,
    pub(super) tally: Arc<Tally>,
    pub(super) commands: mpsc::Receiver<Command<AddIndex<T>>>,
    pub(super) stop: CancellationToken,
}

// === impl FromApi ===

impl<K: Resource> FromApi<K> {
    pub(crate) fn new(api: Api<K>, dyntype: K::DynamicType) -> Self {
        Self {
            scope: api.namespace().map_or_else(Scope::all, Scope::namespace),
            api,
            dyntype,
            config: Config::new(),
            absent: Absent::Wait,
            gate: Arc::default(),
            in_registry: false,
        }
    }

    /// Makes it one of a registry, which shares a gate with the other informers of the same client.
    pub(crate) fn in_registry(self, gate: Arc<Gate>) -> Self {
        Self { gate, in_registry: true, ..self }
    }

    /// Sets the default for a kind that is not served. The configuration overrides it.
    pub(crate) fn absent(self, absent: Absent) -> Self {
        Self { absent, ..self }
    }
}

impl<K: Resource> Origin<K> for FromApi<K> {
    type Project<T> = Reading<K, T>;
}

impl<K, T> From<Project<K, T>> for Reading<K, T> {
    fn from(project: Project<K, T>) -> Self {
        Self::Object(project)
    }
}

impl<K> Feed<K> for FromApi<K>
where
    K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
{
    const LISTS: bool = true;

    fn has_own_scope(&self) -> bool {
        !self.in_registry
    }

    fn name(&self) -> String {
        let resource = resource_name::<K>(&self.dyntype);
        match self.scope.parts() {
            [Part { namespace: Some(namespace), .. }] => format!("{resource} in {namespace}"),
            [_] => resource,
            parts => format!("{resource} in {} scopes", parts.len()),
        }
    }

    fn span(&self) -> tracing::Span {
        // At level `error`, so that warnings have this span even if nothing below `warn` is logged.
        tracing::error_span!("informer", kind = resource_name::<K>(&self.dyntype), scope = %self.scope)
    }

    fn feed<T: Send + Sync + 'static>(
        self,
        parts: Parts<Reading<K, T>, T>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let Parts { project, writer, status, tally, commands, stop } = parts;
        let Self { api, dyntype, scope, mut config, absent, gate, .. } = self;
        config.absent.get_or_insert(absent);
        let decoder = Decoder::new(&dyntype, config.keep_managed_fields);
        let limits = config.limits.clone();
        let changes = writer.changes().clone();
        let take: Take<Json, T> = match project {
            Reading::Object(mut project) => Box::new(move |meta, json| {
                let object = decoder.decode(meta, &json)?;
                project(object).map_err(|source| DecodeError::projection(meta, source))
            }),
            Reading::Text(mut decode) => {
                Box::new(move |meta, json| decoder.decode_with(meta, &json, &mut decode).map(Some))
            }
        };
        let store = Store::new(writer, take);
        let source = move |part| HttpSource::new(api.clone(), &dyntype, part, limits.clone());
        let board = Board::new(status);
        let source = Box::new(source);
        let is_cluster_scoped = TypeId::of::<K::Scope>() == TypeId::of::<ClusterResourceScope>();
        let common = Common { is_cluster_scoped, source, store, changes, board, tally, config, gate, stop };
        Reflectors::new(common).run(scope, commands)
    }
}

impl<K: Resource> fmt::Debug for FromApi<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", resource_name::<K>(&self.dyntype), self.scope)
    }
}

// === impl FromStream ===

impl<E> FromStream<E> {
    pub(super) fn new(events: E) -> Self {
        Self { events }
    }
}

impl<K, E> Origin<K> for FromStream<E> {
    type Project<T> = Project<K, T>;
}

impl<K, E> Feed<K> for FromStream<E>
where
    K: Resource + Send + 'static,
    E: Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
{
    const LISTS: bool = false;

    fn has_own_scope(&self) -> bool {
        false
    }

    fn name(&self) -> String {
        "a stream".to_owned()
    }

    fn span(&self) -> tracing::Span {
        tracing::error_span!("informer", scope = "a stream")
    }

    fn feed<T: Send + Sync + 'static>(
        self,
        parts: Parts<Project<K, T>, T>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let Parts { mut project, writer, status, tally, commands, stop } = parts;
        let intake = Intake::new(
            writer,
            Box::new(move |meta, object: Box<K>| {
                project(*object).map_err(|source| DecodeError::projection(meta, source))
            }),
        );
        reflector::follow(self.events, intake, status, Recorder::new(tally), commands, stop)
    }
}

impl<E> fmt::Debug for FromStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream")
    }
}
