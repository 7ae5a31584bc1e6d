//! Handles of the nodes of a graph.

use std::fmt;
use std::marker::PhantomData;

/// A handle to one collection of a [`Graph`](super::Graph): a source, or a derived collection.
///
/// It is `Copy`, and keeps nothing alive. Transforms capture it to read the collection.
pub struct Node<T> {
    pub(super) id: u32,
    /// The graph that it belongs to.
    pub(super) graph: u64,
    types: PhantomData<fn() -> T>,
}

impl<T> Node<T> {
    pub(super) fn new(id: u32, graph: u64) -> Self {
        Self { id, graph, types: PhantomData }
    }
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Node<T> {}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.id)
    }
}
