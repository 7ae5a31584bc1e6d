//! Builds the slots of a changed array: arrays have an exact length, so each change makes a new one.

/// The slots of an array of `len` elements with `cut` of them, from `at` on, replaced by `put`.
pub(crate) fn spliced<E>(
    len: usize,
    at: usize,
    cut: usize,
    put: Option<E>,
    mut slot: impl FnMut(usize) -> Option<E>,
) -> impl ExactSizeIterator<Item = Option<E>> {
    let added = usize::from(put.is_some());
    let mut put = put;
    (0..len - cut + added).map(move |i| {
        if i < at {
            slot(i)
        } else if i < at + added {
            put.take()
        } else {
            slot(i - added + cut)
        }
    })
}
