//! The same, computed from nothing: what a controller does that recomputes everything at each change.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube_informer::{Obj, ObjectKey, Snapshot};

use crate::derived::{Address, Endpoints};

/// The addresses behind each Service. O(Services x Pods).
pub(crate) fn endpoints(
    services: &Snapshot<Service>,
    pods: &Snapshot<Pod>,
    nodes: &Snapshot<Node>,
) -> BTreeMap<ObjectKey, Endpoints> {
    let of_service = |service: &Obj<Service>| {
        let selector = service.spec.as_ref()?.selector.as_ref()?;
        let selected = pods.iter().filter(|pod| {
            let label = |name: &String| pod.metadata.labels.as_ref()?.get(name);
            let namespace = Obj::namespace(pod) == Obj::namespace(service);
            namespace
                && !selector.is_empty()
                && selector.iter().all(|(name, value)| label(name) == Some(value))
        });
        let addresses = selected.filter_map(|pod| {
            let node = nodes.get(pod.spec.as_ref()?.node_name.as_deref()?);
            Address::of(pod, node.map(|node| &**node))
        });
        Some((Obj::key(service).to_owned(), Endpoints::new(addresses)))
    };
    services.iter().filter_map(of_service).collect()
}
