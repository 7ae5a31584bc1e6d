//! Typed informer caches for Kubernetes controllers.
//!
//! An [`Informer`] lists and watches one kind and keeps a typed, indexed copy of its objects in memory. Controllers
//! read [`Snapshot`]s of it, synchronously and lock-free, and follow its changes by a [`Subscription`]. A
//! [`controller::Controller`] runs a reconcile function for each object that changed.
//!
//! - [Usage](#usage)
//! - [Consistency](#consistency)
//! - [Costs](#costs)
//! - [Recovery](#recovery)
//! - [Testing](#testing)
//! - [Features](#features)
//! - [Where to find what](#where-to-find-what)
//!
//! # Usage
//!
//! ```no_run
//! use k8s_openapi::api::core::v1::Pod;
//! use kube::{Api, Client, Config};
//! use kube_informer::{Change, Informer, Obj, client_config, index};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // `client_config` turns off the retries of kube's client, which hide errors from the informer.
//! let client = Client::try_from(client_config(Config::infer().await?))?;
//!
//! // Configure: the kind, its scope, and the indexes.
//! let mut pods = Informer::builder(Api::<Pod>::all(client)).labels("app=web");
//! let by_node = pods.index(|pod: &Pod| pod.spec.as_ref()?.node_name.clone());
//! let by_namespace = pods.index(index::namespace());
//!
//! // Start it as a task, and wait for the first list.
//! let pods = pods.start();
//! pods.synced().await?;
//!
//! // Read. All reads of one snapshot agree.
//! let snapshot = pods.snapshot();
//! if let Some(pod) = snapshot.get(("shop", "web-1")) {
//!     println!("{} is at version {}", Obj::key(pod), Obj::resource_version(pod));
//! }
//! for pod in snapshot.by_index(&by_node, "node-1").and(snapshot.by_index(&by_namespace, "shop")) {
//!     println!("{} runs on node-1", Obj::key(pod));
//! }
//!
//! // Follow the changes. The first batch has all objects, each as `Added`.
//! let mut changes = pods.subscribe();
//! while let Some(batch) = changes.next().await {
//!     for change in &batch {
//!         match change {
//!             Change::Deleted(pod) => println!("{} was deleted", Obj::key(pod)),
//!             other => println!("{} was added or changed", other.key()),
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An informer runs until [`Informer::shutdown`], or until its last handle and subscription are dropped.
//!
//! # Consistency
//!
//! - **Atomic.** An update becomes visible as a whole, in the objects and in every index. A relist is one update.
//! - **Immutable.** A snapshot never changes. All reads of it agree, indexes included.
//! - **In order.** No object goes back to an older `resourceVersion`, unless the API server was restored from a backup.
//! - **Complete.** When [`Informer::synced`] returns, the whole first list is in the snapshot.
//! - **Lossless.** The changes of a [`Batch`], applied to the snapshot before it, give exactly its snapshot. Changes of
//!   one object are coalesced. No delete of a delivered object is lost: it is `Deleted`, or `Replaced` where another
//!   object has its name.
//! - **Possibly behind.** A snapshot is the newest state received. [`Status::stale_since`] is the time since which it
//!   may be behind the API server, and [`Informer::at_least`] waits for a write of your own.
//!
//! No guarantee spans two informers, except in the view of a graph of [derived collections](mod@derived). `docs/GUARANTEES.md` lists each guarantee with its tests.
//!
//! # Costs
//!
//! | call | cost | allocates | blocks |
//! |---|---|---|---|
//! | [`Informer::snapshot`], [`Informer::read`] | O(1) | no [^first] | no |
//! | [`Informer::get`] | O(1), and one reference count | no [^first] | no |
//! | [`View::get`], [`View::len`] | O(1) | no | no |
//! | [`View::by_index`] | O(1); iterating over the hits is O(hits) | no | no |
//! | [`Hits::and`](iter::Hits::and) | O(n log m) for n hits and m of a longer list, at most O(n + m) | no | no |
//! | [`View::selecting`] | O(labels), and one evaluation of each selector that requires one of the labels, or none | labels; hits of several selectors | no |
//! | [`View::select`], [`View::iter`], [`View::index_keys`] | O(n) to iterate over all | no | no |
//! | [`Informer::subscribe`] | O(1) amortized | yes | short lock of the subscriptions |
//! | [`Batch::changes`] | O(changes) to iterate over all | no list of changes | no |
//! | [`Informer::status`] | O(1) | no | short lock of the status |
//! | [`Informer::stats`] | O(subscriptions) | no [^first] | short lock of the subscriptions |
//! | [`Informer::add_index`] | O(n), on the informer's task | yes | no, it is `async` |
//! | [`Informer::refresh`] | one list, on the informer's task | yes | no, it is `async` |
//! | [`Informer::set_scope`] | the lists of the new parts, and O(n), on the informer's task | yes | no, it is `async` |
//! | [`WorkQueue::add`](queue::WorkQueue::add) | O(1) | the key, once | short lock of the queue |
//! | [`controller::Handle::enqueue`] | O(1) | the key, once | short locks |
//! | [`controller::Context::written`] | O(1) | the version | no |
//!
//! A held [`Snapshot`], [`Batch`] or [`Subscription`] keeps in memory the old versions of the objects that changed
//! since, and nothing else. `docs/BENCHMARKS.md` has times, beside those of other caches.
//!
//! [^first]: The first such call of a thread allocates once.
//!
//! # Recovery
//!
//! While the API server cannot be reached, readers keep the last state and [`Informer::status`] reports it as stale.
//! The informer retries by itself, with jitter. When a watch that worked ends, it opens another one within 100 ms. It obeys
//! `Retry-After`, and limits watches and lists by budgets ([`Config::watch_budget`], [`Config::list_budget`]).
//! [`Limits`] bounds the responses that it accepts from a broken server. [`View::invalid`] reports an object that does
//! not decode; no other object is affected. `docs/RECOVERY.md` has, for each fault, the requests sent and the longest
//! time that the cache is behind.
//!
//! # Testing
//!
//! - A reconcile function, without a server: `Snapshot::from_objects` makes a snapshot of given objects, and
//!   [`Context::new`](controller::Context::new) the other argument.
//! - A whole controller, in process: `testing::ApiServer` serves list, watch and writes to a real `Client`, injects
//!   faults and counts requests.
//!
//! Both need the feature `testing`. `docs/TESTING.md` shows how to use them, and where the in-process server differs
//! from a real one.
//!
//! # Features
//!
//! The features are off by default.
//!
//! - `metrics`: the statistics of informers, queues and controllers, through the `metrics` facade (module `metrics`).
//! - `shard`: `Controller::sharded` and `shard::Member`, replicas that divide the objects of a kind among themselves, by
//!   Leases.
//! - `testing`: the in-process Kubernetes API server, and `Snapshot::from_objects`.
//!
//! The application chooses TLS by the features of `kube` or `kube-client`, and the Kubernetes version by a feature of
//! `k8s-openapi`.
//!
//! # Where to find what
//!
//! | to | see |
//! |---|---|
//! | configure an informer | [`Informer::builder`], [`builder::Builder`], [`Config`], [`Scope`] |
//! | cache several namespaces or selections | [`Scope::namespaces`], [`Scope::any`], [`Informer::set_scope`] |
//! | cache a part of the objects in each replica | [`mod@shard`], [`Scope::shard`] |
//! | divide the objects among running replicas | `Controller::sharded`, `shard::Member` |
//! | wait for the first list | [`Informer::synced`], [`Informer::synced_or_blocked`] |
//! | look objects up | [`View::get`], [`View::by_index`], [`View::select`] |
//! | find the Services that select a Pod | [`index::selector`](index::selector()), [`View::selecting`] |
//! | declare an index | [`builder::Builder::index`], [`mod@index`] |
//! | select a projection by labels | [`mod@metadata`] |
//! | follow changes | [`Informer::subscribe`], [`Batch`], [`Change`] |
//! | reconcile | [`controller::Controller`], [`controller::Context`] |
//! | reconcile only for some changes | [`controller::changed`] |
//! | clean up before a delete | [`controller::finalizer()`] |
//! | compute a collection from others | [`mod@derived`] |
//! | stop a controller, or observe it | [`controller::Handle`] |
//! | fill a work queue of your own | [`Subscription::feed`], [`Subscription::keys`], [`mod@queue`] |
//! | use kube-runtime's `Controller` | [`bridge`], [`Informer::object_refs`] |
//! | share informers | [`Registry`], [`Stored`], [`registry::StoredWith`] |
//! | observe an informer | [`Informer::status`], [`Informer::stats`] |
//! | answer probes | [`Registry::not_synced`], [`Registry::stale`], [`Registry::stats`] |
//! | export metrics | module `metrics` |
//!
//! `docs/MIGRATING.md` maps the names of kube-runtime, client-go and controller-runtime to those of this crate.
//!
//! ```text
//!  API server -> source -> reflector -> project -> store { objects + indexes } -> publish -> Snapshot
//!                                                               '-> wake -> Subscription -> WorkQueue -> reconcile
//! ```
//!
//! `src/source`, `reflector`, `store`, `snapshot`, `subscribe`, `queue` and `controller` follow this picture.

mod alarm;
mod config;
pub mod controller;
mod counts;
pub mod derived;
pub mod error;
mod fetch;
mod free;
#[cfg(test)]
mod fuzz;
mod hash;
pub mod index;
mod informer;
pub mod key;
pub mod metadata;
#[cfg(feature = "metrics")]
pub mod metrics;
mod object;
mod objects;
pub mod queue;
#[cfg(test)]
mod quiet;
mod reflector;
pub mod registry;
mod scope;
mod selector;
pub mod shard;
mod slab;
mod snapshot;
mod source;
mod store;
mod stored;
mod subscribe;
#[cfg(feature = "testing")]
pub mod testing;
mod trie;
mod version;

// Last, so that what they add to `Informer` and `Snapshot` comes last in the documentation.
pub mod bridge;
#[cfg(feature = "testing")]
mod fixture;

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
pub use self::store::End;
pub use self::stored::Stored;
pub use self::subscribe::{Batch, Change, Subscription};
pub use self::version::ResourceVersion;

/// The builder of an informer, and the types it is generic over.
pub mod builder {
    pub use crate::informer::{Builder, FromApi, FromStream};
}

/// The iterators that look-ups and batches return.
pub mod iter {
    pub use crate::snapshot::{Hits, InKeyOrder, Intersection, Objects, Selected, Selecting};
    pub use crate::subscribe::Changes;
}

/// The parts of [`Stats`] and [`Status`].
pub mod stats {
    pub use crate::informer::Relists;
    pub use crate::reflector::PartStatus;
}

/// The README's example, compiled.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide's program, compiled and run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../docs/GUIDE.md")]
struct Guide;

/// The migration guide, compiled, and its programs run. What it quotes of the example is what the example has.
///
/// ```
/// let guide = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/MIGRATING.md"));
/// let example = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/configmapgen.rs"));
/// let begin = example.find("use std::").unwrap();
/// let end = example.find("// === The rest").unwrap();
/// assert!(guide.contains(example[begin..end].trim_end()));
/// ```
#[cfg(all(doctest, feature = "metrics", feature = "testing"))]
#[doc = include_str!("../docs/MIGRATING.md")]
struct Migrating;

/// The chapter on observing, compiled and run.
#[cfg(all(doctest, feature = "metrics", feature = "testing"))]
#[doc = include_str!("../docs/OBSERVING.md")]
struct Observing;

/// The chapter on testing, compiled and run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../docs/TESTING.md")]
struct Testing;
