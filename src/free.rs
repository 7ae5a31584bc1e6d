//! Freeing: values of the application one by one, and what is large little by little.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Something large that is no longer in use. Dropping it frees all at once, which may take long.
pub(crate) trait Remains: Send {
    /// Frees a small part. `false` when nothing was left.
    fn free_some(&mut self) -> bool;
}

impl<E: Send> Remains for Vec<E> {
    fn free_some(&mut self) -> bool {
        self.pop().map(free).is_some()
    }
}

/// Drops it. A panic in the destructor of a value is the application's, and no reason to stop; of two in one call the
/// second would end the process, so values are freed one by one.
pub(crate) fn free<E>(element: E) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(element)));
}
