//! Walking the leaves below some children, in hash order, without recursion.

use super::node::Child;

/// Levels kept without allocating: enough for 2^30 elements at the default width, unless hashes are bad.
const INLINE: usize = 6;

/// The leaves below a list of adjacent children.
pub(super) struct Leaves<'a, E> {
    /// What is left to visit of each level, the deepest one last.
    inline: [&'a [Child<E>]; INLINE],
    /// Levels beyond those.
    spilled: Vec<&'a [Child<E>]>,
    depth: usize,
}

impl<'a, E> Leaves<'a, E> {
    pub(super) fn new(children: &'a [Child<E>]) -> Self {
        let mut inline: [&[Child<E>]; INLINE] = [&[]; INLINE];
        inline[0] = children;
        Self { inline, spilled: Vec::new(), depth: 1 }
    }

    fn deepest(&mut self) -> Option<&mut &'a [Child<E>]> {
        match self.spilled.last_mut() {
            Some(level) => Some(level),
            None => self.inline[..self.depth].last_mut(),
        }
    }

    fn push(&mut self, children: &'a [Child<E>]) {
        if self.depth < INLINE {
            self.inline[self.depth] = children;
            self.depth += 1;
        } else {
            self.spilled.push(children);
        }
    }

    fn pop(&mut self) {
        if self.spilled.pop().is_none() {
            self.depth -= 1;
        }
    }
}

impl<'a, E> Iterator for Leaves<'a, E> {
    /// The slots of one leaf.
    type Item = &'a [Option<E>];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.deepest()?;
            let Some((child, rest)) = level.split_first() else {
                self.pop();
                continue;
            };
            *level = rest;
            match child {
                Child::Empty => {}
                Child::Leaf(leaf) => return Some(leaf.slots()),
                Child::Node(_, node) => self.push(node.children()),
            }
        }
    }
}
