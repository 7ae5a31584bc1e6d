//! Manifests of the examples, applied as they are.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use http::Request;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube_client::{Api, Client, api::PostParams};
use serde_json::Value;

use super::wait::wait_until;

/// Creates what a file of `examples/subnet_controller/manifests` holds. The server reads the YAML itself.
pub(crate) async fn apply(client: &Client, file: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/subnet_controller/manifests").join(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for document in text.split("\n---\n") {
        let kind = document
            .lines()
            .find_map(|line| line.strip_prefix("kind: "))
            .context("a document without a kind")?;
        let request = Request::post(path_of(kind.trim())?).header("content-type", "application/yaml");
        let answer = client.request::<Value>(request.body(document.as_bytes().to_vec())?).await;
        answer.with_context(|| format!("create the {kind} of {file}"))?;
    }
    Ok(())
}

fn path_of(kind: &str) -> Result<&'static str> {
    Ok(match kind {
        "CustomResourceDefinition" => "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "ServiceAccount" => "/api/v1/namespaces/default/serviceaccounts",
        "ClusterRole" => "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "ClusterRoleBinding" => "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        kind => bail!("there is no path for {kind}"),
    })
}

/// Waits until the service account may do this, since the server learns of rights in its own time.
pub(crate) async fn may(
    client: &Client,
    account: &str,
    verb: &str,
    group: &str,
    resource: &str,
) -> Result<()> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:default:{account}")),
            resource_attributes: Some(ResourceAttributes {
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews = Api::<SubjectAccessReview>::all(client.clone());
    wait_until("the rights of the manifest are in force", async || {
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    })
    .await
}
