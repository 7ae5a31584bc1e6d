//! A range of hashes.

use std::fmt;
use std::ops::{Bound, RangeBounds};

/// A range of 64-bit hashes: a shard of the objects. It is never empty.
///
/// `Display` writes it half-open, with the bounds of the API: `0x8000000000000000..0x10000000000000000`.
///
/// ```
/// use kube_informer::shard::{Range, hash};
///
/// let first = Range::of(0, 2).unwrap();
/// assert_eq!(Some(first), Range::new(..0x8000_0000_0000_0000));
/// assert_eq!(Range::ALL.split(), Some((first, Range::of(1, 2).unwrap())));
/// assert!(!first.contains(hash("")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    first: u64,
    /// Inclusive, as 2^64 has no `u64`.
    last: u64,
}

// === impl Range ===

impl Range {
    /// All hashes.
    pub const ALL: Self = Self { first: 0, last: u64::MAX };

    /// The range with these bounds; `None` if it is empty.
    ///
    /// ```
    /// use kube_informer::shard::Range;
    ///
    /// assert_eq!(Range::new(..), Some(Range::ALL));
    /// assert_eq!(Range::new(7..7), None);
    /// assert_eq!(Range::new(7..=7).unwrap().last(), 7);
    /// ```
    pub fn new(bounds: impl RangeBounds<u64>) -> Option<Self> {
        let first = match bounds.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let last = match bounds.end_bound() {
            Bound::Included(last) => *last,
            Bound::Excluded(after) => after.checked_sub(1)?,
            Bound::Unbounded => u64::MAX,
        };
        (first <= last).then_some(Self { first, last })
    }

    /// The range number `index`, counted from 0, of `count` ranges that cover all hashes. Their sizes differ by one hash
    /// at most. `None` if there is no such range.
    pub fn of(index: u32, count: u32) -> Option<Self> {
        let bound = |index: u32| (u128::from(index) << 64) / u128::from(count);
        if index >= count {
            return None;
        }
        let (first, after) = (bound(index), bound(index + 1));
        // `after` is at most 2^64, and above `first`.
        Some(Self { first: u64::try_from(first).ok()?, last: u64::try_from(after - 1).ok()? })
    }

    /// Its first hash.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Its last hash, which is in the range.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Whether the hash is in the range.
    pub fn contains(&self, hash: u64) -> bool {
        (self.first..=self.last).contains(&hash)
    }

    /// Its halves; `None` if it has a single hash.
    pub fn split(&self) -> Option<(Self, Self)> {
        let middle = self.first + (self.last - self.first) / 2;
        let upper = Self::new(middle.checked_add(1)?..=self.last)?;
        Some((Self { first: self.first, last: middle }, upper))
    }

    /// One range instead of two that overlap or touch.
    pub(super) fn joined(self, other: Self) -> Option<Self> {
        let apart =
            |lower: Self, upper: Self| lower.last.checked_add(1).is_some_and(|next| next < upper.first);
        if apart(self, other) || apart(other, self) {
            return None;
        }
        Some(Self { first: self.first.min(other.first), last: self.last.max(other.last) })
    }

    /// The exclusive upper bound, in the form of the API.
    pub(super) fn end(&self) -> String {
        format!("{:#018x}", u128::from(self.last) + 1)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}..{}", self.first, self.end())
    }
}
