//! The commands of an application to a running informer.

use tokio::sync::oneshot;

use crate::scope::Scope;

/// A command to an informer. Of these, its reflectors receive only what concerns the server.
pub(crate) enum Command<A> {
    /// Add an index to the store.
    AddIndex(A),
    /// List without reusing cached objects; answered when the list is committed.
    Refresh(oneshot::Sender<()>),
    /// Cache the objects of another scope; answered when they are published.
    SetScope(Scope, oneshot::Sender<()>),
}
