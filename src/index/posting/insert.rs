//! Insertion into the chunk of the key, which splits if it is full.

use std::cmp::Ordering;

use super::chunk::Chunk;
use super::node::{FULL, Inner, JOINED, Node};
use super::{ALONE, Form, Posting};

/// Where a node of one too many is split, after an insertion at `at`. After one at the end, as when elements arrive in order,
/// the lower half keeps more.
fn split(at: usize) -> usize {
    if at == FULL { JOINED } else { FULL / 2 }
}

/// The result of an insertion below a node.
enum Put<E> {
    Added,
    Replaced(Option<E>),
    /// Added, and the node was split: this is its upper half, to be inserted after it.
    Split(Node<E>),
}

impl<E: Clone> Posting<E> {
    /// Inserts an element and returns the one with the same key that it replaces. `order` compares the key of an element
    /// with that of the new one.
    ///
    /// O(log n); allocates one chunk and copies the shared part of the path.
    pub(crate) fn put(&mut self, element: E, order: impl Fn(&E) -> Ordering) -> Option<E> {
        match &mut self.0 {
            Form::Few(None) => self.0 = Form::Few(Some(element)),
            Form::Few(Some(one)) => {
                let mut both = match order(one) {
                    Ordering::Equal => return Some(std::mem::replace(one, element)),
                    Ordering::Less => [Some(one.clone()), Some(element)],
                    Ordering::Greater => [Some(element), Some(one.clone())],
                };
                self.0 = Form::Chunk(Chunk::new(&mut both));
            }
            Form::Chunk(chunk) => match chunk.search(&order) {
                Ok(at) => return chunk.replace(at, element),
                Err(at) if chunk.len() < ALONE => chunk.insert(at, element),
                Err(at) => {
                    let mut slots = chunk.slots().to_vec();
                    slots.insert(at, Some(element));
                    self.0 = Form::new(&mut slots);
                }
            },
            Form::Tree(root) => match root.insert(element, &order) {
                Put::Added => {}
                Put::Replaced(old) => return old,
                Put::Split(upper) => {
                    let lower = Node::Inner(root.clone());
                    *root = Inner::new(vec![lower, upper]);
                }
            },
        }
        None
    }
}

impl<E: Clone> Node<E> {
    fn insert(&mut self, element: E, order: &impl Fn(&E) -> Ordering) -> Put<E> {
        let chunk = match self {
            Self::Chunk(chunk) => chunk,
            Self::Inner(inner) => return inner.insert(element, order),
        };
        match chunk.search(order) {
            Ok(at) => Put::Replaced(chunk.replace(at, element)),
            Err(at) if chunk.len() < FULL => {
                chunk.insert(at, element);
                Put::Added
            }
            Err(at) => {
                let mut slots = chunk.slots().to_vec();
                slots.insert(at, Some(element));
                let (lower, upper) = slots.split_at_mut(split(at));
                *chunk = Chunk::new(lower);
                Put::Split(Self::Chunk(Chunk::new(upper)))
            }
        }
    }
}

impl<E: Clone> Inner<E> {
    fn insert(&mut self, element: E, order: &impl Fn(&E) -> Ordering) -> Put<E> {
        let at = self.child_of(order);
        let put = self.change(|children, elements| {
            let put = children[at].insert(element, order);
            *elements += usize::from(!matches!(put, Put::Replaced(_)));
            put
        });
        let Put::Split(upper) = put else { return put };
        if self.children().len() < FULL {
            self.splice(at + 1, 0, [upper]);
            return Put::Added;
        }
        let mut children = self.children().to_vec();
        children.insert(at + 1, upper);
        let upper = children.split_off(split(at + 1));
        *self = Self::new(children);
        Put::Split(Node::Inner(Self::new(upper)))
    }
}
