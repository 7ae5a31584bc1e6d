//! The nodes of a slab: arrays of a fixed size, copied only when shared.

use triomphe::Arc;
use wide::u8x16;

use crate::fetch::{Counted, fetch};

/// The number of slots of a leaf.
pub(super) const LEAF: usize = 16;

/// The number of children of a node above the leaves.
const WIDTH: usize = 32;

/// The number of slots below a [`Mid`].
pub(super) const MID: usize = LEAF * WIDTH;

/// The number of slots below a [`Top`].
pub(super) const TOP: usize = MID * WIDTH;

/// A node, or `None` if there is nothing below it.
pub(super) type Child<N> = Option<Arc<N>>;

/// Objects, and a byte for each by which it is found.
pub(super) struct Leaf<E> {
    tags: [u8; LEAF],
    objects: [Option<E>; LEAF],
}

/// Children, which of them have no vacant slot, and which of them are marked.
pub(super) struct Inner<N> {
    full: u32,
    marked: u32,
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

    /// Without a tag, that of the object before stays.
    fn set(&mut self, at: usize, object: E, tag: Option<u8>) -> Option<E>;

    fn remove(&mut self, at: usize) -> Option<E>;

    /// Marks the leaf with this slot, until the slab ends.
    fn mark(&mut self, at: usize);

    /// Panics if a bit is wrong or a node is empty.
    #[cfg(test)]
    fn validate(&self);
}

impl<E: Counted> Node<E> for Leaf<E> {
    const SLOTS: usize = LEAF;

    #[inline]
    fn get(&self, at: usize) -> Option<&E> {
        self.objects[at % LEAF].as_ref()
    }

    fn vacant(&self) -> usize {
        self.objects.iter().position(Option::is_none).unwrap_or(LEAF)
    }

    fn is_empty(&self) -> bool {
        self.objects.iter().all(Option::is_none)
    }

    fn is_full(&self) -> bool {
        self.objects.iter().all(Option::is_some)
    }

    fn set(&mut self, at: usize, object: E, tag: Option<u8>) -> Option<E> {
        if let Some(tag) = tag {
            self.tags[at % LEAF] = tag;
        }
        self.objects[at % LEAF].replace(object)
    }

    fn remove(&mut self, at: usize) -> Option<E> {
        self.objects[at % LEAF].take()
    }

    fn mark(&mut self, _: usize) {}

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
        self.marked == 0 && self.children.iter().all(Option::is_none)
    }

    fn is_full(&self) -> bool {
        self.full == u32::MAX
    }

    fn set(&mut self, at: usize, object: E, tag: Option<u8>) -> Option<E> {
        let index = index_of::<E, N>(at);
        let child = Arc::make_mut(self.children[index].get_or_insert_with(Arc::default));
        let old = child.set(at, object, tag);
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

    fn mark(&mut self, at: usize) {
        let index = index_of::<E, N>(at);
        self.marked |= 1 << index;
        if N::SLOTS > LEAF {
            Arc::make_mut(self.children[index].get_or_insert_with(Arc::default)).mark(at);
        }
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

impl<E> Leaf<E> {
    pub(super) fn objects(&self) -> &[Option<E>] {
        &self.objects
    }

    /// The object with this tag for which `is_it` is true.
    #[inline]
    pub(super) fn find(&self, tag: u8, mut is_it: impl FnMut(&E) -> bool) -> Option<&E> {
        let mut candidates = u8x16::new(self.tags).simd_eq(u8x16::splat(tag)).to_bitmask();
        while candidates != 0 {
            let at = candidates.trailing_zeros() as usize % LEAF;
            if let Some(object) = &self.objects[at]
                && is_it(object)
            {
                return Some(object);
            }
            candidates &= candidates - 1;
        }
        None
    }
}

impl<E: Counted> Leaf<E> {
    /// Takes all objects.
    pub(super) fn take(&mut self) -> impl Iterator<Item = E> {
        self.fetch_objects();
        self.objects.iter_mut().filter_map(Option::take)
    }

    /// Before all objects are cloned or released.
    fn fetch_objects(&self) {
        fetch(self.objects.iter().flatten().map(Counted::count));
    }
}

impl<E: Counted> Clone for Leaf<E> {
    fn clone(&self) -> Self {
        self.fetch_objects();
        Self { tags: self.tags, objects: self.objects.clone() }
    }
}

impl<E> Default for Leaf<E> {
    fn default() -> Self {
        Self { tags: [0; LEAF], objects: [const { None }; LEAF] }
    }
}

impl<N> Clone for Inner<N> {
    fn clone(&self) -> Self {
        fetch(self.children.iter().flatten().map(Arc::strong_count));
        Self { full: self.full, marked: self.marked, children: self.children.clone() }
    }
}

impl<N> Default for Inner<N> {
    fn default() -> Self {
        Self { full: 0, marked: 0, children: [const { None }; WIDTH] }
    }
}

/// The child that has this slot, of a node with children of type `N`.
#[inline]
fn index_of<E, N: Node<E>>(at: usize) -> usize {
    at / N::SLOTS % WIDTH
}

/// The child that has this slot.
#[inline]
pub(super) fn child_of<E, N: Node<E>>(node: &Inner<N>, at: usize) -> Option<&Arc<N>> {
    node.children[index_of::<E, N>(at)].as_ref()
}

impl<E: Counted> Mid<E> {
    /// The leaf that has this slot, and whether it is marked.
    #[inline]
    pub(super) fn leaf(&self, at: usize) -> (Option<&Leaf<E>>, bool) {
        let index = index_of::<E, Leaf<E>>(at);
        (self.children[index].as_deref(), self.marked >> index & 1 == 1)
    }
}
