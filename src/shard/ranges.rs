//! A set of hashes, as ranges.

use std::fmt;
use std::str::FromStr;

use super::Range;

/// A set of 64-bit hashes, as ranges that neither overlap nor touch, in ascending order.
///
/// Made of ranges by `collect`, or from one by `into`. `Display` writes them with commas between.
///
/// ```
/// use kube_informer::shard::{Range, Ranges};
///
/// let ranges: Ranges = [2, 0, 1].into_iter().filter_map(|index| Range::of(index, 4)).collect();
/// assert_eq!(ranges.to_string(), "0x0000000000000000..0xc000000000000000");
/// assert_eq!(ranges.complement(), Range::of(3, 4).unwrap().into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ranges(Vec<Range>);

/// A text that is not that of [`Ranges`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not ranges of hashes")]
pub struct InvalidRanges;

// === impl Ranges ===

impl Ranges {
    /// Returns the empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ranges, in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is no hash in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all hashes are in it.
    pub fn is_all(&self) -> bool {
        self.0 == [Range::ALL]
    }

    /// Whether the hash is in it. O(log ranges).
    pub fn contains(&self, hash: u64) -> bool {
        let after = self.0.partition_point(|range| range.first() <= hash);
        after.checked_sub(1).is_some_and(|at| self.0[at].contains(hash))
    }

    /// All other hashes.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut from = Some(0);
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        for range in &self.0 {
            gaps.extend(from.and_then(|from| Range::new(from..range.first())));
            from = range.last().checked_add(1);
        }
        gaps.extend(from.and_then(|from| Range::new(from..)));
        Self(gaps)
    }

    /// The hashes that are in at least one of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// The hashes that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.complement().union(&other.complement()).complement()
    }

    /// The hashes that are not in the other one.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.complement().union(other).complement()
    }

    /// The part of all hashes that is in it, from 0 to 1.
    pub fn fraction(&self) -> f64 {
        let hashes = self.iter().map(|range| (range.last() - range.first()) as f64 + 1.0);
        // Not `sum`: that of nothing is -0.
        hashes.fold(0.0, |sum, part| sum + part) / (u64::MAX as f64 + 1.0)
    }
}

impl From<Range> for Ranges {
    fn from(range: Range) -> Self {
        Self(vec![range])
    }
}

impl FromIterator<Range> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Self {
        let mut all: Vec<Range> = ranges.into_iter().collect();
        all.sort_unstable();
        all.dedup_by(|next, range| match range.joined(*next) {
            Some(joined) => {
                *range = joined;
                true
            }
            None => false,
        });
        Self(all)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            write!(f, "{}{range}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// The text of `Display`. An empty text is the empty set.
impl FromStr for Ranges {
    type Err = InvalidRanges;

    fn from_str(text: &str) -> Result<Self, InvalidRanges> {
        if text.is_empty() {
            return Ok(Self::new());
        }
        let hex = |text: &str| u128::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let range = |text: &str| {
            let (first, end) = text.split_once("..")?;
            let (first, last) =
                (u64::try_from(hex(first)?).ok()?, u64::try_from(hex(end)?.checked_sub(1)?).ok()?);
            Range::new(first..=last)
        };
        text.split(',').map(|text| range(text).ok_or(InvalidRanges)).collect()
    }
}
