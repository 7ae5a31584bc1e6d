//! Derived collections: informers whose objects are computed from those of other informers.
//!
//! A [`Graph`] declares what is computed from what: by [`map`](Graph::map) from each object of a collection, by
//! [`group_by`](Graph::group_by) from the objects under each key of an index, by [`join`](Graph::join) from several
//! collections of one type, and by [`filter`](Graph::filter). A transform reads other collections through [`Reads`], which
//! records what it reads. When something changes, only the inputs that have changed, or have read what changed, are
//! computed again.
//!
//! A derived collection is an [`Informer`](crate::Informer): its snapshots, indexes, subscriptions and waits are those of
//! any informer, and a [`Controller`](crate::controller::Controller) takes it.
//!
//! ```
//! use std::collections::BTreeSet;
//!
//! use k8s_openapi::api::core::v1::{Node, Pod};
//! use kube::{Api, Client, ResourceExt as _};
//! use kube_informer::derived::Graph;
//! use kube_informer::{Informer, testing::ApiServer};
//! use serde_json::{from_value, json};
//!
//! /// A pod, with what is known of its node.
//! #[derive(PartialEq)]
//! struct Member {
//!     app: String,
//!     zone: String,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = ApiServer::new();
//! # for (name, zone) in [("node-1", "east"), ("node-2", "west")] {
//! #     server.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"zone": zone}}}))?;
//! # }
//! # let client = Client::new(server.service(), "default");
//! let pods = Informer::builder(Api::<Pod>::all(client.clone())).start();
//! let nodes = Informer::builder(Api::<Node>::all(client.clone())).start();
//!
//! // Declare: each collection may read those before it.
//! let mut graph = Graph::new("zones");
//! let pod = graph.source(&pods);
//! let node = graph.source(&nodes);
//! let members = graph.map("members", pod, move |pod, read| {
//!     let node = read.get(node, pod.spec.as_ref()?.node_name.as_deref()?)?;
//!     Some(Member { app: pod.labels().get("app")?.clone(), zone: node.labels().get("zone")?.clone() })
//! });
//! let by_app = graph.index(members, |member: &Member| member.app.clone());
//! let zones = graph.group_by("zones", members, by_app, |_app, members, _read| {
//!     Some(members.map(|member| member.zone.clone()).collect::<BTreeSet<_>>())
//! });
//! let zones_of_apps = graph.informer(zones);
//! let graph = graph.start();
//!
//! // A write is in all that is derived from it once the graph has reached it.
//! let web = json!({"metadata": {"name": "web-1", "labels": {"app": "web"}}, "spec": {"nodeName": "node-2", "containers": []}});
//! let written = Api::<Pod>::namespaced(client, "default").create(&Default::default(), &from_value(web)?).await?;
//! let view = graph.reached(&pods.at_least(&written).await?).await?;
//! assert!(view.of(zones).get("web").is_some_and(|zones| zones.contains("west")));
//!
//! // The collections of one view are of one moment. The informer shows what the view does.
//! assert_eq!(view.of(members).len(), view.of(pod).len());
//! assert_eq!(zones_of_apps.snapshot().len(), 1);
//! # graph.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A tick
//!
//! The graph is one task. It works in ticks, one after another, each for all changes that have arrived:
//!
//! ```text
//!            the newest snapshot of every source, and what has changed since the last tick
//!
//!   pods  ───────┬──────────────────┐                 1. take them
//!   nodes ────┐  │                  │
//!             ▼  ▼                  │
//!            members ◄─ reads ─ nodes                 2. compute, in the order of declaration: of each collection only
//!                │  by index        │                    the inputs that changed, or have read what changed, each
//!                ▼                  ▼                    once, from the snapshots of step 1 and the new versions of
//!              zones              ...                    the collections before it
//!
//!   ══════════════════════════════════════════        3. publish all collections, and the view
//! ```
//!
//! - **No mix of versions.** Every value is computed from one snapshot of each source. No reader sees anything of a tick
//!   before its end, and [`RunningGraph::view`] has all collections of the same tick.
//! - **A barrier.** [`RunningGraph::reached`] waits until everything reflects a snapshot of a source.
//! - **Equal values are no change.** A value that equals the last one keeps its allocation. Nothing that depends on it is
//!   computed, and no subscription is woken.
//! - **Consistent with what has arrived.** Across sources, a tick takes what each informer has at that moment. Kubernetes
//!   has no order between kinds, and a graph adds none.
//!
//! The first tick is done when all sources have synced; [`RunningGraph::not_synced`] names those that have not. Then the
//! derived informers are synced, too. Their status is that of the sources: stale while one of them is.
//!
//! # Costs
//!
//! A tick costs O(changes + inputs to compute) for each collection, plus the transforms. A map without reads keeps
//! nothing beside its values. Each read of an input is recorded, in memory of a fixed size; a [`scan`](Reads::scan) makes
//! the input depend on every object. Transforms run on the graph's task, one after another: a slow one delays its graph,
//! but neither the sources nor other graphs. A long tick lets other tasks run in between.
//!
//! # Derived objects
//!
//! An object has the key that the transform or the group gives it, no uid, and the number of the tick that has made it as
//! its [`resource_version`](crate::Obj::resource_version). A value that replaces another one is `Modified`. The informers
//! have no resourceVersion: [`at_least`](crate::Informer::at_least) and [`refresh`](crate::Informer::refresh) return
//! errors. Their [`Stats`](crate::Stats) have no lists, watches and events; the graph has its own
//! ([`RunningGraph::stats`]).
//!
//! # Duplicate keys
//!
//! Transforms that return a `Vec` may give several values to one key. The value of the lowest input is shown, in the order
//! of object keys. When that input is deleted, or returns no value for the key any more, the next one is computed and
//! shown in the same tick. [`NodeStats::duplicates`] counts the others. Of several values of one input, the first is
//! shown. Two index keys of a group that are the same object key count as duplicates, too, in no particular order.
//!
//! # Panics of transforms
//!
//! If a transform panics, its input keeps the last value and all that it has read, now and before, so that it is computed
//! again when any of that changes. The log warns, and [`NodeStats::panics`] counts. Other inputs are not affected.
//!
//! # Ends
//!
//! A graph keeps its sources running. It ends with [`RunningGraph::shutdown`], with the
//! [`shutdown`](crate::Informer::shutdown) of one of its informers, or when no handle to it and to its informers is left.
//! A source that has ended keeps its last objects; when all have ended, or one has before it synced, the graph ends.

mod any_node;
mod claims;
mod driver;
mod edges;
mod emit;
mod few;
mod graph;
mod inputs;
mod join;
mod node;
mod read;
mod reads;
mod running;
mod source;
mod stats;
mod step;
mod tally;
mod target;
#[cfg(test)]
mod tests;
mod tick;
mod transform;
mod view;

pub use self::emit::IntoDerived;
pub use self::graph::Graph;
pub use self::node::Node;
pub use self::reads::Reads;
pub use self::running::RunningGraph;
pub use self::stats::{GraphStats, NodeStats};
pub use self::view::GraphView;
