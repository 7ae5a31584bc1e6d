//! The promises of derived collections, each with a test of that name.

mod changes;
mod diamond;
mod ends;
mod hand;
mod indexes;
mod keys;
mod model;
mod panics;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use self::hand::Hand;
use super::{Graph, NodeStats, RunningGraph};
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::quiet::quiet_panics;
use crate::snapshot::View;

/// The objects, in order.
fn content<T: Clone>(view: &View<T>) -> Vec<(String, T)> {
    let mut all: Vec<_> =
        view.iter().map(|object| (Obj::key(object).to_string(), T::clone(object))).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// The content, written short.
fn of<T>(objects: impl IntoIterator<Item = (&'static str, T)>) -> Vec<(String, T)> {
    objects.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn node(graph: &RunningGraph, name: &str) -> NodeStats {
    graph.stats().nodes.into_iter().find(|node| &*node.name == name).unwrap()
}

/// Counts the calls of a transform.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// The calls since the last time.
    fn take(&self) -> usize {
        self.0.swap(0, Relaxed)
    }
}

fn key(name: impl ToString) -> ObjectKey {
    ObjectKey::cluster(&name.to_string())
}
