//! The reflector's interface to the single writer of a store.

use crate::error::DecodeError;
use crate::source::{Listed, Meta, WatchEvent};
use crate::version::ResourceVersion;

/// The writer's end of the store.
///
/// No method blocks. Long work lets other tasks run in between ([`Turn`](super::turn::Turn)); readers see no
/// unfinished work. A cancelled call changes nothing that readers see.
///
/// A list is a separate value. Readers do not see it before [`commit`](Sink::commit); dropping it aborts it.
pub(crate) trait Sink<P>: Send + 'static {
    /// An index to add, with the sender that answers the caller.
    type AddIndex: Send + 'static;

    /// A list that is being collected.
    type List: Send;

    /// The version of the committed state, from which a watch continues. `None` before the first list.
    fn held(&self) -> Option<ResourceVersion>;

    /// Starts a list.
    fn begin_list(&mut self, reuse: Reuse) -> Self::List;

    /// Adds one listed object, or a newer version of it; if two have the same key, the later one wins. A
    /// version that is already in the committed state is not decoded or projected again if the list may
    /// [reuse](Reuse::Unchanged) it.
    fn upsert(&mut self, list: &mut Self::List, item: Listed<P>);

    /// Removes an object that was listed before: a streaming list may receive changes before its end. An
    /// error that has a key removes that object.
    fn delete(&mut self, list: &mut Self::List, deleted: Result<Meta, DecodeError>);

    /// Marks a list that began with [`Reuse::Nothing`] as the first of a new epoch, as if it had begun with
    /// [`Reuse::NewEpoch`].
    fn begin_epoch(&mut self, list: &mut Self::List);

    /// Completes the list: removes objects that were not listed, and publishes once. The version is published
    /// as it is; the caller checks that it does not go back. It is `None` for a kind whose lists have no
    /// version.
    ///
    /// If the list is older than what the store knows from other reflectors and cannot compare any more, the method
    /// changes nothing and returns [`Regression`].
    fn commit(
        &mut self,
        list: Self::List,
        version: Option<ResourceVersion>,
    ) -> impl Future<Output = Result<(), Regression>> + Send;

    /// Publishes an empty state without a version, as the kind is not served.
    fn commit_absence(&mut self) -> impl Future<Output = ()> + Send;

    /// Adds an index. A cancelled call adds nothing.
    fn add_index(&mut self, index: Self::AddIndex) -> impl Future<Output = ()> + Send;

    /// Applies the events of a watch in order, and publishes once. If an event is older than the version its
    /// stream has reached, the stream is broken: the method publishes the events before it, drops the rest
    /// and returns [`Regression`].
    fn apply(
        &mut self,
        events: &mut Vec<WatchEvent<P>>,
    ) -> impl Future<Output = Result<(), Regression>> + Send;

    /// [`apply`](Self::apply) for events whose versions have no order: each event is newer than the one
    /// before.
    fn apply_unordered(&mut self, events: &mut Vec<WatchEvent<P>>) -> impl Future<Output = ()> + Send;
}

/// Which cached objects a list, or an event, reuses instead of decoding the received version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Those of the same version, or of a newer one.
    Unchanged,
    /// Only those of the same version: a listed object replaces a cached one even if it is older.
    Same,
    /// None: the same version may now have different content.
    Nothing,
    /// None, and a new epoch begins: the server was restored from a backup, so a cached version may now have
    /// different content.
    NewEpoch,
}

/// A watch or a list went back in time. It must be closed, and the kind listed again.
#[derive(Debug)]
pub(crate) struct Regression {
    pub(crate) held: ResourceVersion,
    pub(crate) received: ResourceVersion,
}
