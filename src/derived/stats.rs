//! Statistics of a graph.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::tally::NodeTally;

/// Statistics of a graph, from [`RunningGraph::stats`](super::RunningGraph::stats).
///
/// Counts begin at zero and never decrease. `Display` prints one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphStats {
    /// Count of ticks.
    pub ticks: u64,
    /// How long the last tick took.
    pub last_tick: Duration,
    /// How long the longest tick took: mostly the first one.
    pub longest_tick: Duration,
    /// Number of changes of the sources that no tick has processed yet ([`View::revision`](crate::View::revision)).
    pub lag: u64,
    /// The derived collections, in the order of their declaration.
    pub nodes: Vec<NodeStats>,
}

/// Statistics of one derived collection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// The name that it was declared with.
    pub name: Arc<str>,
    /// Count of inputs that had changed, or had read something that changed.
    pub dirty: u64,
    /// Count of calls of the transform.
    pub recomputed: u64,
    /// Count of values that were equal to those before, and so changed nothing.
    pub suppressed: u64,
    /// Count of panics of the transform.
    pub panics: u64,
    /// Number of values that are not shown, because another input has a value for the same key.
    pub duplicates: u64,
    /// Number of recorded reads.
    pub edges: u64,
}

impl NodeStats {
    pub(super) fn of(name: &Arc<str>, tally: &NodeTally) -> Self {
        Self {
            name: name.clone(),
            dirty: tally.dirty.get(),
            recomputed: tally.recomputed.get(),
            suppressed: tally.suppressed.get(),
            panics: tally.panics.get(),
            duplicates: tally.duplicates.get(),
            edges: tally.edges.get(),
        }
    }
}

impl fmt::Display for GraphStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ticks, last_tick, longest_tick, lag, nodes } = self;
        write!(f, "{ticks} ticks (last {last_tick:.1?}, longest {longest_tick:.1?}), {lag} behind")?;
        nodes.iter().try_for_each(|node| write!(f, "; {node}"))
    }
}

impl fmt::Display for NodeStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, dirty, recomputed, suppressed, panics, duplicates, edges } = self;
        write!(f, "{name}: {dirty} dirty, {recomputed} recomputed, {suppressed} equal, {edges} edges")?;
        if *panics > 0 {
            write!(f, ", {panics} panics")?;
        }
        if *duplicates > 0 {
            write!(f, ", {duplicates} duplicates")?;
        }
        Ok(())
    }
}
