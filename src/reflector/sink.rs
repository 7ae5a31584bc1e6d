//! What the reflector drives: the single writer of a store, seen from its side.

use crate::error::DecodeError;
use crate::source::{Listed, Meta, WatchEvent};
use crate::version::ResourceVersion;

/// The writer's end of the store.
///
/// Nothing here blocks. What may take long lets other tasks run in between ([`Turn`](super::turn::Turn)); readers
/// see none of what is half done. A call that is cancelled changes nothing that readers see.
///
/// A list is a value of its own. Readers see nothing of it before [`commit`](Sink::commit); dropping it aborts it.
pub(crate) trait Sink<P>: Send + 'static {
    /// An index to add, and who waits for it.
    type AddIndex: Send + 'static;

    /// A list that is being collected.
    type List: Send;

    /// The version of the committed state, from which a watch goes on. `None` before the first list.
    fn held(&self) -> Option<ResourceVersion>;

    /// Starts a list, of what is committed now.
    fn begin_list(&mut self, reuse: Reuse) -> Self::List;

    /// Adds one listed object, or a newer version of it; of two with one key, the later counts. A version that the
    /// committed state holds already is neither decoded nor projected again, if the list may
    /// [reuse](Reuse::Unchanged) it.
    fn upsert(&mut self, list: &mut Self::List, item: Listed<P>);

    /// An object listed before is gone again: a streaming list may receive changes before its end. An error with a key
    /// deletes by it.
    fn delete(&mut self, list: &mut Self::List, deleted: Result<Meta, DecodeError>);

    /// A list that began with [`Reuse::Nothing`] is of a new epoch: as if it had begun with [`Reuse::NewEpoch`].
    fn begin_epoch(&mut self, list: &mut Self::List);

    /// The list is complete: what was not listed is gone. Publishes once. Whether the version goes back is for the
    /// caller to decide: it is published as it is. `None` for a kind whose lists have no version.
    fn commit(
        &mut self,
        list: Self::List,
        version: Option<ResourceVersion>,
    ) -> impl Future<Output = ()> + Send;

    /// The kind is not served: shows that there is nothing, of no version.
    fn commit_absence(&mut self) -> impl Future<Output = ()> + Send;

    /// Adds an index. Not called while a list is collected. Cancelled, it adds nothing.
    fn add_index(&mut self, index: Self::AddIndex) -> impl Future<Output = ()> + Send;

    /// Takes in what a watch yielded, in order, and publishes once. An event below the version its own stream
    /// has reached changes nothing from there on and is answered by [`Regression`]: the stream is broken.
    /// Events before it are in.
    fn apply(
        &mut self,
        events: &mut Vec<WatchEvent<P>>,
    ) -> impl Future<Output = Result<(), Regression>> + Send;

    /// [`apply`](Self::apply) for events whose versions say nothing of their order: each is newer than the one before.
    fn apply_unordered(&mut self, events: &mut Vec<WatchEvent<P>>) -> impl Future<Output = ()> + Send;
}

/// Which cached objects a list, or an event, reuses instead of decoding what it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Those of the same version, or of a newer one.
    Unchanged,
    /// Those of the very same version only: what is listed is so, be it older than what is cached.
    Same,
    /// None: the same version may have another content now.
    Nothing,
    /// None, and a new epoch begins: the server was restored from a backup, so that cached versions may name other content
    /// now.
    NewEpoch,
}

/// A watch went back in time: it must be ended, and the state listed anew.
#[derive(Debug)]
pub(crate) struct Regression {
    pub(crate) held: ResourceVersion,
    pub(crate) received: ResourceVersion,
}
