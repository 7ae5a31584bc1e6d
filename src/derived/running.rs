//! The handle of a running graph.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::source::AnyShared;
use super::stats::{GraphStats, NodeStats};
use super::tally::{GraphTally, NodeTally};
use super::view::GraphView;
use crate::error::{Error, ErrorKind};
use crate::informer::Lifetime;
use crate::snapshot::Snapshot;

/// A handle to a running graph. Cloning copies pointers.
///
/// The graph runs until [`shutdown`](Self::shutdown), or until this handle with its clones, and all informers and
/// subscriptions of its derived collections are dropped. It keeps its sources running.
#[derive(Clone)]
pub struct RunningGraph {
    pub(super) shared: Arc<Shared>,
    pub(super) lifetime: Arc<Lifetime>,
}

/// What the handles read.
pub(super) struct Shared {
    pub(super) name: Box<str>,
    /// Set before the nodes of a tick are published, so that no node is ahead of it.
    pub(super) newest: ArcSwap<GraphView>,
    /// Set after them, so that all nodes have what it has.
    pub(super) published: watch::Receiver<Arc<GraphView>>,
    pub(super) tally: GraphTally,
    pub(super) nodes: Vec<(Arc<str>, Arc<NodeTally>)>,
    pub(super) sources: Vec<SharedSource>,
}

pub(super) struct SharedSource {
    pub(super) node: u32,
    pub(super) name: Box<str>,
    pub(super) shared: Arc<dyn AnyShared>,
}

impl RunningGraph {
    /// Returns the collections of the newest tick, all of one moment. O(1), lock-free. Before the first tick all are
    /// empty.
    ///
    /// It is never behind the informers of the derived collections: a change that a subscription has delivered is in it.
    pub fn view(&self) -> Arc<GraphView> {
        self.shared.newest.load_full()
    }

    /// Waits until all sources have synced and the first tick is done. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] if the graph stops first.
    pub async fn synced(&self) -> Result<Arc<GraphView>, Error> {
        self.wait(GraphView::is_synced).await
    }

    /// Waits until all collections reflect a snapshot of one of the sources, and returns a view that does. All informers
    /// of the graph then show it, too.
    ///
    /// To read one's own write in a derived collection:
    ///
    /// ```
    /// # use k8s_openapi::api::core::v1::Pod;
    /// # use kube_informer::{Error, Informer, derived::RunningGraph};
    /// # async fn example(pods: Informer<Pod>, graph: RunningGraph, written: Pod) -> Result<(), Error> {
    /// let view = graph.reached(&pods.at_least(&written).await?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] if the graph stops first.
    ///
    /// # Panics
    ///
    /// If the snapshot belongs neither to a source of this graph nor to one of its derived collections.
    pub async fn reached<T: Send + Sync + 'static>(
        &self,
        snapshot: &Snapshot<T>,
    ) -> Result<Arc<GraphView>, Error> {
        let (store, revision) = (snapshot.store, snapshot.revision);
        let view = self.view();
        let Some(node) = view.snapshots.iter().position(|snapshot| snapshot.store() == store) else {
            panic!("the snapshot belongs to no source of the graph {}", self.shared.name)
        };
        let reached = |view: &GraphView| view.snapshots.get(node).is_some_and(|it| it.revision() >= revision);
        self.wait(|view| view.is_synced() && reached(view)).await
    }

    /// The names of the sources that have not synced, for which the graph waits. Empty when [`synced`](Self::synced)
    /// is near. O(sources).
    pub fn not_synced(&self) -> Vec<String> {
        let missing = self.shared.sources.iter().filter(|source| !source.shared.is_synced());
        missing.map(|source| source.name.to_string()).collect()
    }

    /// Returns statistics. O(nodes), lock-free.
    pub fn stats(&self) -> GraphStats {
        let Shared { tally, nodes, sources, newest, .. } = &*self.shared;
        let view = newest.load();
        let lag = sources.iter().map(|source| {
            let reached = view.snapshots.get(source.node as usize).map_or(0, |snapshot| snapshot.revision());
            source.shared.revision().saturating_sub(reached)
        });
        GraphStats {
            ticks: tally.ticks.get(),
            last_tick: tally.last(),
            longest_tick: tally.longest(),
            lag: lag.sum(),
            nodes: nodes.iter().map(|(name, tally)| NodeStats::of(name, tally)).collect(),
        }
    }

    /// Stops the graph and all its informers, and waits until its task has ended. The sources go on. The last view, and
    /// the snapshots of the informers, stay readable. A tick in progress is aborted. Cancel-safe, as
    /// [`Informer::shutdown`](crate::Informer::shutdown).
    pub async fn shutdown(&self) {
        self.lifetime.shutdown().await;
    }

    async fn wait(&self, reached: impl Fn(&GraphView) -> bool) -> Result<Arc<GraphView>, Error> {
        let mut published = self.shared.published.clone();
        let found = published.wait_for(|view| reached(view)).await;
        found.map(|view| view.clone()).map_err(|_| ErrorKind::Stopped.into())
    }
}

impl fmt::Debug for RunningGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningGraph({}: {})", self.shared.name, self.stats())
    }
}
