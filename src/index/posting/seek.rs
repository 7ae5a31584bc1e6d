//! Skipping ahead in a posting, and the intersection of two postings.
//!
//! To intersect two ordered lists, each in turn skips to the position of the other. A skip first searches its
//! chunk with doubling steps, then skips chunks and subtrees by their last element. So a short list and a
//! long one cost O(short * log long), and two of the same length cost O(both).

use std::cmp::Ordering;

use super::Ordered;
use super::iter::{Between, Iter};
use super::node::Node;

/// An iterator in the order of the keys that can skip elements.
pub trait Seek<'a, E: 'a>: Iterator<Item = &'a E> {
    /// Skips the elements before `to` and returns the first one that is not before it.
    fn seek(&mut self, to: &E) -> Option<&'a E>;
}

/// The next element of `a` whose key is also in `b`. `candidate` is the last element that `a` returned.
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

/// Compares pointers first: postings of one version share their elements, so no key has to be read.
fn same_key<E: Ordered>(a: &E, b: &E) -> bool {
    a.ptr_eq(b) || a.cmp_key(b) == Ordering::Equal
}

// === impl Iter ===

impl<'a, E> Iter<'a, E> {
    /// Skips the elements that are `before`, of which all come first, and returns the next one.
    ///
    /// O(log n), and O(1) for a near element. Counting the skipped elements would cost more, so after a skip
    /// the length is an upper bound, and no element may be taken from the back.
    pub(crate) fn skip_before(&mut self, before: impl Fn(&E) -> bool) -> Option<&'a E> {
        let slots = self.front.as_slice();
        let at = gallop(slots, |slot| slot.as_ref().is_some_and(&before));
        if at < slots.len() {
            self.front = slots[at..].iter();
            return self.next();
        }
        // Cleared first, so that it yields nothing if the end is reached.
        self.front = [].iter();
        let (chunk, rest) = self.between.take()?.skip(&before).take_first();
        let at = chunk.partition_point(|slot| slot.as_ref().is_some_and(&before));
        self.front = chunk[at..].iter();
        self.between = rest;
        self.next()
    }
}

// === impl Between ===

impl<E> Between<'_, E> {
    /// Skips the chunks of which every element is `before`. They are still counted in `left`.
    fn skip(mut self, before: &impl Fn(&E) -> bool) -> Self {
        let is_before = |node: &Node<E>| node.last().is_some_and(before);
        // Go up, past levels that are empty or completely `before`.
        while let Some(level) = self.front.top() {
            if !level.last().is_none_or(is_before) {
                break;
            }
            self.front.pop();
        }
        // Go down, to the chunk.
        while let Some(level) = self.front.top() {
            *level = &level[level.partition_point(is_before)..];
            let Some((Node::Inner(inner), others)) = level.split_first() else { break };
            *level = others;
            self.front.push(inner.children());
        }
        self
    }
}

/// The number of leading slots that are `before`. O(log) of the result.
fn gallop<E>(slots: &[E], before: impl Fn(&E) -> bool) -> usize {
    let (mut low, mut step) = (0, 1);
    while slots.get(low + step - 1).is_some_and(&before) {
        low += step;
        step *= 2;
    }
    let high = slots.len().min(low + step - 1);
    low + slots[low..high].partition_point(before)
}
