//! The versions that the nodes of one tick are computed from.

use std::sync::Arc;

use super::Node;
use super::step::{AnyStep, Step};

/// One tick in progress: what it has done to the sources, and to the nodes computed so far.
pub(super) struct Tick {
    /// 1 for the first tick.
    pub(super) number: u64,
    pub(super) graph: u64,
    /// By node. `None` for nodes that come later.
    steps: Vec<Option<Arc<dyn AnyStep>>>,
}

impl Tick {
    pub(super) fn new(number: u64, graph: u64, nodes: usize) -> Self {
        Self { number, graph, steps: vec![None; nodes] }
    }

    pub(super) fn set(&mut self, node: u32, step: Arc<dyn AnyStep>) {
        if let Some(place) = self.steps.get_mut(node as usize) {
            *place = Some(step);
        }
    }

    pub(super) fn step(&self, node: u32) -> Option<&dyn AnyStep> {
        self.steps.get(node as usize)?.as_deref()
    }

    /// `None` if the node belongs to another graph, or comes later.
    pub(super) fn typed<T: 'static>(&self, node: Node<T>) -> Option<&Step<T>> {
        self.step(node.id).filter(|_| node.graph == self.graph)?.typed()
    }
}
