//! The statistics of informers, queues and controllers as metrics, through the
//! [`metrics`](https://docs.rs/metrics) facade. Needs the feature `metrics`.
//!
//! An [`Exporter`] samples its sources when [`record`](Exporter::record) is called, and at no other time: it adds no
//! work to a read, a change or a reconcile. Any exporter of the facade works. With `metrics-exporter-prometheus`, call
//! `record` in the handler of `/metrics`, before `render`:
//!
//! ```
//! use k8s_openapi::api::core::v1::Pod;
//! use kube_client::Client;
//! use kube_informer::{Registry, metrics::Exporter, queue::WorkQueue};
//! use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use kube_informer::testing::{ApiServer, Kind};
//! # let server = ApiServer::builder().kind(Kind::namespaced("", "v1", "Pod", "pods").built_in()).build();
//! # let client = Client::new(server.service(), "default");
//! let prometheus: PrometheusHandle = PrometheusBuilder::new().install_recorder()?;
//! let registry = Registry::new(client);
//! let queue = WorkQueue::<String>::new();
//! let exporter = Exporter::new().registry(&registry).queue("pods", &queue);
//!
//! let pods = registry.declare::<Pod>().informer();
//! registry.start();
//! registry.synced().await?;
//!
//! // What GET /metrics returns:
//! exporter.record();
//! let text = prometheus.render();
//! assert!(text.contains(r#"kube_informer_objects{kind="pods",scope="all",stored="Pod"} 0"#));
//! assert!(text.contains(r#"workqueue_depth{name="pods"} 0"#));
//! # drop(pods);
//! # Ok(())
//! # }
//! ```
//!
//! An exporter that pushes needs a task that calls `record` at an interval.
//!
//! # Metrics
//!
//! `docs/OBSERVING.md` lists all of them; a Grafana dashboard and alert rules are in `docs/grafana`.
//!
//! - Informers: `kube_informer_*`, with the labels `kind`, `scope` (`all`, or as [`Scope`](crate::Scope) prints it) and
//!   `stored` (the type, as in [`InformerStats::stored`](crate::registry::InformerStats::stored)).
//! - Queues: the names of client-go, `workqueue_*`, with the label `name`.
//! - Controllers: `kube_informer_controller_*`, with the label `controller`, and the queue of each as above.
//!
//! The facade cannot set a histogram that was counted elsewhere. So each histogram is exported as the series that
//! Prometheus stores for it: the counters `_bucket` (label `le`, cumulative) and `_count`, and the gauge `_sum`. They
//! are exact, and `histogram_quantile(0.99, rate(workqueue_queue_duration_seconds_bucket[5m]))` works as for any
//! histogram; only the `TYPE` lines differ. Bounds are 1 us, 4 us, and so on up to 18 minutes.
//!
//! # Limits
//!
//! - Exporters of the facade remember series. An informer that is gone keeps its last values, unless the exporter drops
//!   series that are not recorded (`PrometheusBuilder::idle_timeout`).
//! - A counter never decreases. If an informer replaces another one with the same labels, its counters stay at the old
//!   values until they exceed them. The same holds for the queue of a controller, which is a new one in each run.
//! - Do not enable an option of the exporter that appends `_total` or units to names: the names contain them already.
#![deny(missing_docs)]

mod controller;
mod informer;
mod labels;
mod names;
mod queue;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use self::controller::Controlled;
use self::informer::Single;
use self::queue::Named;
use crate::controller::Handle;
use crate::informer::Informer;
use crate::queue::WorkQueue;
use crate::registry::Registry;

/// Records statistics as metrics; see the [module](self).
///
/// It does not keep informers running. Cloning copies a pointer for each source.
#[derive(Clone, Default)]
pub struct Exporter {
    sources: Vec<Arc<dyn Source>>,
}

/// A source that an exporter samples. Each kind of source has a file of its own, a section of [`names`], and a method
/// of [`Exporter`] that adds it.
trait Source: Send + Sync {
    /// Records the current values of all its metrics.
    fn record(&self);
}

// === impl Exporter ===

impl Exporter {
    /// Creates an exporter without sources.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds all informers of a registry, including those declared later.
    #[must_use]
    pub fn registry(self, registry: &Registry) -> Self {
        self.source(registry.clone())
    }

    /// Adds one informer that belongs to no registry. `kind` is the value of the label; the label `scope` is not set.
    #[must_use]
    pub fn informer<T: Send + Sync + 'static>(self, kind: impl Into<String>, informer: &Informer<T>) -> Self {
        self.source(Single { kind: kind.into(), informer: informer.downgrade() })
    }

    /// Adds a queue. `name` is the value of the label.
    #[must_use]
    pub fn queue<K: Hash + Eq + Send + Sync + 'static>(
        self,
        name: impl Into<String>,
        queue: &WorkQueue<K>,
    ) -> Self {
        self.source(Named { name: name.into(), queue: queue.clone() })
    }

    /// Adds a controller and its queue.
    ///
    /// `name` is the value of the label `controller`, and of the queue's label `name`; no two controllers or queues
    /// should share it. The queue is exported when the controller has run.
    #[must_use]
    pub fn controller(self, name: impl Into<String>, handle: &Handle) -> Self {
        self.source(Controlled { name: name.into(), handle: handle.clone() })
    }

    /// Records the current values of all sources, with the recorder of the calling thread or else the global one.
    /// Without a recorder this has no effect.
    ///
    /// About 30 series for each informer, 50 for each queue and 80 for each controller with its queue; a series costs a
    /// few allocations and a look-up by its labels, about a microsecond. The locks are those of [`Informer::stats`],
    /// [`WorkQueue::stats`] and [`Handle::stats`]. Calls may overlap.
    pub fn record(&self) {
        names::describe();
        self.sources.iter().for_each(|source| source.record());
    }

    fn source(mut self, source: impl Source + 'static) -> Self {
        self.sources.push(Arc::new(source));
        self
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exporter({} sources)", self.sources.len())
    }
}
