//! The source of objects: lists a page, or watches from a version.
//!
//! Only this module uses HTTP. Objects are decoded in two stages: first the metadata, from which the store
//! sees whether the version is new, and the object itself only if it is.

mod answer;
mod body;
mod call;
mod decode;
mod json;
mod limits;
mod page;
mod rest;
mod sharding;
#[cfg(test)]
pub(crate) mod stub;
#[cfg(test)]
mod tests;
mod watch;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use crate::error::{DecodeError, Error};
use crate::key::ObjectKey;
use crate::shard::Filter;
use crate::version::ResourceVersion;

#[cfg(feature = "shard")]
pub(crate) use self::call::Call;
pub(crate) use self::decode::Decoder;
pub use self::limits::Limits;
pub(crate) use self::rest::{HttpSource, resource_name};

/// Which page of which version to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListRequest {
    pub(crate) limit: Option<u32>,
    pub(crate) continue_token: Option<String>,
    /// Unset: a consistent read of the newest state. Set: the response must not be older. Not sent together
    /// with a `continue_token`, which implies a version.
    pub(crate) resource_version: Option<ResourceVersion>,
}

/// From where to watch.
#[derive(Clone, Debug)]
pub(crate) struct WatchRequest {
    /// `None` for a streaming list, which then starts with a consistent read, and for kinds without versions.
    pub(crate) resource_version: Option<ResourceVersion>,
    /// The requested duration of the watch.
    pub(crate) timeout: Duration,
    /// Whether to request a streaming list (KEP-3157).
    pub(crate) initial_events: bool,
}

/// The metadata read in the first stage: the identity of the object, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) key: ObjectKey,
    pub(crate) uid: Box<str>,
    /// If the object has no version, one [made of its content](ResourceVersion::is_of_content).
    pub(crate) resource_version: ResourceVersion,
}

/// One object from a source. `P` is the object itself, decoded only if its version is new.
pub(crate) struct Item<P> {
    pub(crate) meta: Meta,
    pub(crate) payload: P,
}

/// The undecoded object of an [`Item`].
pub(crate) trait Payload: Send + 'static {
    /// The bytes it keeps alive.
    fn bytes(&self) -> usize;
}

/// An undecoded object, received over HTTP.
pub(crate) enum Json {
    /// A slice of the page or line that contains it.
    Whole {
        json: Bytes,
        /// Where they are, if the first stage has come by them.
        managed_fields: Option<Range<usize>>,
    },
    /// Such a slice without `apiVersion` and `kind`, which items in lists of built-in kinds do not have.
    WithoutType(Bytes),
    /// Larger than the limit, so not kept.
    TooLarge,
}

/// An item, or the error of one whose metadata cannot be read (it may have no name).
pub(crate) type Listed<P> = Result<Item<P>, DecodeError>;

/// The objects of a page, in order. Read lazily, so that the consumer can let other tasks run in between.
pub(crate) type Items<P> = Box<dyn Iterator<Item = Listed<P>> + Send>;

/// One page of a list.
pub(crate) struct Page<P> {
    pub(crate) items: Items<P>,
    /// Empty if the kind has no versions.
    pub(crate) resource_version: ResourceVersion,
    pub(crate) continue_token: Option<String>,
    /// Whether the server says that it has left out the objects of other shards.
    pub(crate) is_sharded: bool,
}

/// One event of a watch.
pub(crate) enum WatchEvent<P> {
    /// ADDED or MODIFIED. The store does not distinguish them.
    Applied(Listed<P>),
    /// DELETED. The payload is never decoded. An error always has a key: a source that cannot read which
    /// object was deleted ends its watch.
    Deleted(Result<Meta, DecodeError>),
    Bookmark {
        /// Empty if the kind has no versions.
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
            Self::Whole { json, .. } | Self::WithoutType(json) => json.len(),
            Self::TooLarge => 0,
        }
    }
}

/// For scripted sources.
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

    /// The name of the kind in errors, such as `subnets.kubeovn.io`.
    fn resource(&self) -> &str;

    fn list(
        &mut self,
        request: &ListRequest,
    ) -> impl Future<Output = Result<Page<Self::Payload>, Error>> + Send;
    fn watch(&mut self, request: &WatchRequest) -> impl Future<Output = Result<Self::Watch, Error>> + Send;

    /// Who leaves out the objects of other shards. `None`: not known, or the source has no shard.
    fn shard_filter(&self) -> Option<Filter> {
        None
    }

    /// Finds out who does, after a list that does not show it.
    fn find_shard_filter(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// The error of pages that were read since the last call, if the server has filtered them by another hash. The
    /// server is not asked to filter the next ones.
    fn wrong_shard(&mut self) -> Option<Error> {
        None
    }

    /// Asks discovery whether the server serves the kind, in this or another version. Returns an error if
    /// discovery does not answer completely.
    fn served(&mut self) -> impl Future<Output = Result<bool, Error>> + Send;
}
