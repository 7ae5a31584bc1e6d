//! Splits the objects of a kind by a hash, so that several replicas cache and reconcile a part each.
//!
//! The hash of an object is 64 bits long, and made of its uid or of its namespace ([`By`]). A [`Range`] of hashes is a
//! shard. [`Scope::shard`](crate::Scope::shard) selects the objects of one:
//!
//! ```
//! use k8s_openapi::api::core::v1::Pod;
//! use kube_client::{Api, Client};
//! use kube_informer::shard::{By, Range};
//! use kube_informer::{Informer, Scope};
//!
//! # fn example(client: Client) -> Option<()> {
//! // The second of four replicas.
//! let scope = Scope::all().shard(By::Uid, Range::of(1, 4)?);
//! let pods = Informer::builder(Api::<Pod>::all(client)).scope(scope).start();
//! # let _ = pods;
//! # Some(())
//! # }
//! ```
//!
//! # Who filters
//!
//! An API server of Kubernetes 1.36 with the feature gate `ShardedListAndWatch` (KEP-5866, alpha) sends only the objects
//! of the shard. Other servers ignore the request for it, and send all objects. So the informer applies the range to
//! what it receives in either case, after it has read the metadata of an object, and before it decodes it. Without the
//! help of the server, a replica saves the memory and the decoding of the other objects, but not their transfer.
//! [`Status::shard_filter`](crate::Status::shard_filter) says which of the two applies.
//!
//! The cached objects are the same in both cases, also while a control plane is upgraded or downgraded, and while it has
//! servers of both kinds.
//!
//! # Which replica has which shard
//!
//! With the feature `shard`, the replicas settle it among themselves: see `shard::Member`.

mod filter;
mod hash;
mod keys;
#[cfg(feature = "shard")]
pub mod member;
mod range;
mod ranges;
#[cfg(test)]
mod tests;

pub use self::filter::Filter;
pub use self::hash::hash;
pub use self::keys::By;
pub(crate) use self::keys::Shard;
#[cfg(feature = "shard")]
pub use self::member::Member;
pub use self::range::Range;
pub use self::ranges::{InvalidRanges, Ranges};
