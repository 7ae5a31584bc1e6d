//! Fetching the reference counts of several neighbours into the cache at once.

use std::hint::black_box;

/// A shared pointer.
pub(crate) trait Counted: Clone {
    /// The reference count.
    fn count(&self) -> usize;
}

/// Reads reference counts that are about to change.
///
/// The copy of a node changes the count of each of its children, which are anywhere in memory. A processor waits for one
/// such change before it begins the next, but it has several reads under way at a time. So the reads come first.
#[inline]
pub(crate) fn fetch(counts: impl Iterator<Item = usize>) {
    black_box(counts.fold(0, |sum: usize, count| sum.wrapping_add(count)));
}

impl<T> Counted for std::sync::Arc<T> {
    fn count(&self) -> usize {
        Self::strong_count(self)
    }
}
