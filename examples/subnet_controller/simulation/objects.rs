//! The objects of the simulation, as JSON: those of a cluster with Multus and Kube-OVN.

use serde_json::{Value, json};

/// Resource names on the server.
pub const NADS: &str = "network-attachment-definitions.k8s.cni.cncf.io";
pub const SUBNETS: &str = "subnets.kubeovn.io";
pub const PODS: &str = "pods";

/// Namespaces that NADs and pods are spread over.
const NAMESPACES: usize = 20;

/// The form of a NAD's `spec.config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Config {
    /// The CNI type, and a number that makes configs of one meaning differ in text.
    Plugin(&'static str, u32),
    /// Cut off in the middle.
    Broken,
}

pub fn nad_name(number: usize) -> (String, String) {
    (format!("team-{:02}", number % NAMESPACES), format!("net-{number:05}"))
}

pub fn pod_name(number: usize) -> (String, String) {
    (format!("team-{:02}", number % NAMESPACES), format!("pod-{number:06}"))
}

pub fn subnet_name(number: usize) -> String {
    format!("subnet-{number:05}")
}

/// Every second NAD is Kube-OVN's own, the others belong to another plugin that Kube-OVN gives addresses to.
pub fn home_type(nad: usize) -> &'static str {
    if nad.is_multiple_of(2) { "kube-ovn" } else { "macvlan" }
}

/// The provider a subnet names: mostly a NAD, for one in ten the default network; one in fifty gets it wrong.
pub fn provider(subnet: usize, nads: usize) -> String {
    if subnet % 10 == 9 {
        return "ovn".to_owned();
    }
    let nad = subnet % nads;
    let (namespace, name) = nad_name(nad);
    let wrong = subnet % 50 == 7;
    let suffix = if (home_type(nad) == "kube-ovn") != wrong { ".ovn" } else { "" };
    format!("{name}.{namespace}{suffix}")
}

pub fn nad(number: usize, config: Config) -> Value {
    let (namespace, name) = nad_name(number);
    json!({
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"app.kubernetes.io/part-of": "demo", "team": namespace},
            "annotations": {"example.com/owner": format!("{namespace}@example.com")},
        },
        "spec": {"config": config_text(number, config)},
    })
}

pub fn config_text(number: usize, config: Config) -> String {
    let (namespace, name) = nad_name(number);
    match config {
        Config::Broken => "{\"cniVersion\": \"0.3.1\", \"type\":".to_owned(),
        // Kube-OVN's own configs are single plugins, the others lists: both forms occur.
        Config::Plugin("kube-ovn", mtu) => json!({
            "cniVersion": "0.3.1",
            "name": name,
            "type": "kube-ovn",
            "mtu": 1400 + mtu % 100,
            "server_socket": "/run/openvswitch/kube-ovn-daemon.sock",
            "provider": format!("{name}.{namespace}.ovn"),
        })
        .to_string(),
        Config::Plugin(cni_type, mtu) => json!({
            "cniVersion": "0.3.1",
            "name": name,
            "plugins": [
                {
                    "type": cni_type,
                    "master": "eth1",
                    "mode": "bridge",
                    "mtu": 1400 + mtu % 100,
                    "ipam": {
                        "type": "kube-ovn",
                        "server_socket": "/run/openvswitch/kube-ovn-daemon.sock",
                        "provider": format!("{name}.{namespace}"),
                    },
                },
                {"type": "tuning"},
            ],
        })
        .to_string(),
    }
}

/// Of three subnets one is IPv4, one dual stack and one an IPv6 /64.
pub fn subnet(number: usize, nads: usize) -> Value {
    let (high, low) = (number / 256 % 256, number % 256);
    let (cidr, gateway, protocol) = match number % 3 {
        0 => (format!("10.{high}.{low}.0/24"), format!("10.{high}.{low}.1"), "IPv4"),
        1 => (
            format!("172.16.{low}.0/24,fd00:{high:x}:{low:x}::/112"),
            format!("172.16.{low}.1,fd00:{high:x}:{low:x}::1"),
            "Dual",
        ),
        _ => (format!("fd01:{high:x}:{low:x}::/64"), format!("fd01:{high:x}:{low:x}::1"), "IPv6"),
    };
    json!({
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": subnet_name(number)},
        "spec": {
            "cidrBlock": cidr,
            "gateway": gateway,
            "provider": provider(number, nads),
            "protocol": protocol,
            "excludeIps": excluded(number, 0),
            "vpc": vpc(0),
        },
    })
}

/// The first few addresses of each block; how many depends on `edits`.
pub fn excluded(number: usize, edits: u32) -> Value {
    let (high, low, last) = (number / 256 % 256, number % 256, 1 + edits % 7);
    match number % 3 {
        0 => json!([format!("10.{high}.{low}.1..10.{high}.{low}.{last}")]),
        1 => json!([
            format!("172.16.{low}.1..172.16.{low}.{last}"),
            format!("fd00:{high:x}:{low:x}::1..fd00:{high:x}:{low:x}::{last}"),
        ]),
        _ => json!([format!("fd01:{high:x}:{low:x}::1..fd01:{high:x}:{low:x}::{last}")]),
    }
}

pub fn vpc(edits: u32) -> String {
    format!("vpc-{}", edits % 5)
}

/// A running pod with a secondary interface in `subnet`.
pub fn pod(number: usize, subnet: usize, nads: usize) -> Value {
    let (namespace, name) = pod_name(number);
    let provider = provider(subnet, nads);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"app": format!("app-{}", number % 50), "pod-template-hash": "5d4f8c7b9"},
            "annotations": {
                "k8s.v1.cni.cncf.io/networks": provider.trim_end_matches(".ovn").replace('.', "/"),
                format!("{provider}.kubernetes.io/allocated"): "true",
                format!("{provider}.kubernetes.io/logical_switch"): subnet_name(subnet),
                "example.com/checked": "0",
            },
        },
        "spec": {"nodeName": format!("node-{}", number % 9), "containers": [{"name": "app", "image": "app:1"}]},
        "status": {"phase": "Running"},
    })
}
