//! Changes objects on an API server in this process. After each change, waits until the derived collections have it, and
//! checks them.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube_client::Client;
use kube_core::Resource;
use kube_informer::derived::{GraphStats, GraphView};
use kube_informer::testing::ApiServer;
use kube_informer::{Informer, ObjectKey};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::derived::{Caches, Derived, Endpoints};
use crate::plain;

const NAMESPACES: u32 = 10;
const NODES: u32 = 50;
const ZONES: u32 = 3;
/// How long one change may take.
const WITHIN: Duration = Duration::from_secs(30);

/// What was measured.
pub(crate) struct Run {
    pub(crate) services: u32,
    pub(crate) pods: u32,
    pub(crate) changes: Vec<Measured>,
    pub(crate) stats: GraphStats,
}

/// One change.
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    /// Pods and Services that the graph recomputed.
    pub(crate) recomputed: u64,
    /// Pods and Services there were: so many a plain recomputation visits.
    pub(crate) everything: u64,
    /// How long the tick of the graph took.
    pub(crate) tick: Duration,
    /// How long the plain recomputation took.
    pub(crate) plain: Duration,
}

/// The kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    PodReady,
    PodLabels,
    PodReplaced,
    Selector,
    Zone,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::PodReady, Self::PodLabels, Self::PodReplaced, Self::Selector, Self::Zone];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PodReady => "a Pod is ready, or not",
            Self::PodLabels => "a Pod gets other labels",
            Self::PodReplaced => "a Pod is replaced",
            Self::Selector => "a Service gets another selector",
            Self::Zone => "a Node moves to another zone",
        }
    }

    fn random(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..60 => Self::PodReady,
            60..75 => Self::PodLabels,
            75..90 => Self::PodReplaced,
            90..98 => Self::Selector,
            _ => Self::Zone,
        }
    }
}

/// Runs the simulation.
pub(crate) async fn run(services: u32, pods: u32, changes: u32, seed: u64) -> anyhow::Result<Run> {
    let world = World { server: ApiServer::new(), services, pods };
    let mut random = StdRng::seed_from_u64(seed);
    world.create(&mut random)?;
    let caches = Caches::start(&Client::new(world.server.service(), "default"));
    let derived = Derived::start(&caches);
    let began = Instant::now();
    let view = tokio::time::timeout(WITHIN, derived.graph.synced()).await.context("no first tick")??;
    check(&derived, &view)?;
    println!(
        "{services} Services, {pods} Pods, {NODES} Nodes (seed {seed}); the first tick is done after {:.0?}",
        began.elapsed()
    );

    let progress = match std::io::stderr().is_terminal() {
        true => ProgressBar::new(changes.into()),
        false => ProgressBar::hidden(),
    };
    let mut measured = Vec::new();
    for number in 0..changes {
        let before = derived.graph.stats();
        let kind = Kind::random(&mut random);
        let changed = world.change(kind, number, &mut random)?;
        let view = tokio::time::timeout(WITHIN, received(&caches, &derived, changed));
        let view = view.await.context("a change does not arrive")??;
        let after = derived.graph.stats();
        let plain = check(&derived, &view)?;
        measured.push(Measured {
            kind,
            recomputed: recomputed(&after) - recomputed(&before),
            everything: (view.of(derived.services).len() + view.of(derived.pods).len()) as u64,
            tick: after.last_tick,
            plain,
        });
        progress.inc(1);
    }
    progress.finish_and_clear();
    let stats = derived.graph.stats();
    derived.graph.shutdown().await;
    Ok(Run { services, pods, changes: measured, stats })
}

fn recomputed(stats: &GraphStats) -> u64 {
    stats.nodes.iter().map(|node| node.recomputed).sum()
}

/// Compares the derived collection with a plain recomputation from the same view. Returns how long that took.
fn check(derived: &Derived, view: &GraphView) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let plain = plain::endpoints(view.of(derived.services), view.of(derived.pods), view.of(derived.nodes));
    let took = began.elapsed();
    let kept = view.of(derived.endpoints);
    let equal =
        |key: &ObjectKey, endpoints: &Endpoints| kept.get(key).is_some_and(|kept| **kept == *endpoints);
    ensure!(
        kept.len() == plain.len() && plain.iter().all(|(key, endpoints)| equal(key, endpoints)),
        "the derived endpoints differ from the plain ones"
    );
    Ok(took)
}

/// An object that was changed.
enum Changed {
    Service(Box<Service>),
    Pod(Box<Pod>),
    Node(Box<Node>),
}

/// Waits for a change in the informer, and then in everything that is derived from it.
async fn received(caches: &Caches, derived: &Derived, changed: Changed) -> anyhow::Result<Arc<GraphView>> {
    async fn through<K: Resource + Send + Sync + 'static>(
        informer: &Informer<K>,
        derived: &Derived,
        written: &K,
    ) -> anyhow::Result<Arc<GraphView>> {
        Ok(derived.graph.reached(&informer.at_least(written).await?).await?)
    }
    match changed {
        Changed::Service(service) => through(&caches.services, derived, &*service).await,
        Changed::Pod(pod) => through(&caches.pods, derived, &*pod).await,
        Changed::Node(node) => through(&caches.nodes, derived, &*node).await,
    }
}

/// The objects on the server.
struct World {
    server: ApiServer,
    services: u32,
    pods: u32,
}

impl World {
    fn create(&self, random: &mut StdRng) -> anyhow::Result<()> {
        for number in 0..NAMESPACES {
            let metadata = json!({ "name": format!("shop-{number}") });
            self.server.create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }))?;
        }
        for node in 0..NODES {
            self.server.create(json!({
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": { "name": format!("node-{node}"), "labels": zone(random) },
            }))?;
        }
        for service in 0..self.services {
            let (namespace, name) = place(service);
            self.server.create(json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": { "namespace": namespace, "name": name },
                "spec": { "selector": { "app": name } },
            }))?;
        }
        for pod in 0..self.pods {
            self.create_pod(&format!("pod-{pod}"), pod, random)?;
        }
        Ok(())
    }

    fn create_pod(&self, name: &str, number: u32, random: &mut StdRng) -> anyhow::Result<Value> {
        let (namespace, app) = place(number % self.services);
        self.server.create(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "namespace": namespace, "name": name, "labels": { "app": app, "track": track(random) } },
            "spec": { "nodeName": format!("node-{}", random.random_range(0..NODES)) },
        }))?;
        // As the kubelet does, later.
        let ip = format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255);
        let status = json!({ "podIP": ip, "conditions": [{ "type": "Ready", "status": "True" }] });
        Ok(self.server.patch_status("pods", &*namespace, name, json!({ "status": status }))?)
    }

    /// Changes an object. Returns its new version; for a Pod that is replaced, that of the new one.
    fn change(&self, kind: Kind, number: u32, random: &mut StdRng) -> anyhow::Result<Changed> {
        if kind == Kind::Zone {
            let name = format!("node-{}", random.random_range(0..NODES));
            let patch = json!({ "metadata": { "labels": zone(random) } });
            return Ok(Changed::Node(typed(self.server.merge_patch("nodes", None, &name, patch)?)?));
        }
        let (namespace, app) = place(random.random_range(0..self.services));
        if kind == Kind::Selector {
            // One track only, or all again.
            let service = self.server.get("services", &*namespace, &app)?;
            let one = service["spec"]["selector"]["track"].is_null().then(|| track(random));
            let patch = json!({ "spec": { "selector": { "track": one } } });
            let patched = self.server.merge_patch("services", &*namespace, &app, patch)?;
            return Ok(Changed::Service(typed(patched)?));
        }
        let list = self.server.list("pods", &*namespace)?;
        let pod = list["items"]
            .as_array()
            .and_then(|pods| pods.choose(random))
            .context("no Pod in the namespace")?;
        let name = pod["metadata"]["name"].as_str().context("a Pod without a name")?;
        let patched = match kind {
            Kind::PodReady => {
                let ready = match pod["status"]["conditions"][0]["status"].as_str() {
                    Some("True") => "False",
                    _ => "True",
                };
                let conditions = json!([{ "type": "Ready", "status": ready }]);
                let patch = json!({ "status": { "conditions": conditions } });
                self.server.patch_status("pods", &*namespace, name, patch)?
            }
            Kind::PodLabels => {
                let labels = json!({ "app": app, "track": track(random) });
                let patch = json!({ "metadata": { "labels": labels } });
                self.server.merge_patch("pods", &*namespace, name, patch)?
            }
            _ => {
                self.server.delete("pods", &*namespace, name)?;
                self.create_pod(&format!("new-{number}"), random.random_range(0..self.pods), random)?
            }
        };
        Ok(Changed::Pod(typed(patched)?))
    }
}

/// The namespace and the name of a Service.
fn place(service: u32) -> (String, String) {
    (format!("shop-{}", service % NAMESPACES), format!("app-{service}"))
}

fn track(random: &mut StdRng) -> Value {
    ["stable", "canary"].choose(random).copied().into()
}

fn zone(random: &mut StdRng) -> Value {
    json!({ "topology.kubernetes.io/zone": format!("zone-{}", random.random_range(0..ZONES)) })
}

fn typed<K: Resource + DeserializeOwned>(object: Value) -> anyhow::Result<Box<K>> {
    serde_json::from_value(object).context("an object that is not of its kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_kind_of_change_recomputes_only_what_it_affects() {
        // Each change is checked against the plain recomputation.
        let run = run(20, 200, 150, 7).await.unwrap();
        assert_eq!(run.changes.len(), 150);
        for change in &run.changes {
            let most = match change.kind {
                // A Pod, and the Services that select it: one or two.
                Kind::PodReady | Kind::PodLabels | Kind::PodReplaced => 8,
                // A Service, and the Pods with the labels of its selectors, before and after.
                Kind::Selector => 80,
                // The Pods of a Node, and their Services.
                Kind::Zone => 40,
            };
            assert!(change.recomputed <= most, "{:?}: {} recomputed", change.kind, change.recomputed);
        }
        // Of a Pod that is ready or not: the Pod, and the Services that select it, mostly one.
        let ready = run.changes.iter().filter(|change| change.kind == Kind::PodReady);
        let counts: Vec<_> = ready.map(|change| change.recomputed).collect();
        assert!(counts.contains(&2) && !counts.contains(&0), "{counts:?}");
    }
}
