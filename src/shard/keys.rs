//! The shard of a part of a scope: the ranges, and of what they are.

use std::{fmt, iter};

use super::{Range, hash};

/// The part of an object that is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum By {
    /// The uid, which spreads objects evenly. An object that is deleted and created again has another uid, and may be of
    /// another shard.
    Uid,
    /// The namespace, so that the objects of a namespace, of all kinds, are in one shard. Shards are as uneven as the
    /// namespaces are. All cluster-scoped objects are in the shard of `""`.
    Namespace,
}

/// Ranges of hashes. At least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Shard {
    by: By,
    /// Sorted; they neither overlap nor touch.
    ranges: Vec<Range>,
}

// === impl Shard ===

impl Shard {
    pub(crate) fn new(by: By, range: Range) -> Self {
        Self { by, ranges: vec![range] }
    }

    /// Whether it has all objects.
    pub(crate) fn is_everything(&self) -> bool {
        self.ranges == [Range::ALL]
    }

    /// Adds the objects of another shard. Returns false, and adds none, if its ranges are of something else.
    pub(crate) fn join(&mut self, other: &Self) -> bool {
        if self.by != other.by {
            return false;
        }
        self.ranges.extend(&other.ranges);
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, range| match range.joined(*next) {
            Some(joined) => {
                *range = joined;
                true
            }
            None => false,
        });
        true
    }

    /// All other objects. There are some, unless it is everything.
    pub(crate) fn complement(&self) -> Self {
        let ends = self.ranges.iter().map(|range| range.last().checked_add(1));
        let begins = self.ranges.iter().map(|range| Some(range.first()));
        let gaps = iter::once(Some(0)).chain(ends).zip(begins.chain(iter::once(None)));
        let gap = |(from, to): (Option<u64>, Option<u64>)| match (from?, to) {
            (from, Some(to)) => Range::new(from..to),
            (from, None) => Range::new(from..),
        };
        Self { by: self.by, ranges: gaps.filter_map(gap).collect() }
    }

    /// O(log ranges), and the hash.
    pub(crate) fn contains(&self, uid: &str, namespace: &str) -> bool {
        let hash = hash(match self.by {
            By::Uid => uid,
            By::Namespace => namespace,
        });
        let after = self.ranges.partition_point(|range| range.first() <= hash);
        after.checked_sub(1).is_some_and(|at| self.ranges[at].contains(hash))
    }

    /// The value of the parameter `shardSelector`. The server repeats it, in this form, as `shardInfo`.
    pub(crate) fn selector(&self) -> String {
        let field = match self.by {
            By::Uid => "object.metadata.uid",
            By::Namespace => "object.metadata.namespace",
        };
        let range =
            |range: &Range| format!("shardRange({field}, '{:#018x}', '{}')", range.first(), range.end());
        self.ranges.iter().map(range).collect::<Vec<_>>().join(" || ")
    }
}

/// The first range, and the number of the others.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.by {
            By::Uid => "uids hashed to ",
            By::Namespace => "namespaces hashed to ",
        })?;
        if let Some(range) = self.ranges.first() {
            write!(f, "{range}")?;
        }
        match self.ranges.len().saturating_sub(1) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
