//! The commands of an application to a running informer.

use tokio::sync::oneshot;

/// A command. It runs between two publications, never while a list is collected.
pub(crate) enum Command<A> {
    /// Add an index to the store.
    AddIndex(A),
    /// List without reusing cached objects; answered when the list is committed.
    Refresh(oneshot::Sender<()>),
}
