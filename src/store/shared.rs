//! The readers' side of a store of objects.

use super::publish;
use crate::snapshot::{Snapshot, View};

/// See [`publish`], which does not care what a view is.
pub(crate) type Shared<T> = publish::Shared<View<T>>;

impl<T> Shared<T> {
    /// The newest view, held. Lock-free.
    pub(crate) fn snapshot(&self) -> Snapshot<T> {
        Snapshot(self.newest())
    }

    /// The first view, held.
    pub(crate) fn empty(&self) -> Snapshot<T> {
        Snapshot(self.first().clone())
    }
}
