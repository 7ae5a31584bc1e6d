//! Insertion into the chunk of the key, which splits if it is full.

use super::chunk::Chunk;
use super::node::{FULL, Inner, Node};
use super::{ALONE, Form, Ordered, Posting};

/// The result of an insertion below a node.
enum Put<E> {
    Added,
    Replaced(Option<E>),
    /// Added, and the node was split: this is its upper half, to be inserted after it.
    Split(Node<E>),
}

impl<E: Ordered> Posting<E> {
    /// Inserts an element and returns the one with the same key that it replaces.
    ///
    /// O(log n); allocates one chunk and copies the shared part of the path.
    pub(crate) fn insert(&mut self, element: E) -> Option<E> {
        match &mut self.0 {
            Form::Few(None) => self.0 = Form::Few(Some(element)),
            Form::Few(Some(one)) => {
                let mut both = match element.cmp_key(one) {
                    std::cmp::Ordering::Equal => return Some(std::mem::replace(one, element)),
                    std::cmp::Ordering::Less => [Some(element), Some(one.clone())],
                    std::cmp::Ordering::Greater => [Some(one.clone()), Some(element)],
                };
                self.0 = Form::Chunk(Chunk::new(&mut both));
            }
            Form::Chunk(chunk) => match chunk.search(&|other| other.cmp_key(&element)) {
                Ok(at) => return chunk.replace(at, element),
                Err(at) if chunk.len() < ALONE => chunk.insert(at, element),
                Err(at) => {
                    let mut slots = chunk.slots().to_vec();
                    slots.insert(at, Some(element));
                    self.0 = Form::new(&mut slots);
                }
            },
            Form::Tree(root) => match root.insert(element) {
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

impl<E: Ordered> Node<E> {
    fn insert(&mut self, element: E) -> Put<E> {
        let chunk = match self {
            Self::Chunk(chunk) => chunk,
            Self::Inner(inner) => return inner.insert(element),
        };
        match chunk.search(&|other| other.cmp_key(&element)) {
            Ok(at) => Put::Replaced(chunk.replace(at, element)),
            Err(at) if chunk.len() < FULL => {
                chunk.insert(at, element);
                Put::Added
            }
            Err(at) => {
                let mut slots = chunk.slots().to_vec();
                slots.insert(at, Some(element));
                let (lower, upper) = slots.split_at_mut(FULL / 2);
                *chunk = Chunk::new(lower);
                Put::Split(Self::Chunk(Chunk::new(upper)))
            }
        }
    }
}

impl<E: Ordered> Inner<E> {
    fn insert(&mut self, element: E) -> Put<E> {
        let at = self.child_of(&|other| other.cmp_key(&element));
        let put = self.change(|children, elements| {
            let put = children[at].insert(element);
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
        let upper = children.split_off(FULL / 2);
        *self = Self::new(children);
        Put::Split(Node::Inner(Self::new(upper)))
    }
}
