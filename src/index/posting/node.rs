//! Inner nodes of large postings: children in order, copied only when shared.

use std::cmp::Ordering;

use triomphe::{Arc, ThinArc};

use super::chunk::Chunk;

/// The most elements of a chunk in a tree, and the most children of an inner node. A change copies at most
/// this many per level; a walk reads up to this many in a row.
pub(super) const FULL: usize = 64;

/// A child of fewer elements or children than this is joined or evened out with its neighbour.
pub(super) const SPARSE: usize = 16;

/// Two siblings are joined only if the result has room for [`SPARSE`] more, so that the next insertions do
/// not split it again.
pub(super) const JOINED: usize = FULL - SPARSE;

pub(super) enum Node<E> {
    Chunk(Chunk<E>),
    Inner(Inner<E>),
}

/// Children of one height, in the order of their keys, and the number of elements below them. Keys are not
/// stored beside the children: the first element of each is found by going down, so that no key can outlive
/// its element.
pub(super) struct Inner<E>(ThinArc<Below, Node<E>>);

#[derive(Clone, Copy)]
struct Below {
    elements: usize,
    /// One if the children are chunks.
    height: usize,
}

// === impl Node ===

impl<E> Node<E> {
    /// The number of elements below this node.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.len(),
            Self::Inner(inner) => inner.len(),
        }
    }

    /// The number of its own elements or children, which [`FULL`] and [`SPARSE`] limit.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.len(),
            Self::Inner(inner) => inner.children().len(),
        }
    }

    pub(super) fn height(&self) -> usize {
        match self {
            Self::Chunk(_) => 0,
            Self::Inner(inner) => inner.height(),
        }
    }

    pub(super) fn first(&self) -> Option<&E> {
        match self {
            Self::Chunk(chunk) => chunk.first(),
            Self::Inner(inner) => inner.first(),
        }
    }

    pub(super) fn last(&self) -> Option<&E> {
        match self {
            Self::Chunk(chunk) => chunk.last(),
            Self::Inner(inner) => inner.last(),
        }
    }
}

impl<E: Clone> Node<E> {
    /// Clones the elements to the end of `out`. Only splits, joins and changes of form do this, so moving
    /// elements out of unshared chunks is not worth the code.
    pub(super) fn clone_into(&self, out: &mut Vec<Option<E>>) {
        match self {
            Self::Chunk(chunk) => out.extend_from_slice(chunk.slots()),
            Self::Inner(inner) => inner.children().iter().for_each(|child| child.clone_into(out)),
        }
    }
}

impl<E> Clone for Node<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Chunk(chunk) => Self::Chunk(chunk.clone()),
            Self::Inner(inner) => Self::Inner(inner.clone()),
        }
    }
}

// === impl Inner ===

impl<E> Inner<E> {
    pub(super) fn new(children: Vec<Node<E>>) -> Self {
        let elements = children.iter().map(Node::len).sum();
        let height = 1 + children.first().map_or(0, Node::height);
        Self(ThinArc::from_header_and_iter(Below { elements, height }, children.into_iter()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.header.header.elements
    }

    pub(super) fn height(&self) -> usize {
        self.0.header.header.height
    }

    pub(super) fn children(&self) -> &[Node<E>] {
        &self.0.slice
    }

    /// Whether no other version shares this node.
    pub(super) fn is_unshared(&self) -> bool {
        ThinArc::strong_count(&self.0) == 1
    }

    pub(super) fn first(&self) -> Option<&E> {
        let mut inner = self;
        loop {
            match inner.children().first()? {
                Node::Chunk(chunk) => return chunk.first(),
                Node::Inner(below) => inner = below,
            }
        }
    }

    pub(super) fn last(&self) -> Option<&E> {
        let mut inner = self;
        loop {
            match inner.children().last()? {
                Node::Chunk(chunk) => return chunk.last(),
                Node::Inner(below) => inner = below,
            }
        }
    }

    pub(super) fn get(&self, order: &impl Fn(&E) -> Ordering) -> Option<&E> {
        let mut inner = self;
        loop {
            match inner.children().get(inner.child_of(order))? {
                Node::Chunk(chunk) => return chunk.get(order),
                Node::Inner(below) => inner = below,
            }
        }
    }

    /// The child that contains the element or is its place: the last child that does not begin after it.
    pub(super) fn child_of(&self, order: &impl Fn(&E) -> Ordering) -> usize {
        let begins_before = |child: &Node<E>| child.first().is_some_and(|e| order(e) != Ordering::Greater);
        match self.children().split_last() {
            Some((last, before)) if begins_before(last) => before.len(),
            _ => self.children().partition_point(begins_before).saturating_sub(1),
        }
    }

    /// Lets `f` change the children, which are copied first if another version shares the node, and updates
    /// the number of elements below.
    pub(super) fn change<R>(&mut self, f: impl FnOnce(&mut [Node<E>], &mut usize) -> R) -> R {
        // `&mut self` prevents other owners from cloning this pointer, so a count of one cannot grow
        // meanwhile.
        if ThinArc::strong_count(&self.0) != 1 {
            let below = self.0.header.header;
            self.0 = ThinArc::from_header_and_iter(below, self.0.slice.iter().cloned());
        }
        self.0.with_arc_mut(|arc| {
            let own = Arc::get_mut(arc).expect("just made unshared");
            let mut elements = own.header().elements;
            let result = f(own.slice_mut(), &mut elements);
            own.header_mut().elements = elements;
            result
        })
    }

    /// Replaces `cut` children from `at` on by others with the same total number of elements.
    pub(super) fn splice(&mut self, at: usize, cut: usize, put: impl IntoIterator<Item = Node<E>>) {
        let mut children = self.children().to_vec();
        children.splice(at..at + cut, put);
        self.0 = ThinArc::from_header_and_iter(self.0.header.header, children.into_iter());
    }
}

impl<E> Clone for Inner<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
