//! What an application asks of a reflector that runs.

use tokio::sync::oneshot;

/// Carried out between two versions of the store, never while a list is collected.
pub(crate) enum Order<E> {
    /// Work on the store.
    Errand(E),
    /// A list in which nothing held is reused; answered when it is committed.
    Refresh(oneshot::Sender<()>),
}
