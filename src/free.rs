//! Freeing memory: values of the application one by one, and large structures in small steps.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A large structure that is no longer used. Dropping it frees everything at once, which may take long.
pub(crate) trait Remains: Send {
    /// Frees a small part. Returns false if nothing was left.
    fn free_some(&mut self) -> bool;
}

impl<E: Send> Remains for Vec<E> {
    fn free_some(&mut self) -> bool {
        self.pop().map(free).is_some()
    }
}

/// Drops a value and catches a panic of its destructor, which is application code. Values are freed one by
/// one, because two panics during one drop would abort the process.
pub(crate) fn free<E>(element: E) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(element)));
}
