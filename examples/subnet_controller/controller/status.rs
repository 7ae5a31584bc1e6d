//! The desired status: a function of the subnet, its NAD and the number of its pods, without I/O.

use super::cidr::{Block, Plan};
use super::nad::{Nad, nad_of_provider};
use super::types::{Condition, Subnet, SubnetStatus};

/// The cause why a subnet is not ready: `reason` for programs, `message` for people.
struct NotReady {
    reason: &'static str,
    message: String,
}

/// The desired status of `subnet`. `nad` is the NAD that its provider names, if it exists; `pods` is the number of
/// pods that have an address in it.
pub fn desired_status(subnet: &Subnet, nad: Option<&Nad>, pods: usize) -> SubnetStatus {
    let plan = Plan::of(&subnet.spec);
    let (v4, v6) = match &plan {
        Ok(plan) => (count(plan.v4.as_ref(), pods), count(plan.v6.as_ref(), pods)),
        Err(_) => Default::default(),
    };
    let ready = match &plan {
        Err(error) => Err(NotReady { reason: "InvalidAddresses", message: error.to_string() }),
        Ok(_) => network(subnet.provider(), nad),
    };
    let condition = |status: &str, reason: &str, message| Condition {
        kind: "Ready".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
    };
    let condition = match ready {
        Ok(()) => condition("True", "Ready", String::new()),
        Err(not) => condition("False", not.reason, not.message),
    };
    SubnetStatus {
        conditions: vec![condition],
        v4_available: v4.available,
        v4_using: v4.using,
        v6_available: v6.available,
        v6_using: v6.using,
    }
}

/// Whether the network that the provider names is usable.
fn network(provider: &str, nad: Option<&Nad>) -> Result<(), NotReady> {
    let Some((namespace, name)) = nad_of_provider(provider) else {
        if provider == "ovn" {
            return Ok(());
        }
        let message = format!("spec.provider: {provider:?} is neither name.namespace.ovn nor name.namespace");
        return Err(NotReady { reason: "InvalidProvider", message });
    };
    match nad.map(|nad| &nad.cni_type) {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(NotReady {
            reason: "InvalidNetworkAttachmentDefinition",
            message: format!("NetworkAttachmentDefinition {namespace}/{name}: {error}"),
        }),
        None => Err(NotReady {
            reason: "NoNetworkAttachmentDefinition",
            message: format!("no NetworkAttachmentDefinition {namespace}/{name} with provider {provider}"),
        }),
    }
}

#[derive(Default)]
struct Count {
    available: f64,
    using: f64,
}

/// A pod has one address of each family its subnet has.
fn count(block: Option<&Block>, pods: usize) -> Count {
    block.map_or_else(Count::default, |block| Count {
        available: block.usable.saturating_sub(pods as u128) as f64,
        using: pods as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::super::types::NetworkAttachmentDefinition;
    use super::*;
    use serde_json::json;

    fn subnet(provider: &str, cidr: &str) -> Subnet {
        let spec = json!({"cidrBlock": cidr, "provider": provider});
        serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": spec})).unwrap()
    }

    fn nad(config: &str) -> Nad {
        let nad = json!({"metadata": {"namespace": "ns", "name": "net1"}, "spec": {"config": config}});
        Nad::from_crd(serde_json::from_value::<NetworkAttachmentDefinition>(nad).unwrap())
    }

    fn reason(status: &SubnetStatus) -> (&str, &str) {
        (&status.conditions[0].status, &status.conditions[0].reason)
    }

    #[test]
    fn a_subnet_with_its_nad_is_ready_and_counts_its_pods() {
        let nad = nad(r#"{"type":"kube-ovn"}"#);
        let status = desired_status(&subnet("net1.ns.ovn", "10.0.0.0/24,fd00::/64"), Some(&nad), 3);
        assert_eq!(reason(&status), ("True", "Ready"));
        assert_eq!((status.v4_using, status.v4_available), (3.0, 250.0));
        assert_eq!((status.v6_using, status.v6_available), (3.0, ((1u128 << 64) - 5) as f64));
    }

    #[test]
    fn addresses_of_an_absent_family_are_not_counted() {
        let status = desired_status(&subnet("", "fd00::/120"), None, 9);
        assert_eq!((status.v4_using, status.v4_available), (0.0, 0.0));
        assert_eq!((status.v6_using, status.v6_available), (9.0, 245.0));
    }

    #[test]
    fn more_pods_than_addresses_leave_none() {
        let status = desired_status(&subnet("ovn", "10.0.0.0/30"), None, 5);
        assert_eq!((status.v4_using, status.v4_available), (5.0, 0.0));
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let missing = desired_status(&subnet("net1.ns.ovn", "10.0.0.0/24"), None, 0);
        assert_eq!(reason(&missing), ("False", "NoNetworkAttachmentDefinition"));
        assert!(missing.conditions[0].message.contains("ns/net1"));

        let broken = desired_status(&subnet("net1.ns", "10.0.0.0/24"), Some(&nad("")), 0);
        assert_eq!(reason(&broken), ("False", "InvalidNetworkAttachmentDefinition"));
        assert_eq!(broken.conditions[0].message, "NetworkAttachmentDefinition ns/net1: spec.config is empty");

        let provider = desired_status(&subnet("a.b.c", "10.0.0.0/24"), None, 0);
        assert_eq!(reason(&provider), ("False", "InvalidProvider"));

        let addresses = desired_status(&subnet("", "10.0.0.0"), None, 4);
        assert_eq!(reason(&addresses), ("False", "InvalidAddresses"));
        assert_eq!((addresses.v4_using, addresses.v4_available), (0.0, 0.0));
    }
}
