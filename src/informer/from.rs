//! Where an informer's objects come from.

use std::fmt;

use futures_core::Stream;
use kube_client::Api;
use kube_core::Resource;
use kube_runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::builder::Project;
use crate::error::DecodeError;
use crate::reflector::{self, Options, Order, Status};
use crate::source::{Decoder, HttpSource, Limits, Payload, Selection};
use crate::store::{Errand, Intake, Writer};

/// Objects listed and watched at an API server. See [`Informer::builder`](crate::Informer::builder).
pub struct FromApi<K: Resource> {
    api: Api<K>,
    dyntype: K::DynamicType,
    /// Where the API addresses them otherwise.
    url: Option<String>,
    pub(super) selection: Selection,
    pub(super) keep_managed_fields: bool,
    pub(super) options: Options,
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

    /// Runs until `stop` is cancelled, or there is nothing more to come.
    #[doc(hidden)]
    fn feed<T: Send + Sync + 'static>(self, parts: Parts<K, T>) -> impl Future<Output = ()> + Send + 'static;
}

/// What a feed works with.
pub struct Parts<K, T> {
    pub(super) project: Project<K, T>,
    pub(super) writer: Writer<T>,
    pub(super) status: watch::Sender<Status>,
    pub(super) orders: mpsc::Receiver<Order<Errand<T>>>,
    pub(super) stop: CancellationToken,
}

// === impl FromApi ===

impl<K: Resource> FromApi<K> {
    pub(crate) fn new(api: Api<K>, dyntype: K::DynamicType) -> Self {
        Self {
            api,
            dyntype,
            url: None,
            selection: Selection::default(),
            keep_managed_fields: false,
            options: Options::default(),
        }
    }

    /// Only one namespace, for kinds of which that is not known when this is compiled.
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        self.url = Some(K::url_path(&self.dyntype, Some(namespace)));
        self
    }
}

impl<K> Feed<K> for FromApi<K>
where
    K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
{
    const LISTS: bool = true;

    fn feed<T: Send + Sync + 'static>(self, parts: Parts<K, T>) -> impl Future<Output = ()> + Send + 'static {
        let Parts { mut project, writer, status, orders, stop } = parts;
        let decoder = Decoder::new(&self.dyntype, self.keep_managed_fields);
        let mut source = HttpSource::new(self.api, &self.dyntype, self.selection, Limits::default());
        if let Some(url) = self.url {
            source = source.at(url);
        }
        let intake = Intake::new(
            writer,
            Box::new(move |item| {
                let (meta, object) = decoder.decode(item)?;
                project(object).map_err(|source| DecodeError::projection(&meta, source))
            }),
        );
        let options = self.options;
        async move { drop(reflector::run(source, intake, status, orders, stop, options).await) }
    }
}

impl<K: Resource> fmt::Debug for FromApi<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.as_deref().unwrap_or_else(|| self.api.resource_url());
        write!(f, "{url} of {:?}", self.selection)
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

    fn feed<T: Send + Sync + 'static>(self, parts: Parts<K, T>) -> impl Future<Output = ()> + Send + 'static {
        let Parts { mut project, writer, status, orders, stop } = parts;
        let intake = Intake::new(
            writer,
            Box::new(move |item| match item.payload {
                Payload::Object(object) => {
                    project(object).map_err(|source| DecodeError::projection(&item.meta, source))
                }
                // What follows a stream yields objects only.
                _ => Ok(None),
            }),
        );
        reflector::follow(self.events, intake, status, orders, stop)
    }
}

impl<E> fmt::Debug for FromStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream")
    }
}
