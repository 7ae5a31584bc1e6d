//! The readers' side of a store of objects.

use super::publish;
use crate::snapshot::{Snapshot, View};

/// See [`publish`], which is generic over the type of a view.
pub(crate) type Shared<T> = publish::Shared<View<T>>;

impl<T> Shared<T> {
    /// The newest view as a snapshot. Lock-free.
    pub(crate) fn snapshot(&self) -> Snapshot<T> {
        Snapshot(self.newest())
    }

    /// The first view as a snapshot.
    pub(crate) fn empty(&self) -> Snapshot<T> {
        Snapshot(self.first().clone())
    }
}
