//! What a transform has read of another node.

/// A part of a node that a transform has read. It is recomputed when that part changes.
///
/// Keys are recorded by their hashes: where two have the same, a needless recomputation is all that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Read {
    pub(super) node: u32,
    pub(super) part: Part,
    pub(super) hash: u64,
}

/// The kinds of parts. Each has its own way to find out which hashes have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The object of a key, or that there is none.
    Object,
    /// The objects under a key of the index in this slot, or that there are none.
    Index(u32),
    /// The objects whose selector, in the index in this slot, matches labels; one read for each
    /// [bucket](crate::index::BucketRef) that the labels meet.
    Selectors(u32),
    /// All objects; the hash is 0.
    All,
}
