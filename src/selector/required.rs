//! What a selector requires of every object that it matches, so that the selector can be found by labels.

use super::{Op, Selector};

/// A label that an object must have to be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Required<'a> {
    /// The label has one of these values.
    OneOf(&'a str, &'a [String]),
    /// The label has any value.
    Present(&'a str),
}

impl Selector {
    /// The labels that every selected object has. The other requirements (`!=`, `notin`, `!`) also hold without a
    /// label.
    pub(crate) fn required(&self) -> impl Iterator<Item = Required<'_>> {
        self.0.iter().filter_map(|wanted| match &wanted.op {
            Op::In(values) => Some(Required::OneOf(&wanted.key, values)),
            Op::Exists | Op::Above(_) | Op::Below(_) => Some(Required::Present(&wanted.key)),
            Op::Absent | Op::NotIn(_) => None,
        })
    }

    /// The same selector with its requirements in one order, each once. Selectors that differ only in that are equal
    /// afterwards.
    pub(crate) fn canonical(mut self) -> Self {
        self.0.sort();
        self.0.dedup();
        self
    }
}
