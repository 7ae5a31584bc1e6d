//! Typed informer caches for Kubernetes controllers.
//!
//! An [`Informer`] lists and watches one kind of objects and keeps a typed, indexed copy of them. Controllers
//! read [`Snapshot`]s of it, synchronously and lock-free; follow a [`Subscription`] of its changes; and put what
//! must be looked at again into a [`queue::WorkQueue`].
//!
//! ```text
//!  API server -> source -> reflector -> project -> store { trie + indexes } -> publish -> Snapshot
//!                                                               '-> wake -> Subscription -> WorkQueue -> reconcile
//! ```
//!
//! The README has the whole of it in one example. The folders of the sources follow the picture.
//!
//! | to | see |
//! |---|---|
//! | begin | [`Informer::builder`], [`builder::Builder`] |
//! | wait for the first list | [`Informer::synced`], [`Informer::synced_or_blocked`] |
//! | look objects up | [`View::get`], [`View::by_index`], [`Informer::read`] |
//! | narrow look-ups down | [`iter::Hits::and`], [`View::select`], [`Selector`] |
//! | declare an index | [`builder::Builder::index`], [`mod@index`] |
//! | react to changes | [`Informer::subscribe`], [`Batch`], [`Change`] |
//! | reconcile | [`Subscription::feed`], [`mod@queue`] |
//! | share informers between parts | [`Registry`], [`Stored`] |
//! | know how it is doing | [`Informer::status`], in numbers [`Informer::stats`] |
//! | bound what a broken server can do | [`Limits`] |
//! | test without a cluster | `testing` (feature) |
//!
//! # Consistency
//!
//! All reads of one snapshot agree, indexes included, and it never changes. Versions become visible whole, in
//! order, and no object goes back to an older version. `synced` means that the whole first list is in. While the
//! API server cannot be reached, the last state stays, and [`Status::stale_since`] says since when.
//!
//! # Features
//!
//! - `testing`: an in-process Kubernetes API server for unit tests.
//!
//! TLS and the Kubernetes version are the application's choice, made on `kube-client` and `k8s-openapi`.

mod config;
pub mod error;
#[cfg(feature = "testing")]
mod fixture;
mod free;
#[cfg(test)]
mod fuzz;
mod hash;
pub mod index;
mod informer;
pub mod key;
mod object;
pub mod queue;
mod reflector;
pub mod registry;
mod scope;
mod selector;
mod snapshot;
mod source;
mod store;
mod stored;
mod subscribe;
#[cfg(feature = "testing")]
pub mod testing;
mod trie;
mod version;

pub use self::config::{Absent, Config, client_config};
pub use self::error::Error;
pub use self::index::Index;
pub use self::informer::{Informer, Stats};
pub use self::key::{Key, ObjectKey};
pub use self::object::Obj;
pub use self::reflector::{Phase, Status};
pub use self::registry::{Registry, SharedInformer};
pub use self::scope::Scope;
pub use self::selector::Selector;
pub use self::snapshot::{Snapshot, View};
pub use self::source::Limits;
pub use self::stored::Stored;
pub use self::subscribe::{Batch, Change, End, Subscription};
pub use self::version::ResourceVersion;

/// How an informer is configured before it runs.
pub mod builder {
    pub use crate::informer::{Builder, FromApi, FromStream};
}

/// What look-ups and batches iterate with.
pub mod iter {
    pub use crate::snapshot::{Hits, InKeyOrder, Intersection, Objects, Selected};
    pub use crate::subscribe::Changes;
}

/// The parts of [`Stats`].
pub mod stats {
    pub use crate::informer::Relists;
}

/// The README's example, compiled.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide's program, compiled and run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../docs/GUIDE.md")]
struct Guide;

/// The guide for those who come from other informers, compiled.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../docs/MIGRATING.md")]
struct Migrating;

/// The chapter on testing, compiled and run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../docs/TESTING.md")]
struct Testing;
