//! The reason why a store has no writer any more.

/// The reason why a subscription ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// The informer was shut down.
    Stopped,
    /// The informer's task panicked: in the application's stream
    /// ([`Informer::from_stream`](crate::Informer::from_stream)), or in the task that polls the driver of
    /// [`Builder::build`](crate::builder::Builder::build). Anything else is a bug in this crate.
    Failed,
}
