//! What the reflector drives: the single writer of a store, seen from its side.

use crate::source::{Listed, WatchEvent};
use crate::version::ResourceVersion;

/// The writer's end of the store.
///
/// Nothing here blocks or waits. A list is collected in a working version of its own and shown to readers at
/// once, by [`commit_list`](Sink::commit_list); one that breaks off leaves what readers see untouched.
pub(crate) trait Sink<K>: Send + 'static {
    /// The version of the committed state, from which a watch goes on. `None` before the first list.
    fn held(&self) -> Option<&ResourceVersion>;

    /// Starts a list. An unfinished earlier one is forgotten.
    fn begin_list(&mut self);

    /// Takes in one listed object. A version the committed state holds already is neither decoded nor
    /// projected again.
    fn list(&mut self, item: Listed<K>);

    /// The list is complete: what was not listed is gone. Publishes once. Backwards is for the caller to decide:
    /// the version is taken as it is.
    fn commit_list(&mut self, version: ResourceVersion);

    /// The list broke off.
    fn abort_list(&mut self);

    /// Takes in what a watch yielded, in order, and publishes once. An event below the version its own stream
    /// has reached changes nothing from there on and is answered by [`Regression`]: the stream is broken.
    /// Events before it are in.
    fn apply(&mut self, events: &mut Vec<WatchEvent<K>>) -> Result<(), Regression>;
}

/// A watch went back in time: it must be ended, and the state listed anew.
#[derive(Debug)]
pub(crate) struct Regression {
    pub(crate) held: ResourceVersion,
    pub(crate) received: ResourceVersion,
}
