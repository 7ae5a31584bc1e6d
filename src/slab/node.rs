//! The nodes of a slab: arrays of a fixed size, copied only when shared.

use triomphe::Arc;

use crate::fetch::{Counted, fetch};

/// The number of slots of a leaf.
pub(super) const LEAF: usize = 8;

/// The number of children of a node above the leaves.
const WIDTH: usize = 32;

/// The number of slots below a [`Mid`].
const MID: usize = LEAF * WIDTH;

/// The number of slots below a [`Top`].
pub(super) const TOP: usize = MID * WIDTH;

/// A node, or `None` if there is nothing below it.
pub(super) type Child<N> = Option<Arc<N>>;

/// Objects.
pub(super) struct Leaf<E>([Option<E>; LEAF]);

/// Children, and which of them have no vacant slot.
pub(super) struct Inner<N> {
    full: u32,
    children: [Child<N>; WIDTH],
}

pub(super) type Mid<E> = Inner<Leaf<E>>;
pub(super) type Top<E> = Inner<Mid<E>>;

/// A node with `SLOTS` slots.
pub(super) trait Node<E>: Clone + Default {
    const SLOTS: usize;

    /// `at` is a slot, of which only the part that concerns this node counts.
    fn get(&self, at: usize) -> Option<&E>;

    /// The lowest vacant slot, relative to the node. `SLOTS` if it is full.
    fn vacant(&self) -> usize;

    fn is_empty(&self) -> bool;

    fn is_full(&self) -> bool;

    fn set(&mut self, at: usize, object: E) -> Option<E>;

    fn remove(&mut self, at: usize) -> Option<E>;

    /// Panics if a bit is wrong or a node is empty.
    #[cfg(test)]
    fn validate(&self);
}

impl<E: Counted> Node<E> for Leaf<E> {
    const SLOTS: usize = LEAF;

    #[inline]
    fn get(&self, at: usize) -> Option<&E> {
        self.0[at % LEAF].as_ref()
    }

    fn vacant(&self) -> usize {
        self.0.iter().position(Option::is_none).unwrap_or(LEAF)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn is_full(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }

    fn set(&mut self, at: usize, object: E) -> Option<E> {
        self.0[at % LEAF].replace(object)
    }

    fn remove(&mut self, at: usize) -> Option<E> {
        self.0[at % LEAF].take()
    }

    #[cfg(test)]
    fn validate(&self) {
        assert!(!self.is_empty(), "an empty leaf");
    }
}

impl<E: Counted, N: Node<E>> Node<E> for Inner<N> {
    const SLOTS: usize = N::SLOTS * WIDTH;

    #[inline]
    fn get(&self, at: usize) -> Option<&E> {
        self.children[index_of::<E, N>(at)].as_ref()?.get(at)
    }

    fn vacant(&self) -> usize {
        let child = (!self.full).trailing_zeros() as usize;
        let within = self.children.get(child).and_then(Option::as_ref).map_or(0, |child| child.vacant());
        child * N::SLOTS + within
    }

    fn is_empty(&self) -> bool {
        self.children.iter().all(Option::is_none)
    }

    fn is_full(&self) -> bool {
        self.full == u32::MAX
    }

    fn set(&mut self, at: usize, object: E) -> Option<E> {
        let index = index_of::<E, N>(at);
        let child = Arc::make_mut(self.children[index].get_or_insert_with(Arc::default));
        let old = child.set(at, object);
        if child.is_full() {
            self.full |= 1 << index;
        }
        old
    }

    fn remove(&mut self, at: usize) -> Option<E> {
        let index = index_of::<E, N>(at);
        let child = Arc::make_mut(self.children[index].as_mut()?);
        let removed = child.remove(at);
        if child.is_empty() {
            self.children[index] = None;
        }
        self.full &= !(1 << index);
        removed
    }

    #[cfg(test)]
    fn validate(&self) {
        assert!(!self.is_empty(), "an empty node");
        for (index, child) in self.children.iter().enumerate() {
            let is_full = child.as_ref().is_some_and(|child| child.is_full());
            assert_eq!(self.full >> index & 1 == 1, is_full, "a wrong bit");
            child.iter().for_each(|child| child.validate());
        }
    }
}

impl<N> Inner<N> {
    /// Takes the children that no other version shares.
    pub(super) fn take_unshared(&mut self) -> impl Iterator<Item = Arc<N>> {
        self.children.iter_mut().filter_map(|child| child.take_if(|child| child.is_unique()))
    }
}

impl<E: Counted> Leaf<E> {
    /// Takes all objects.
    pub(super) fn take(&mut self) -> impl Iterator<Item = E> {
        self.fetch_objects();
        self.0.iter_mut().filter_map(Option::take)
    }

    /// Before all objects are cloned or released.
    fn fetch_objects(&self) {
        fetch(self.0.iter().flatten().map(Counted::count));
    }
}

impl<E: Counted> Clone for Leaf<E> {
    fn clone(&self) -> Self {
        self.fetch_objects();
        Self(self.0.clone())
    }
}

impl<E> Default for Leaf<E> {
    fn default() -> Self {
        Self([const { None }; LEAF])
    }
}

impl<N> Clone for Inner<N> {
    fn clone(&self) -> Self {
        fetch(self.children.iter().flatten().map(Arc::strong_count));
        Self { full: self.full, children: self.children.clone() }
    }
}

impl<N> Default for Inner<N> {
    fn default() -> Self {
        Self { full: 0, children: [const { None }; WIDTH] }
    }
}

/// The child that has this slot, of a node with children of type `N`.
#[inline]
fn index_of<E, N: Node<E>>(at: usize) -> usize {
    at / N::SLOTS % WIDTH
}
