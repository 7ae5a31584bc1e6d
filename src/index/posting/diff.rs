//! The differences of two versions of a posting.
//!
//! Both are walked in key order. Next on each side is an element, or a node that is not opened yet. If both
//! sides are at the same node, both skip it. If one side is at a node and the other at an element, the node
//! is opened. In the worst case this compares a shared chunk pointer by pointer, and after it both sides are
//! at a node again.

use std::cmp::Ordering;
use std::iter::FusedIterator;
use std::slice;

use super::node::Node;
use super::{Form, Ordered, Posting};
use crate::trie::{Difference, Stack};

/// The differences of two postings, computed lazily. Made by [`Posting::diff`].
pub(crate) struct Diff<'a, E> {
    old: Side<'a, E>,
    new: Side<'a, E>,
}

/// The rest of one posting: some elements, then some nodes.
struct Side<'a, E> {
    elements: &'a [Option<E>],
    nodes: Stack<'a, Node<E>>,
}

/// The next element or node of one side.
enum Next<'a, E> {
    Element(&'a E),
    Node(&'a Node<E>),
    End,
}

impl<E: Ordered> Posting<E> {
    /// The changes from `old` to `new`, in key order, each key once.
    ///
    /// Lazy: keeps the current path, but no list of changes. Skips shared parts: reads O(changes) chunks if
    /// one version was made from the other, else O(n). Elements are equal exactly if their pointers are.
    pub(crate) fn diff<'a>(old: &'a Self, new: &'a Self) -> Diff<'a, E> {
        if old.ptr_eq(new) {
            return Diff { old: Side::nothing(), new: Side::nothing() };
        }
        Diff { old: Side::new(old), new: Side::new(new) }
    }
}

impl<'a, E: Ordered> Iterator for Diff<'a, E> {
    type Item = Difference<'a, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match (self.old.next(), self.new.next()) {
                (Next::End, Next::End) => return None,
                (Next::Element(old), Next::End) => return Some(self.removed(old)),
                (Next::End, Next::Element(new)) => return Some(self.added(new)),
                (Next::Element(old), Next::Element(new)) => {
                    if old.ptr_eq(new) {
                        self.old.skip_element();
                        self.new.skip_element();
                        continue;
                    }
                    return Some(match old.cmp_key(new) {
                        Ordering::Less => self.removed(old),
                        Ordering::Greater => self.added(new),
                        Ordering::Equal => {
                            self.old.skip_element();
                            self.new.skip_element();
                            Difference { old: Some(old), new: Some(new) }
                        }
                    });
                }
                (Next::Node(old), Next::Node(new)) => self.look_into(old, new),
                (Next::Node(node), _) => self.old.look_into(node),
                (_, Next::Node(node)) => self.new.look_into(node),
            }
        }
    }
}

impl<E: Ordered> FusedIterator for Diff<'_, E> {}

impl<'a, E: Ordered> Diff<'a, E> {
    fn removed(&mut self, old: &'a E) -> Difference<'a, E> {
        self.old.skip_element();
        Difference { old: Some(old), new: None }
    }

    fn added(&mut self, new: &'a E) -> Difference<'a, E> {
        self.new.skip_element();
        Difference { old: None, new: Some(new) }
    }

    /// Skips both nodes if they are the same, else opens the higher one, or both.
    fn look_into(&mut self, old: &'a Node<E>, new: &'a Node<E>) {
        if old.ptr_eq(new) {
            self.old.skip_node();
            self.new.skip_node();
            return;
        }
        let (old_height, new_height) = (old.height(), new.height());
        if old_height >= new_height {
            self.old.look_into(old);
        }
        if new_height >= old_height {
            self.new.look_into(new);
        }
    }
}

// === impl Side ===

impl<'a, E> Side<'a, E> {
    fn new(posting: &'a Posting<E>) -> Self {
        let (elements, nodes): (&[Option<E>], &[Node<E>]) = match &posting.0 {
            Form::Few(element) => (slice::from_ref(element), &[]),
            Form::Chunk(chunk) => (chunk.slots(), &[]),
            Form::Tree(root) => (&[], root.children()),
        };
        Self { elements, nodes: Stack::new(nodes) }
    }

    fn nothing() -> Self {
        Self { elements: &[], nodes: Stack::new(&[]) }
    }

    fn next(&mut self) -> Next<'a, E> {
        loop {
            match self.elements.split_first() {
                Some((Some(element), _)) => return Next::Element(element),
                Some((None, rest)) => self.elements = rest,
                None => break,
            }
        }
        loop {
            match self.nodes.top() {
                None => return Next::End,
                Some([node, ..]) => return Next::Node(node),
                Some([]) => self.nodes.pop(),
            }
        }
    }

    fn skip_element(&mut self) {
        self.elements = self.elements.get(1..).unwrap_or_default();
    }

    fn skip_node(&mut self) {
        if let Some(level) = self.nodes.top() {
            *level = level.get(1..).unwrap_or_default();
        }
    }

    /// Opens the next node.
    fn look_into(&mut self, node: &'a Node<E>) {
        self.skip_node();
        match node {
            Node::Chunk(chunk) => self.elements = chunk.slots(),
            Node::Inner(inner) => self.nodes.push(inner.children()),
        }
    }
}
