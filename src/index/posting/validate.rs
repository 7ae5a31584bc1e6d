//! Checks of every invariant, for tests and debug builds.

use std::cmp::Ordering;

use super::node::{FULL, Inner, Node, SPARSE};
use super::{ALONE, Form, Posting, TREE};

impl<E: Clone> Posting<E> {
    /// Panics unless every invariant holds. `cmp` compares the keys of two elements. O(n).
    pub(crate) fn validate(&self, cmp: impl Fn(&E, &E) -> Ordering) {
        match &self.0 {
            Form::Few(_) => {}
            Form::Chunk(chunk) => {
                assert!((2..=ALONE).contains(&chunk.len()), "chunk of {} elements", chunk.len());
                assert!(chunk.slots().iter().all(Option::is_some), "hole in a chunk");
            }
            Form::Tree(root) => {
                assert!(root.len() >= TREE, "tree of {} elements", root.len());
                check(root, 2);
            }
        }
        let elements: Vec<&E> = self.iter().collect();
        assert_eq!(elements.len(), self.len(), "iteration loses elements");
        assert!(elements.is_sorted_by(|a, b| cmp(a, b) == Ordering::Less), "elements not sorted");
    }
}

fn check<E>(inner: &Inner<E>, min: usize) {
    let children = inner.children();
    assert!((min..=FULL).contains(&children.len()), "node of {} children", children.len());
    assert_eq!(inner.len(), children.iter().map(Node::len).sum::<usize>(), "wrong length");
    for child in children {
        assert_eq!(child.height() + 1, inner.height(), "chunks at several depths");
        match child {
            Node::Chunk(chunk) => {
                assert!((SPARSE..=FULL).contains(&chunk.len()), "chunk of {} elements", chunk.len());
                assert!(chunk.slots().iter().all(Option::is_some), "hole in a chunk");
            }
            Node::Inner(below) => check(below, SPARSE),
        }
    }
}
