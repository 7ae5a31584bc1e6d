//! The part of a pod that the cache keeps: the networks in which it has an address.

use kube_informer::index::Pair;
use kube_informer::{Stored, registry::Projected};

use super::types::{LOGICAL_SWITCH, Pod};

/// The part of a pod that the cache keeps.
#[derive(Clone, Debug)]
pub struct PodNetworks(Vec<Pair<String, String>>);

// === impl PodNetworks ===

impl Stored for PodNetworks {
    type Object = Pod;

    fn project(pod: Pod) -> Projected<Self> {
        Ok(Self::of(pod))
    }
}

impl PodNetworks {
    /// `None` for a pod that has ended: its addresses are free.
    pub fn of(pod: Pod) -> Option<Self> {
        if matches!(pod.status.phase.as_str(), "Succeeded" | "Failed") {
            return None;
        }
        let annotations = pod.metadata.annotations.into_iter().flatten();
        let networks = annotations
            .filter_map(|(name, subnet)| Some(Pair(name.strip_suffix(LOGICAL_SWITCH)?.to_owned(), subnet)));
        Some(Self(networks.collect()))
    }

    /// The index keys: provider and subnet.
    pub fn keys(&self) -> &[Pair<String, String>] {
        &self.0
    }

    /// Pairs of (provider, subnet).
    pub fn networks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|key| (key.0.as_str(), key.1.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_has_one_network_per_logical_switch_annotation() {
        let pod = json!({"metadata": {"name": "a", "annotations": {
            "ovn.kubernetes.io/logical_switch": "ovn-default",
            "net1.default.ovn.kubernetes.io/logical_switch": "subnet1",
            "net1.default.ovn.kubernetes.io/ip_address": "10.0.0.2",
        }}});
        let pod = PodNetworks::of(serde_json::from_value(pod).unwrap()).unwrap();
        let networks: Vec<_> = pod.networks().collect();
        assert_eq!(networks, [("net1.default.ovn", "subnet1"), ("ovn", "ovn-default")]);
    }

    #[test]
    fn a_pod_that_has_ended_is_kept_out() {
        for (phase, kept) in
            [("Running", true), ("Pending", true), ("", true), ("Succeeded", false), ("Failed", false)]
        {
            let pod = json!({"metadata": {"name": "a"}, "status": {"phase": phase}});
            let pod = PodNetworks::of(serde_json::from_value(pod).unwrap());
            assert_eq!(pod.is_some(), kept, "{phase}");
        }
    }
}
