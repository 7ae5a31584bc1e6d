//! Nodes: one child per range of slots, copied only when shared.

use triomphe::{Arc, ThinArc};

use super::leaf::Leaf;
use super::ranges::Ranges;
use crate::fetch::fetch;

/// The content of a range of hashes. The ranges of a node are stored here, beside the pointer to it, so that
/// a look-up knows which child to read before it reads the node.
pub(super) enum Child<E> {
    Empty,
    Leaf(Leaf<E>),
    Node(Ranges, Node<E>),
}

/// The children of one node, exactly one for each of its ranges.
pub(super) struct Node<E>(ThinArc<(), Child<E>>);

// === impl Child ===

impl<E> Child<E> {
    /// The same allocation, or both empty.
    pub(super) fn ptr_eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Empty, Self::Empty) => true,
            (Self::Leaf(a), Self::Leaf(b)) => a.ptr_eq(b),
            (Self::Node(_, a), Self::Node(_, b)) => std::ptr::eq(a.0.as_ptr(), b.0.as_ptr()),
            _ => false,
        }
    }

    /// Whether there is something below that no other version shares.
    pub(super) fn is_unshared(&self) -> bool {
        self.count() == 1
    }

    /// The reference count, 0 if there is nothing below.
    fn count(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Leaf(leaf) => leaf.count(),
            Self::Node(_, node) => ThinArc::strong_count(&node.0),
        }
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Empty)
    }
}

impl<E> Clone for Child<E> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Leaf(leaf) => Self::Leaf(leaf.clone()),
            Self::Node(ranges, node) => Self::Node(*ranges, Node(node.0.clone())),
        }
    }
}

// === impl Node ===

impl<E> Node<E> {
    pub(super) fn new(children: impl ExactSizeIterator<Item = Child<E>>) -> Self {
        Self(ThinArc::from_header_and_iter((), children))
    }

    #[inline]
    pub(super) fn child(&self, index: usize) -> &Child<E> {
        &self.0.slice[index]
    }

    #[inline]
    pub(super) fn children(&self) -> &[Child<E>] {
        &self.0.slice
    }

    /// Lets `f` change the children, which are copied first if another version shares the node. Copying makes
    /// the children shared, so lower levels are copied when they are changed.
    pub(super) fn change<R>(&mut self, f: impl FnOnce(&mut [Child<E>]) -> R) -> R {
        // `&mut self` prevents other owners from cloning this pointer, so a count of one cannot grow
        // meanwhile.
        if ThinArc::strong_count(&self.0) != 1 {
            fetch(self.children().iter().map(Child::count));
            self.0 = ThinArc::from_header_and_iter((), self.0.slice.iter().cloned());
        }
        self.0.with_arc_mut(|arc| {
            let own = Arc::get_mut(arc).expect("just made unshared");
            f(own.slice_mut())
        })
    }

    /// Moves the children that no other version shares to `out`, then releases the node with the others.
    pub(super) fn into_unshared(mut self, out: &mut Vec<Child<E>>) {
        self.0.with_arc_mut(|arc| {
            if let Some(own) = Arc::get_mut(arc) {
                let children = own.slice_mut().iter_mut();
                out.extend(children.filter(|child| child.is_unshared()).map(Child::take));
            }
        });
    }

    /// Replaces `cut` children from `at` on by `put`. A node has an exact size, so this makes a new one.
    /// Children are moved, without touching their reference counts.
    pub(super) fn splice(&mut self, at: usize, cut: usize, put: impl ExactSizeIterator<Item = Child<E>>) {
        let added = put.len();
        let len = self.0.slice.len() - cut + added;
        let mut put = put;
        let spliced = self.change(|old| {
            Self::new((0..len).map(|i| {
                if i < at {
                    old[i].take()
                } else if i < at + added {
                    put.next().unwrap_or(Child::Empty)
                } else {
                    old[i - added + cut].take()
                }
            }))
        });
        *self = spliced;
    }
}
