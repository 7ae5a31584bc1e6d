//! The addresses behind each Service, as a graph of derived collections.
//!
//! ```text
//!  Services --by selector--.
//!  Pods ------------------ members --by Service--.
//!  Nodes --by name --------'                     |
//!  Services --------------------------------- endpoints
//! ```
//!
//! A change of a Pod recomputes that Pod, and the Services that select it or did so before. Readers see all of it at once.

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube_client::{Api, Client};
use kube_informer::derived::{self, Graph, RunningGraph};
use kube_informer::index::{self, SelectorKey};
use kube_informer::{Index, Informer, Obj, ObjectKey};

/// The addresses behind a Service, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) addresses: Vec<Address>,
}

/// The address of a Pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) ip: String,
    pub(crate) ready: bool,
    pub(crate) zone: Option<String>,
}

/// A Pod that Services select.
#[derive(PartialEq)]
struct Member {
    services: Vec<ObjectKey>,
    address: Address,
}

/// The informers that the graph reads.
pub(crate) struct Caches {
    pub(crate) services: Informer<Service>,
    by_selector: Index<Service, SelectorKey>,
    pub(crate) pods: Informer<Pod>,
    pub(crate) nodes: Informer<Node>,
}

/// The running graph.
pub(crate) struct Derived {
    pub(crate) graph: RunningGraph,
    pub(crate) services: derived::Node<Service>,
    pub(crate) pods: derived::Node<Pod>,
    pub(crate) nodes: derived::Node<Node>,
    pub(crate) endpoints: derived::Node<Endpoints>,
    /// As an informer: with subscriptions, and for a `Controller`.
    pub(crate) informer: Informer<Endpoints>,
}

// === impl Caches ===

impl Caches {
    pub(crate) fn start(client: &Client) -> Self {
        let mut services = Informer::builder(Api::<Service>::all(client.clone()));
        let by_selector =
            services.index(index::selector(|service: &Service| service.spec.as_ref()?.selector.clone()));
        Self {
            services: services.start(),
            by_selector,
            pods: Informer::builder(Api::<Pod>::all(client.clone())).start(),
            nodes: Informer::builder(Api::<Node>::all(client.clone())).start(),
        }
    }
}

// === impl Derived ===

impl Derived {
    pub(crate) fn start(caches: &Caches) -> Self {
        let mut graph = Graph::new("endpoints");
        let services = graph.source(&caches.services);
        let pods = graph.source(&caches.pods);
        let nodes = graph.source(&caches.nodes);

        // Which Services select a Pod? Recomputed when the Pod changes, its Node, or a selector that may match it.
        let by_selector = caches.by_selector;
        let members = graph.map("members", pods, move |pod: &Obj<Pod>, read| {
            let selecting = read.selecting_object(services, &by_selector, pod);
            let services: Vec<_> = selecting.map(|service| Obj::key(service).to_owned()).collect();
            let node = read.get(nodes, pod.spec.as_ref()?.node_name.as_deref()?);
            let address = Address::of(pod, node.map(|node| &**node))?;
            (!services.is_empty()).then_some(Member { services, address })
        });
        let by_service = graph.index(members, |member: &Member| member.services.clone());

        // Which Pods are behind a Service? Recomputed when the Service or one of its members changes.
        let endpoints = graph.map("endpoints", services, move |service: &Obj<Service>, read| {
            service.spec.as_ref()?.selector.as_ref()?;
            let members = read.by_index(members, &by_service, &Obj::key(service));
            Some(Endpoints::new(members.map(|member| member.address.clone())))
        });

        let informer = graph.informer(endpoints);
        Self { graph: graph.start(), services, pods, nodes, endpoints, informer }
    }
}

// === impl Endpoints ===

impl Endpoints {
    pub(crate) fn new(addresses: impl Iterator<Item = Address>) -> Self {
        let mut addresses: Vec<_> = addresses.collect();
        addresses.sort();
        Self { addresses }
    }

    pub(crate) fn ready(&self) -> usize {
        self.addresses.iter().filter(|address| address.ready).count()
    }
}

// === impl Address ===

impl Address {
    /// `None` while the Pod has no address.
    pub(crate) fn of(pod: &Pod, node: Option<&Node>) -> Option<Self> {
        let status = pod.status.as_ref()?;
        let conditions = status.conditions.iter().flatten();
        Some(Self {
            ip: status.pod_ip.clone()?,
            ready: conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True"),
            zone: node
                .and_then(|node| node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned()),
        })
    }
}
