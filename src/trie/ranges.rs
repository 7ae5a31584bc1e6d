//! The ranges of slots of a node, as a bit mask.

/// One bit per slot of a node, set where a range begins. Every range has 2^k slots and begins at a multiple
/// of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranges(u32);

/// A run of slots of one node that share a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// The number of slots of a node of `B` bits.
pub(super) const fn slots<const B: u32>() -> u32 {
    1 << B
}

/// The slot of a hash in a node whose ancestors have used its top `depth` bits.
#[inline]
pub(super) fn slot_of<const B: u32>(hash: u64, depth: u32) -> u32 {
    ((hash << depth) >> (64 - B)) as u32
}

impl Ranges {
    /// No ranges. Used only while a node is being built.
    pub(super) const NONE: Self = Self(0);

    const fn all<const B: u32>() -> u32 {
        u32::MAX >> (32 - slots::<B>())
    }

    /// The index of the child at `slot`.
    ///
    /// Near the root every slot has a child of its own. That case has its own branch, because counting bits
    /// takes a dozen instructions if the compiler may not assume a popcount instruction.
    #[inline]
    pub(super) fn index<const B: u32>(self, slot: u32) -> usize {
        if self.0 == Self::all::<B>() { slot as usize } else { self.upto(slot) - 1 }
    }

    /// The number of ranges that begin at or before `slot`.
    #[inline]
    fn upto(self, slot: u32) -> usize {
        (self.0 << (31 - slot)).count_ones() as usize
    }

    /// The range that contains `slot`.
    pub(super) fn at<const B: u32>(self, slot: u32) -> Range {
        let upto = self.0 << (31 - slot) >> (31 - slot);
        let start = upto.ilog2();
        let after = self.0 & !upto;
        let end = if after == 0 { slots::<B>() } else { after.trailing_zeros() };
        Range { start, len: end - start }
    }

    #[cfg(test)]
    /// The number of ranges.
    pub(super) fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The number of ranges that begin within `range`.
    pub(super) fn count_in(self, range: Range) -> usize {
        let after = (self.0 >> range.start) as u64;
        (after & ((1 << range.len) - 1)).count_ones() as usize
    }

    /// Whether a range begins at `slot`.
    pub(super) fn starts_at(self, slot: u32) -> bool {
        self.0 >> slot & 1 == 1
    }

    pub(super) fn add(&mut self, start: u32) {
        self.0 |= 1 << start;
    }

    pub(super) fn remove(&mut self, start: u32) {
        self.0 &= !(1 << start);
    }
}
