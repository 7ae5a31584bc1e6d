//! Removal from the chunk of the key, which is then joined with a neighbour if it is sparse.

use std::cmp::Ordering;

use super::chunk::Chunk;
use super::node::{Inner, JOINED, Node, SPARSE};
use super::{Form, Posting, TREE};

impl<E: Clone + PartialEq> Posting<E> {
    /// Removes an element and returns it. `order` compares the key of an element with that of this one.
    ///
    /// O(log n); an absent element copies nothing. In a chunk it compares elements, which is faster than to look at the
    /// keys of a few.
    pub(crate) fn remove(&mut self, element: &E, order: impl Fn(&E) -> Ordering) -> Option<E> {
        match &mut self.0 {
            Form::Few(one) => one.take_if(|one| one == element),
            Form::Chunk(chunk) => {
                let removed =
                    chunk.remove(chunk.slots().iter().position(|slot| slot.as_ref() == Some(element))?);
                if let [one] = chunk.slots() {
                    self.0 = Form::Few(one.clone());
                }
                removed
            }
            Form::Tree(root) => {
                root.get(&order)?;
                let removed = root.remove(&order);
                if root.len() < TREE {
                    let mut slots = Vec::with_capacity(root.len());
                    root.children().iter().for_each(|child| child.clone_into(&mut slots));
                    self.0 = Form::new(&mut slots);
                } else if let [Node::Inner(only)] = root.children() {
                    *root = only.clone();
                }
                removed
            }
        }
    }
}

impl<E: Clone> Inner<E> {
    fn remove(&mut self, order: &impl Fn(&E) -> Ordering) -> Option<E> {
        let at = self.child_of(order);
        let removed = self.change(|children, elements| {
            let removed = match &mut children[at] {
                Node::Chunk(chunk) => chunk.remove(chunk.search(order).ok()?),
                Node::Inner(inner) => inner.remove(order),
            };
            *elements -= usize::from(removed.is_some());
            removed
        });
        if self.children()[at].width() < SPARSE {
            self.even_out(at);
        }
        removed
    }

    /// Joins the child at `at` with a neighbour or, if both together are nearly full, divides them evenly.
    fn even_out(&mut self, at: usize) {
        let low = at.min(self.children().len().saturating_sub(2));
        let together = match &self.children()[low..] {
            [Node::Chunk(a), Node::Chunk(b), ..] => {
                let mut slots = [a.slots(), b.slots()].concat();
                let middle = middle(slots.len());
                let (lower, upper) = slots.split_at_mut(middle);
                let mut chunks = vec![Node::Chunk(Chunk::new(lower))];
                chunks.extend((!upper.is_empty()).then(|| Node::Chunk(Chunk::new(upper))));
                chunks
            }
            [Node::Inner(a), Node::Inner(b), ..] => {
                let mut children = [a.children(), b.children()].concat();
                let upper = children.split_off(middle(children.len()));
                let mut nodes = vec![Node::Inner(Self::new(children))];
                nodes.extend((!upper.is_empty()).then(|| Node::Inner(Self::new(upper))));
                nodes
            }
            _ => return,
        };
        self.splice(low, 2, together);
    }
}

/// Where to divide two siblings of `len` elements together; `len` if one node can hold all.
fn middle(len: usize) -> usize {
    if len <= JOINED { len } else { len / 2 }
}
