//! All collections of a graph at one moment.

use std::fmt;
use std::sync::Arc;

use super::Node;
use super::step::AnySnapshot;
use crate::snapshot::Snapshot;

/// The sources and the derived collections of a graph, as one tick has published them: see
/// [`RunningGraph::view`](super::RunningGraph::view).
///
/// It never changes. As a snapshot, it keeps old versions in memory while it is held.
pub struct GraphView {
    pub(super) graph: u64,
    pub(super) tick: u64,
    /// By node.
    pub(super) snapshots: Box<[Arc<dyn AnySnapshot>]>,
}

impl GraphView {
    /// Returns the snapshot of one collection. O(1). The derived collections are what the transforms return for exactly
    /// these sources.
    ///
    /// # Panics
    ///
    /// If the node belongs to another graph.
    #[track_caller]
    pub fn of<T: Send + Sync + 'static>(&self, node: Node<T>) -> &Snapshot<T> {
        let snapshot = self.snapshots.get(node.id as usize).filter(|_| node.graph == self.graph);
        match snapshot.and_then(|snapshot| snapshot.typed()) {
            Some(snapshot) => snapshot,
            None => panic!("the node belongs to another graph"),
        }
    }

    /// The number of the tick: 1 for the first one, 0 before it.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// Whether all sources have synced and the first tick is done; before that all collections are empty.
    pub fn is_synced(&self) -> bool {
        self.tick > 0
    }
}

impl fmt::Debug for GraphView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphView").field("tick", &self.tick).field("nodes", &self.snapshots.len()).finish()
    }
}
