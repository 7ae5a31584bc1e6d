//! The three kinds that the controller uses, with only the fields it needs. Decoding skips all other fields, so
//! they never take memory.

use std::borrow::Cow;

use kube_core::{ClusterResourceScope, NamespaceResourceScope, ObjectMeta, Resource};
use serde::{Deserialize, Serialize};

/// Suffix of the annotation that says in which subnet a pod's address of one provider is:
/// `<provider>.kubernetes.io/logical_switch: <subnet>`.
pub const LOGICAL_SWITCH: &str = ".kubernetes.io/logical_switch";

/// A Kube-OVN subnet. Cluster-scoped, with a status subresource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subnet {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: SubnetSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SubnetStatus>,
}

/// The desired state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubnetSpec {
    /// `v4`, `v6` or `v4,v6`.
    pub cidr_block: String,
    /// As `cidr_block`; empty means the first address of each block.
    pub gateway: String,
    /// `ovn` is the network every pod has; another names a NetworkAttachmentDefinition.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// `IPv4`, `IPv6` or `Dual`; empty means what the CIDR says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// Addresses never given to pods: `a` or `a..b`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_ips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vpc: String,
}

/// The observed state, which the controller writes.
///
/// The counts are `f64` because their type in the CRD is `number`, and an API server keeps no more of it: a
/// /64 has 2^64 addresses. Numbers that went to the server and came back then compare equal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubnetStatus {
    pub conditions: Vec<Condition>,
    #[serde(rename = "v4availableIPs")]
    pub v4_available: f64,
    #[serde(rename = "v4usingIPs")]
    pub v4_using: f64,
    #[serde(rename = "v6availableIPs")]
    pub v6_available: f64,
    #[serde(rename = "v6usingIPs")]
    pub v6_using: f64,
}

/// One aspect of a subnet's state. It has no timestamp: the status is a function of the cached objects alone, so a
/// comparison decides whether there is something to write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// A NetworkAttachmentDefinition, as Multus defines it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkAttachmentDefinition {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: NadSpec,
}

/// The CNI configuration: JSON in a string, or absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NadSpec {
    #[serde(default)]
    pub config: String,
}

/// A pod: its annotations name its subnets, and its phase says whether it still uses their addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pod {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub status: PodStatus,
}

/// The one field of a pod's status that is needed here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PodStatus {
    #[serde(default)]
    pub phase: String,
}

// === impl Subnet ===

impl Subnet {
    /// `spec.provider`, with its default.
    pub fn provider(&self) -> &str {
        if self.spec.provider.is_empty() { "ovn" } else { &self.spec.provider }
    }
}

// === impl Resource ===

macro_rules! resource {
    ($type:ty, $scope:ty, $group:literal, $kind:literal, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(Subnet, ClusterResourceScope, "kubeovn.io", "Subnet", "subnets");
resource!(
    NetworkAttachmentDefinition,
    NamespaceResourceScope,
    "k8s.cni.cncf.io",
    "NetworkAttachmentDefinition",
    "network-attachment-definitions"
);
resource!(Pod, NamespaceResourceScope, "", "Pod", "pods");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_the_round_trip_of_an_api_server_unchanged() {
        let status = SubnetStatus {
            v6_available: (u128::from(u64::MAX) - 2) as f64,
            v4_using: 3.0,
            ..Default::default()
        };
        let stored = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<SubnetStatus>(&stored).unwrap(), status);
        // An API server writes whole numbers without a fraction.
        let rewritten = stored.replace(".0", "");
        assert_eq!(serde_json::from_str::<SubnetStatus>(&rewritten).unwrap(), status);
    }
}
