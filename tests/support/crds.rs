//! The custom resources that the cases use, reduced to the fields that matter to them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::{ApiResource, GroupVersionKind};
use serde_json::json;

/// A custom resource: its definition, and how clients name it.
pub(crate) struct Crd {
    pub(crate) definition: CustomResourceDefinition,
    pub(crate) resource: ApiResource,
}

/// The kind of the Network Plumbing Working Group: namespaced, no status, and a schema that asks for
/// nothing, so that objects without a spec are possible.
pub(crate) fn network_attachment_definitions() -> Crd {
    crd(json!({
        "metadata": { "name": "network-attachment-definitions.k8s.cni.cncf.io" },
        "spec": {
            "group": "k8s.cni.cncf.io",
            "scope": "Namespaced",
            "names": {
                "kind": "NetworkAttachmentDefinition",
                "plural": "network-attachment-definitions",
                "singular": "network-attachment-definition",
                "shortNames": ["net-attach-def"],
            },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": { "type": "object", "properties": { "config": { "type": "string" } } },
                    },
                }},
            }],
        },
    }))
}

/// Kube-OVN's subnets: cluster-scoped, with a status subresource.
pub(crate) fn subnets() -> Crd {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "number" });
    crd(json!({
        "metadata": { "name": "subnets.kubeovn.io" },
        "spec": {
            "group": "kubeovn.io",
            "scope": "Cluster",
            "names": {
                "kind": "Subnet",
                "plural": "subnets",
                "singular": "subnet",
                "shortNames": ["subnet"],
            },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": { "type": "object", "properties": {
                            "cidrBlock": text, "gateway": text, "provider": text,
                        }},
                        "status": {
                            "type": "object",
                            "properties": { "v4availableIPs": number, "v4usingIPs": number },
                            "x-kubernetes-preserve-unknown-fields": true,
                        },
                    },
                }},
            }],
        },
    }))
}

fn crd(definition: serde_json::Value) -> Crd {
    let definition: CustomResourceDefinition =
        serde_json::from_value(definition).expect("a valid definition");
    let spec = &definition.spec;
    let kind = GroupVersionKind::gvk(&spec.group, &spec.versions[0].name, &spec.names.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &spec.names.plural);
    Crd { definition, resource }
}
