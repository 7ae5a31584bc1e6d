//! Where objects come from: listing a page, and watching from a version.
//!
//! The only place that knows HTTP. What a source yields is decoded in two stages: first the metadata that the
//! store needs to tell a known version from a new one, and only for a new one the object itself.

mod answer;
mod body;
mod call;
mod decode;
mod json;
mod limits;
mod page;
mod rest;
#[cfg(test)]
pub(crate) mod stub;
#[cfg(test)]
mod tests;
mod watch;

use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use crate::error::{DecodeError, Error};
use crate::key::ObjectKey;
use crate::version::ResourceVersion;

pub(crate) use self::decode::Decoder;
pub use self::limits::Limits;
pub(crate) use self::rest::{HttpSource, resource_name};

/// Which page of which version to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListRequest {
    pub(crate) limit: Option<u32>,
    pub(crate) continue_token: Option<String>,
    /// Unset: a consistent read of the newest state. Set: the answer may not be older. Not sent along with a
    /// `continue_token`, which has its own version.
    pub(crate) resource_version: Option<ResourceVersion>,
}

/// From where to watch.
#[derive(Clone, Debug)]
pub(crate) struct WatchRequest {
    /// `None` only for a streaming list, which then starts with a consistent read.
    pub(crate) resource_version: Option<ResourceVersion>,
    /// How long the server is asked to keep the watch open.
    pub(crate) timeout: Duration,
    /// Ask for a streaming list (KEP-3157).
    pub(crate) initial_events: bool,
}

/// Metadata read in the first stage: who the object is and which version of it this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) key: ObjectKey,
    pub(crate) uid: Box<str>,
    /// Where the object has none, one [of its content](ResourceVersion::is_of_content).
    pub(crate) resource_version: ResourceVersion,
}

/// One object as a source yields it. `P` is what is behind its metadata, decoded only when its version is new.
pub(crate) struct Item<P> {
    pub(crate) meta: Meta,
    pub(crate) payload: P,
}

/// What stands behind the metadata of an [`Item`].
pub(crate) trait Payload: Send + 'static {
    /// The bytes it keeps alive.
    fn bytes(&self) -> usize;
}

/// An object that came over HTTP, not decoded.
pub(crate) enum Json {
    /// A slice of the page or line it came in.
    Whole(Bytes),
    /// The same, of a list of a built-in kind: its items carry neither `apiVersion` nor `kind`.
    WithoutType(Bytes),
    /// Larger than the limit, and left where it was.
    TooLarge,
}

/// An item, or what is wrong with one whose metadata cannot be read (it may have no name at all).
pub(crate) type Listed<P> = Result<Item<P>, DecodeError>;

/// The objects of a page, in order. Each is read when it is asked for, so that its reader can let other tasks run in
/// between.
pub(crate) type Items<P> = Box<dyn Iterator<Item = Listed<P>> + Send>;

/// One page of a list.
pub(crate) struct Page<P> {
    pub(crate) items: Items<P>,
    /// Empty where the kind has no versions.
    pub(crate) resource_version: ResourceVersion,
    pub(crate) continue_token: Option<String>,
}

/// One event of a watch.
pub(crate) enum WatchEvent<P> {
    /// ADDED or MODIFIED: the store decides by what it holds.
    Applied(Listed<P>),
    /// DELETED. The payload is never decoded. An error has a key: a source that cannot tell which object is gone
    /// ends its watch.
    Deleted(Result<Meta, DecodeError>),
    Bookmark {
        /// Empty where the kind has no versions.
        resource_version: ResourceVersion,
        /// The end of a streaming list's initial events.
        initial_events_end: bool,
    },
}

// === impl WatchEvent ===

impl<P: Payload> WatchEvent<P> {
    /// The bytes it keeps alive.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Applied(Ok(item)) => item.payload.bytes(),
            _ => 0,
        }
    }
}

// === impl Json ===

impl Payload for Json {
    fn bytes(&self) -> usize {
        match self {
            Self::Whole(bytes) | Self::WithoutType(bytes) => bytes.len(),
            Self::TooLarge => 0,
        }
    }
}

/// Of scripts.
#[cfg(test)]
impl Payload for () {
    fn bytes(&self) -> usize {
        0
    }
}

/// List and watch of one kind, scope and selection.
pub(crate) trait Source: Send + 'static {
    type Payload: Payload;

    /// An open watch. It ends when the server ends it; an error is its last item.
    type Watch: Stream<Item = Result<WatchEvent<Self::Payload>, Error>> + Send + Unpin;

    /// What errors call the kind, such as `subnets.kubeovn.io`.
    fn resource(&self) -> &str;

    fn list(
        &mut self,
        request: &ListRequest,
    ) -> impl Future<Output = Result<Page<Self::Payload>, Error>> + Send;
    fn watch(&mut self, request: &WatchRequest) -> impl Future<Output = Result<Self::Watch, Error>> + Send;

    /// Whether the server serves the kind, in this or in another version: what discovery says. An error where it
    /// does not say, or not all of it.
    fn served(&mut self) -> impl Future<Output = Result<bool, Error>> + Send;
}
