//! The schemas of built-in kinds: which of their lists have keys, and which of their objects are maps or atomic.
//!
//! A list that is not named here is atomic; an object that is not named here has named fields.

use std::collections::BTreeMap;

use serde_json::json;

use super::schema::{Key, Others, PLAIN, Schema};

/// The schema of a built-in kind, by the names of its parts in OpenAPI.
pub(in crate::testing) fn schema(group: &str, kind: &str) -> Schema {
    let template = || fields([("metadata", object_meta()), ("spec", pod_spec())]);
    let workload = |status| {
        let spec = fields([
            ("selector", Schema::Atomic),
            ("template", template()),
            ("volumeClaimTemplates", Schema::Atomic),
        ]);
        vec![("spec", spec), ("status", status)]
    };
    let job_spec = || fields([("selector", Schema::Atomic), ("template", template())]);
    let parts = match (group, kind) {
        ("", "Pod") => vec![("spec", pod_spec()), ("status", pod_status())],
        ("", "PodTemplate") => vec![("template", template())],
        ("", "Service") => {
            let ports = keyed(&["port", "protocol"], PLAIN.clone());
            vec![("spec", fields([("ports", ports), ("selector", Schema::Atomic)])), ("status", conditions())]
        }
        ("", "ConfigMap" | "Secret") => {
            ["binaryData", "data", "stringData"].into_iter().map(|name| (name, map())).collect()
        }
        ("", "ServiceAccount") => vec![("secrets", keyed(&["name"], Schema::Atomic))],
        ("", "Namespace") => vec![("status", conditions())],
        ("", "Node") => {
            let status = [
                ("addresses", keyed(&["type"], PLAIN.clone())),
                ("allocatable", map()),
                ("capacity", map()),
                ("conditions", keyed(&["type"], PLAIN.clone())),
            ];
            vec![("spec", fields([("podCIDRs", Schema::Set)])), ("status", fields(status))]
        }
        ("", "PersistentVolumeClaim") => {
            let status = [
                ("allocatedResources", map()),
                ("capacity", map()),
                ("conditions", keyed(&["type"], PLAIN.clone())),
            ];
            vec![("spec", claim_spec()), ("status", fields(status))]
        }
        ("" | "events.k8s.io", "Event") => {
            ["involvedObject", "regarding", "related"].map(|name| (name, Schema::Atomic)).into()
        }
        ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet") => workload(conditions()),
        ("batch", "Job") => vec![("spec", job_spec())],
        ("batch", "CronJob") => {
            let template = fields([("metadata", object_meta()), ("spec", job_spec())]);
            vec![("spec", fields([("jobTemplate", template)]))]
        }
        ("networking.k8s.io", "NetworkPolicy") => vec![("spec", fields([("podSelector", Schema::Atomic)]))],
        ("networking.k8s.io", "Ingress") => {
            let service = fields([("port", Schema::Atomic)]);
            let backend = fields([("resource", Schema::Atomic), ("service", service)]);
            vec![("spec", fields([("defaultBackend", backend)]))]
        }
        ("policy", "PodDisruptionBudget") => {
            vec![("spec", fields([("selector", Schema::Atomic)])), ("status", conditions())]
        }
        ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding") => {
            vec![("roleRef", Schema::Atomic)]
        }
        ("autoscaling" | "apiextensions.k8s.io", _) => vec![("status", conditions())],
        _ => Vec::new(),
    };
    fields(parts.into_iter().chain([("metadata", object_meta())]))
}

/// The parts that all objects have.
pub(super) fn head() -> [(String, Schema); 3] {
    [("apiVersion", PLAIN.clone()), ("kind", PLAIN.clone()), ("metadata", object_meta())]
        .map(|(name, schema)| (name.to_owned(), schema))
}

fn object_meta() -> Schema {
    fields([
        ("annotations", map()),
        ("labels", map()),
        ("finalizers", Schema::Set),
        ("ownerReferences", keyed(&["uid"], Schema::Atomic)),
    ])
}

fn pod_spec() -> Schema {
    let named = || keyed(&["name"], PLAIN.clone());
    let affinity = fields([("requiredDuringSchedulingIgnoredDuringExecution", Schema::Atomic)]);
    let spread = keyed(&["topologyKey", "whenUnsatisfiable"], fields([("labelSelector", Schema::Atomic)]));
    fields([
        ("affinity", fields([("nodeAffinity", affinity)])),
        ("containers", keyed(&["name"], container())),
        ("ephemeralContainers", keyed(&["name"], container())),
        ("initContainers", keyed(&["name"], container())),
        ("hostAliases", keyed(&["ip"], PLAIN.clone())),
        ("imagePullSecrets", keyed(&["name"], Schema::Atomic)),
        ("nodeSelector", Schema::Atomic),
        ("overhead", map()),
        ("resourceClaims", named()),
        ("schedulingGates", named()),
        ("topologySpreadConstraints", spread),
        ("volumes", keyed(&["name"], volume())),
    ])
}

fn container() -> Schema {
    let source = fields(
        ["configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"]
            .map(|name| (name, Schema::Atomic)),
    );
    let resources =
        fields([("claims", keyed(&["name"], PLAIN.clone())), ("limits", map()), ("requests", map())]);
    fields([
        ("env", keyed(&["name"], fields([("valueFrom", source)]))),
        ("ports", keyed(&["containerPort", "protocol"], PLAIN.clone())),
        ("resources", resources),
        ("volumeDevices", keyed(&["devicePath"], PLAIN.clone())),
        ("volumeMounts", keyed(&["mountPath"], PLAIN.clone())),
    ])
}

fn volume() -> Schema {
    let secret = || fields([("secretRef", Schema::Atomic), ("options", map())]);
    let csi = fields([("nodePublishSecretRef", Schema::Atomic), ("volumeAttributes", map())]);
    let template = fields([("metadata", object_meta()), ("spec", claim_spec())]);
    let of_network = ["cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"];
    fields(
        of_network
            .into_iter()
            .map(|name| (name, secret()))
            .chain([("csi", csi), ("ephemeral", fields([("volumeClaimTemplate", template)]))]),
    )
}

fn claim_spec() -> Schema {
    let resources = fields([("limits", map()), ("requests", map())]);
    fields([("dataSource", Schema::Atomic), ("resources", resources), ("selector", Schema::Atomic)])
}

fn pod_status() -> Schema {
    fields([
        ("allocatedResources", map()),
        ("conditions", keyed(&["type"], PLAIN.clone())),
        ("podIPs", keyed(&["ip"], PLAIN.clone())),
        ("resourceClaimStatuses", keyed(&["name"], PLAIN.clone())),
    ])
}

fn conditions() -> Schema {
    fields([("conditions", keyed(&["type"], PLAIN.clone()))])
}

fn fields<'a>(named: impl IntoIterator<Item = (&'a str, Schema)>) -> Schema {
    let named: BTreeMap<String, Schema> =
        named.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    Schema::Fields { named, others: Others::Fields }
}

fn map() -> Schema {
    Schema::Map(Box::new(PLAIN.clone()))
}

fn keyed(names: &[&str], items: Schema) -> Schema {
    // The one key with a default in these kinds.
    let key =
        |name: &&str| Key { name: (*name).to_owned(), default: (*name == "protocol").then(|| json!("TCP")) };
    Schema::Keyed { keys: names.iter().map(key).collect(), items: Box::new(items) }
}
