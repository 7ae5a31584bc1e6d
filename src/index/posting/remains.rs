//! Freeing postings in small parts.

use super::node::{Inner, Node};
use super::{Form, Posting};
use crate::free::free;

/// The rest of large postings that are being freed: children of nodes that no other version shares.
pub(crate) struct Pieces<E>(Vec<Node<E>>);

impl<E> Pieces<E> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a posting; a small one is freed at once.
    pub(crate) fn add(&mut self, posting: Posting<E>) {
        match posting.0 {
            Form::Tree(root) => self.0.push(Node::Inner(root)),
            small => free(small),
        }
    }

    /// Frees one chunk, or releases a shared node. Returns false if nothing was left.
    pub(crate) fn free_some(&mut self) -> bool {
        match self.0.pop() {
            None => return false,
            Some(Node::Chunk(chunk)) => free(chunk),
            Some(Node::Inner(inner)) => inner.into_unshared(&mut self.0),
        }
        true
    }
}

impl<E> Inner<E> {
    /// Adds the children to `out` if no other version shares this node, then releases the node.
    fn into_unshared(self, out: &mut Vec<Node<E>>) {
        if self.is_unshared() {
            // The clones are owned by `out`, so that dropping this node frees no child yet.
            out.extend(self.children().iter().cloned());
        }
    }
}
