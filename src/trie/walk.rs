//! Walking the leaves below some children, in hash order, without recursion.

use super::node::Child;
use super::stack::Stack;

/// The leaves below a list of adjacent children.
pub(super) struct Leaves<'a, E>(Stack<'a, Child<E>>);

impl<'a, E> Leaves<'a, E> {
    pub(super) fn new(children: &'a [Child<E>]) -> Self {
        Self(Stack::new(children))
    }
}

impl<'a, E> Iterator for Leaves<'a, E> {
    /// The slots of one leaf.
    type Item = &'a [Option<E>];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.0.top()?;
            let Some((child, rest)) = level.split_first() else {
                self.0.pop();
                continue;
            };
            *level = rest;
            match child {
                Child::Empty => {}
                Child::Leaf(leaf) => return Some(leaf.slots()),
                Child::Node(_, node) => self.0.push(node.children()),
            }
        }
    }
}
