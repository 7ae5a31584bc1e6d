//! Going ahead in a posting, and what two postings have in common.
//!
//! Two ordered lists meet by turns: each skips to where the other is. A skip looks around in its chunk first, at
//! distances that double, then leaves out whole chunks and subtrees by their last element. So a short list meets
//! a long one in O(short * log long), and two of one length in O(both).

use std::cmp::Ordering;

use super::Ordered;
use super::iter::{Between, Iter};
use super::node::Node;

/// Elements in the order of their keys, which can be skipped.
pub trait Seek<'a, E: 'a>: Iterator<Item = &'a E> {
    /// Takes the first element that does not come before `to`, leaving out those that do.
    fn seek(&mut self, to: &E) -> Option<&'a E>;
}

/// The next element whose key is in both, of the version that `a` has; `candidate` was taken from it last.
pub(crate) fn meet<'a, E: Ordered>(
    a: &mut impl Seek<'a, E>,
    b: &mut impl Seek<'a, E>,
    candidate: &'a E,
) -> Option<&'a E> {
    let mut candidate = candidate;
    loop {
        let other = b.seek(candidate)?;
        if same_key(candidate, other) {
            return Some(candidate);
        }
        candidate = a.seek(other)?;
        if same_key(candidate, other) {
            return Some(candidate);
        }
    }
}

/// Postings of one version have the same allocation under one key, and no key is looked at.
fn same_key<E: Ordered>(a: &E, b: &E) -> bool {
    a.ptr_eq(b) || a.cmp_key(b) == Ordering::Equal
}

// === impl Iter ===

impl<'a, E: Ordered> Seek<'a, E> for Iter<'a, E> {
    /// O(log n), and O(1) where it is near. Counting all that is left out would cost more than that, so from
    /// here on the length is an upper bound, and nothing may be taken from the back.
    fn seek(&mut self, to: &E) -> Option<&'a E> {
        let before = |element: &E| element.cmp_key(to) == Ordering::Less;
        let slots = self.front.as_slice();
        let at = gallop(slots, |slot| slot.as_ref().is_some_and(before));
        if at < slots.len() {
            self.front = slots[at..].iter();
            return self.next();
        }
        // First, so that nothing of it comes once the end is reached.
        self.front = [].iter();
        let (chunk, rest) = self.between.take()?.skip(&before).take_first();
        let at = chunk.partition_point(|slot| slot.as_ref().is_some_and(before));
        self.front = chunk[at..].iter();
        self.between = rest;
        self.next()
    }
}

// === impl Between ===

impl<E> Between<'_, E> {
    /// Without the chunks of which every element is `before`. These stay counted in `left`.
    fn skip(mut self, before: &impl Fn(&E) -> bool) -> Self {
        let is_before = |node: &Node<E>| node.last().is_some_and(before);
        // Up, past the levels of which nothing is left or wanted.
        while let Some(level) = self.front.top() {
            if !level.last().is_none_or(is_before) {
                break;
            }
            self.front.pop();
        }
        // Down, to the chunk.
        while let Some(level) = self.front.top() {
            *level = &level[level.partition_point(is_before)..];
            let Some((Node::Inner(inner), others)) = level.split_first() else { break };
            *level = others;
            self.front.push(inner.children());
        }
        self
    }
}

/// How many slots from the beginning on are `before`: they are ordered so that these come first. Costs O(log) of
/// the answer.
fn gallop<E>(slots: &[E], before: impl Fn(&E) -> bool) -> usize {
    let (mut low, mut step) = (0, 1);
    while slots.get(low + step - 1).is_some_and(&before) {
        low += step;
        step *= 2;
    }
    let high = slots.len().min(low + step - 1);
    low + slots[low..high].partition_point(before)
}
