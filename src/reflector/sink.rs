//! What the reflector drives: the single writer of a store, seen from its side.

use crate::error::DecodeError;
use crate::source::{Listed, Meta, WatchEvent};
use crate::version::ResourceVersion;

/// The writer's end of the store.
///
/// Nothing here blocks. What may take long lets other tasks run in between ([`Turn`](super::turn::Turn)); readers
/// see none of what is half done. Cancelled there, the sink is only good to be dropped or asked to
/// [`abort_list`](Sink::abort_list).
///
/// A list is collected in a working version of its own and shown to readers at once, by
/// [`commit_list`](Sink::commit_list); one that breaks off leaves what readers see untouched.
pub(crate) trait Sink<P>: Send + 'static {
    /// An index to add, and who waits for it.
    type AddIndex: Send + 'static;

    /// The version of the committed state, from which a watch goes on. `None` before the first list.
    fn held(&self) -> Option<&ResourceVersion>;

    /// Starts a list. An unfinished earlier one is forgotten.
    fn begin_list(&mut self, reuse: Reuse) -> impl Future<Output = ()> + Send;

    /// Takes in one listed object; of two with one key, the later counts. A version the committed state holds
    /// already is neither decoded nor projected again, if what is held is [`Reuse::Unchanged`].
    fn list(&mut self, item: Listed<P>);

    /// An object listed before is gone again: a streaming list may hear of changes before its end. An error has a
    /// key, and deletes by it.
    fn list_deleted(&mut self, deleted: Result<Meta, DecodeError>);

    /// The list that is collected, with [`Reuse::Nothing`], has shown itself to be of a new epoch: as if it had begun with
    /// [`Reuse::NewEpoch`].
    fn begin_epoch(&mut self);

    /// The list is complete: what was not listed is gone. Publishes once. Backwards is for the caller to decide:
    /// the version is taken as it is.
    fn commit_list(&mut self, version: ResourceVersion) -> impl Future<Output = ()> + Send;

    /// [`commit_list`](Self::commit_list) of a list whose version is not known.
    fn commit_unversioned_list(&mut self) -> impl Future<Output = ()> + Send;

    /// The list broke off.
    fn abort_list(&mut self) -> impl Future<Output = ()> + Send;

    /// The kind is not served: shows that there is nothing, of no version.
    fn commit_absence(&mut self) -> impl Future<Output = ()> + Send;

    /// Adds an index. Not called while a list is collected. Cancelled, it has added nothing.
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
