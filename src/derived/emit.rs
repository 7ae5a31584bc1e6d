//! What a transform may return.

use crate::key::{AsKey, Key};

/// What a transform returns: the values of one input, or of one group.
///
/// - `Option<O>`: at most one value, under the key of the input.
/// - `Vec<(K, O)>`: any number of values, under keys of their own. Of several values under one key, one is shown: see
///   [Duplicate keys](super#duplicate-keys).
///
/// Sealed: implemented for these two.
pub trait IntoDerived: sealed::Sealed {
    /// The type of the values.
    type Output: PartialEq + Send + Sync + 'static;

    /// Whether the values have other keys than the input.
    #[doc(hidden)]
    const OWN_KEYS: bool;

    /// Calls `emit` with each value and its key.
    #[doc(hidden)]
    fn emit(self, input: Key<'_>, emit: &mut dyn FnMut(Key<'_>, Self::Output));
}

mod sealed {
    pub trait Sealed {}

    impl<O> Sealed for Option<O> {}
    impl<K, O> Sealed for Vec<(K, O)> {}
}

impl<O: PartialEq + Send + Sync + 'static> IntoDerived for Option<O> {
    type Output = O;

    const OWN_KEYS: bool = false;

    fn emit(self, input: Key<'_>, emit: &mut dyn FnMut(Key<'_>, O)) {
        if let Some(value) = self {
            emit(input, value);
        }
    }
}

impl<K: AsKey, O: PartialEq + Send + Sync + 'static> IntoDerived for Vec<(K, O)> {
    type Output = O;

    const OWN_KEYS: bool = true;

    fn emit(self, _: Key<'_>, emit: &mut dyn FnMut(Key<'_>, O)) {
        for (key, value) in self {
            emit(key.as_key(), value);
        }
    }
}
