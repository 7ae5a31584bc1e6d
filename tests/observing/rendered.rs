//! A recorder of one test, and what it renders.

use std::collections::BTreeSet;

use kube_informer::metrics::Exporter;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

/// Records with a recorder of its own.
pub(crate) struct Prometheus(PrometheusRecorder);

/// The text of one scrape.
#[derive(Debug)]
pub(crate) struct Rendered(String);

// === impl Prometheus ===

impl Prometheus {
    pub(crate) fn new() -> Self {
        Self(PrometheusBuilder::new().build_recorder())
    }

    pub(crate) fn scrape(&self, exporter: &Exporter) -> Rendered {
        metrics::with_local_recorder(&self.0, || exporter.record());
        Rendered(self.0.handle().render())
    }
}

// === impl Rendered ===

impl Rendered {
    /// The value of a series; labels are in the order in which they were set.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.series().find(|(name, _)| *name == series).map(|(_, value)| value)
    }

    /// The names of all metrics.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.series().map(|(series, _)| series.split('{').next().unwrap()).collect()
    }

    /// The names that have a `HELP` line.
    pub(crate) fn described(&self) -> BTreeSet<&str> {
        let helps = self.0.lines().filter_map(|line| line.strip_prefix("# HELP "));
        helps.map(|help| help.split(' ').next().unwrap()).collect()
    }

    /// The part of a series before its value has no space outside of quotes, but its labels may.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series, value.parse().unwrap())
        })
    }
}
