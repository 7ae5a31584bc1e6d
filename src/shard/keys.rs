//! The shard of a part of a scope: the ranges, and of what they are.

use std::fmt;

use super::{Range, Ranges, hash};

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

/// The objects with a hash in some ranges.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Shard {
    by: By,
    /// Not empty.
    ranges: Ranges,
}

// === impl By ===

impl By {
    /// The hash of an object with this uid and namespace.
    pub(crate) fn hash(self, uid: &str, namespace: &str) -> u64 {
        hash(match self {
            Self::Uid => uid,
            Self::Namespace => namespace,
        })
    }
}

// === impl Shard ===

impl Shard {
    pub(crate) fn new(by: By, ranges: Ranges) -> Self {
        Self { by, ranges }
    }

    /// Whether it has all objects.
    pub(crate) fn is_everything(&self) -> bool {
        self.ranges.is_all()
    }

    /// Adds the objects of another shard. Returns false, and adds none, if its ranges are of something else.
    pub(crate) fn join(&mut self, other: &Self) -> bool {
        if self.by != other.by {
            return false;
        }
        self.ranges = self.ranges.union(&other.ranges);
        true
    }

    /// All other objects. There are some, unless it is everything.
    pub(crate) fn complement(&self) -> Self {
        Self { by: self.by, ranges: self.ranges.complement() }
    }

    /// O(log ranges), and the hash.
    pub(crate) fn contains(&self, uid: &str, namespace: &str) -> bool {
        self.ranges.contains(self.by.hash(uid, namespace))
    }

    /// The value of the parameter `shardSelector`. The server repeats it, in this form, as `shardInfo`.
    pub(crate) fn selector(&self) -> String {
        let field = match self.by {
            By::Uid => "object.metadata.uid",
            By::Namespace => "object.metadata.namespace",
        };
        let range =
            |range: Range| format!("shardRange({field}, '{:#018x}', '{}')", range.first(), range.end());
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
        let mut ranges = self.ranges.iter();
        if let Some(range) = ranges.next() {
            write!(f, "{range}")?;
        }
        match ranges.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
