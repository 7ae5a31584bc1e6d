//! Where an informer's objects come from.

use std::fmt;
use std::sync::Arc;

use futures_core::Stream;
use kube_client::Api;
use kube_core::Resource;
use kube_runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::builder::Project;
use crate::config::Config;
use crate::error::DecodeError;
use crate::reflector::{self, Gate, Options, Order, Recorder, Status};
use crate::source::{Decoder, HttpSource, Limits, Payload, Selection, resource_name};
use crate::store::{Errand, Intake, Writer};

/// Objects listed and watched at an API server. See [`Informer::builder`](crate::Informer::builder).
pub struct FromApi<K: Resource> {
    api: Api<K>,
    dyntype: K::DynamicType,
    /// The only one, of an API that addresses all.
    namespace: Option<String>,
    pub(super) selection: Selection,
    pub(super) keep_managed_fields: bool,
    pub(super) limits: Limits,
    pub(super) options: Options,
    /// Shared with the other informers of its client, as far as they are known.
    gate: Arc<Gate>,
}

/// Objects from a stream of events. See [`Informer::from_stream`](crate::Informer::from_stream).
pub struct FromStream<E> {
    events: E,
}

/// Feeds a store. Sealed: the two above are all there is.
pub trait Feed<K>: Sized {
    /// Whether it lists when it is told to, and knows of which version its lists are.
    #[doc(hidden)]
    const LISTS: bool;

    /// What the objects are called, in one line.
    #[doc(hidden)]
    fn name(&self) -> String;

    /// Runs until `stop` is cancelled, or there is nothing more to come.
    #[doc(hidden)]
    fn feed<T: Send + Sync + 'static>(self, parts: Parts<K, T>) -> impl Future<Output = ()> + Send + 'static;
}

/// What a feed works with.
pub struct Parts<K, T> {
    pub(super) project: Project<K, T>,
    pub(super) writer: Writer<T>,
    pub(super) status: watch::Sender<Status>,
    pub(super) record: Recorder,
    pub(super) orders: mpsc::Receiver<Order<Errand<T>>>,
    pub(super) stop: CancellationToken,
}

// === impl FromApi ===

impl<K: Resource> FromApi<K> {
    pub(crate) fn new(api: Api<K>, dyntype: K::DynamicType) -> Self {
        Self {
            api,
            dyntype,
            namespace: None,
            selection: Selection::default(),
            keep_managed_fields: false,
            limits: Limits::default(),
            options: Options::default(),
            gate: Arc::default(),
        }
    }

    /// One of several informers of one client.
    pub(crate) fn beside(mut self, gate: Arc<Gate>, config: Config) -> Self {
        self.gate = gate;
        self.options.config = config;
        self
    }

    /// Only one namespace, for kinds of which that is not known when this is compiled.
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }
}

impl<K> Feed<K> for FromApi<K>
where
    K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
{
    const LISTS: bool = true;

    fn name(&self) -> String {
        let resource = resource_name::<K>(&self.dyntype);
        match self.namespace.as_deref().or(self.api.namespace()) {
            Some(namespace) => format!("{resource} in {namespace}"),
            None => resource,
        }
    }

    fn feed<T: Send + Sync + 'static>(self, parts: Parts<K, T>) -> impl Future<Output = ()> + Send + 'static {
        let Parts { mut project, writer, status, record, orders, stop } = parts;
        let decoder = Decoder::new(&self.dyntype, self.keep_managed_fields);
        let options =
            Options { pages: self.limits.pages, watch_silence: self.limits.watch_silence, ..self.options };
        let gate = self.gate;
        let mut source = HttpSource::new(self.api, &self.dyntype, self.selection, self.limits);
        if let Some(namespace) = &self.namespace {
            source = source.in_namespace(&self.dyntype, namespace);
        }
        let intake = Intake::new(
            writer,
            Box::new(move |item| {
                let (meta, object) = decoder.decode(item)?;
                project(object).map_err(|source| DecodeError::projection(&meta, source))
            }),
        );
        async move { drop(reflector::run(source, intake, status, record, orders, stop, options, gate).await) }
    }
}

impl<K: Resource> fmt::Debug for FromApi<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.api.resource_url())?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in {namespace}")?;
        }
        write!(f, " of {:?}", self.selection)
    }
}

// === impl FromStream ===

impl<E> FromStream<E> {
    pub(super) fn new(events: E) -> Self {
        Self { events }
    }
}

impl<K, E> Feed<K> for FromStream<E>
where
    K: Resource + Send + 'static,
    E: Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
{
    const LISTS: bool = false;

    fn name(&self) -> String {
        "a stream".to_owned()
    }

    fn feed<T: Send + Sync + 'static>(self, parts: Parts<K, T>) -> impl Future<Output = ()> + Send + 'static {
        let Parts { mut project, writer, status, record, orders, stop } = parts;
        let intake = Intake::new(
            writer,
            Box::new(move |item| match item.payload {
                Payload::Object(object) => {
                    project(*object).map_err(|source| DecodeError::projection(&item.meta, source))
                }
                // What follows a stream yields objects only.
                _ => Ok(None),
            }),
        );
        reflector::follow(self.events, intake, status, record, orders, stop)
    }
}

impl<E> fmt::Debug for FromStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream")
    }
}
