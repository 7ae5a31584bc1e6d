//! What the feature `metrics` exports, as `metrics-exporter-prometheus` renders it, and the files in docs/grafana that
//! use it.
#![cfg(all(feature = "metrics", feature = "testing"))]

mod controllers;
mod export;
mod grafana;
mod promql;
mod rendered;
