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
//! | begin | [`Informer::builder`], [`Builder`] |
//! | wait for the first list | [`Informer::synced`], [`Informer::synced_or_blocked`] |
//! | look objects up | [`View::get`], [`View::find`], [`Informer::read`], [`Reader`] |
//! | narrow look-ups down | [`Hits::and`], [`View::select`], [`Selector`] |
//! | declare an index | [`Builder::index`], [`mod@index`] |
//! | react to changes | [`Informer::subscribe`], [`Batch`], [`Change`] |
//! | reconcile | [`Subscription::feed`], [`mod@queue`] |
//! | share informers between parts | [`Registry`], [`Stored`] |
//! | know how it is doing | [`Informer::status`], in numbers [`Informer::figures`] |
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
mod error;
#[cfg(feature = "testing")]
mod fixture;
mod free;
#[cfg(test)]
mod fuzz;
mod hash;
pub mod index;
mod informer;
mod key;
mod object;
pub mod queue;
mod reflector;
mod registry;
mod selector;
mod snapshot;
mod source;
mod store;
mod subscribe;
#[cfg(feature = "testing")]
pub mod testing;
mod trie;
mod version;

pub use self::config::{Config, client_config};
pub use self::error::{DecodeError, Error};
pub use self::index::Index;
pub use self::informer::{Builder, Figures, FromApi, FromStream, Informer, Reader, Relists};
pub use self::key::{AsKey, Key, ObjectKey};
pub use self::object::Obj;
pub use self::reflector::{Phase, Status};
pub use self::registry::{Declared, Missing, Projected, Registry, Scope, Stored};
pub use self::selector::{InvalidSelector, Selector};
pub use self::snapshot::{Hits, InKeyOrder, Intersection, Objects, Selected, Snapshot, View};
pub use self::source::Limits;
pub use self::subscribe::{Batch, Change, Changes, End, Subscription};
pub use self::version::ResourceVersion;

/// The README's example, compiled and run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The chapter on testing, compiled and run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../docs/TESTING.md")]
struct Testing;
