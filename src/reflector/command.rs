//! What an application asks of a running informer.

use tokio::sync::oneshot;

/// Carried out between two publications, never while a list is collected.
pub(crate) enum Command<A> {
    /// Add an index to the store.
    AddIndex(A),
    /// A list in which nothing held is reused; answered when it is committed.
    Refresh(oneshot::Sender<()>),
}
