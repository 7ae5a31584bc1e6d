//! The custom resources that the cases use, reduced to the fields that matter to them.

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_client::{
    Api, Client, Error,
    api::{ListParams, PostParams},
};
use kube_core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::wait::{is_conflict, wait_until};

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

/// A namespaced kind with a status whose spec may hold anything, so that objects can be written that a program
/// with a type in mind cannot read. Each case has it in a group of its own.
pub(crate) fn widgets(group: &str) -> Crd {
    let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    crd(json!({
        "metadata": { "name": format!("widgets.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": "Widget", "plural": "widgets", "singular": "widget" },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": anything, "status": anything },
                }},
            }],
        },
    }))
}

/// Creates a definition unless it exists, and waits until its kind is served.
pub(crate) async fn install(client: Client, crd: &Crd) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    match definitions.create(&PostParams::default(), &crd.definition).await {
        Err(err) if is_conflict(&err) => {}
        done => drop(done?),
    }
    // The condition `Established` comes a little before the path does.
    let objects = Api::<DynamicObject>::all_with(client, &crd.resource);
    wait_until("the kind is served", async || match objects.list(&ListParams::default().limit(1)).await {
        Err(Error::Api(status)) if status.code == 404 => Ok(false),
        done => Ok(done.map(|_| true)?),
    })
    .await
}

fn crd(definition: serde_json::Value) -> Crd {
    let definition: CustomResourceDefinition =
        serde_json::from_value(definition).expect("a valid definition");
    let spec = &definition.spec;
    let kind = GroupVersionKind::gvk(&spec.group, &spec.versions[0].name, &spec.names.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &spec.names.plural);
    Crd { definition, resource }
}
