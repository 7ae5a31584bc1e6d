//! Finds a kind by a short name among the kinds that the API server reports.

use anyhow::{Context as _, bail};
use kube_client::Client;
use kube_client::core::ApiResource;
use kube_client::discovery::{self, ApiCapabilities, ApiGroup, Scope, verbs};

/// A kind that the API server serves.
#[derive(Debug)]
pub struct Found {
    /// The name that `kubectl` uses: `pods`, `deployments.apps`.
    pub name: String,
    pub resource: ApiResource,
    pub namespaced: bool,
}

/// Finds `pods`, `pod` or `Pod` in any group, the core one first, and `deployments.apps` in its own.
///
/// # Errors
///
/// When no such kind is served, or it cannot be listed and watched.
pub async fn find(client: &Client, name: &str) -> anyhow::Result<Found> {
    if let Some((plural, group)) = name.split_once('.') {
        let served = client.list_api_groups().await.context("list the API groups")?;
        if !served.groups.iter().any(|served| served.name == group) {
            bail!("`{name}`: the API server has no group `{group}`");
        }
        let group =
            discovery::group(client, group).await.with_context(|| format!("list the kinds of `{group}`"))?;
        return pick(&group, plural)?.with_context(|| format!("the API server has no `{name}`"));
    }
    let core =
        discovery::group(client, ApiGroup::CORE_GROUP).await.context("list the kinds of the core group")?;
    if let Some(found) = pick(&core, name)? {
        return Ok(found);
    }
    let mut silent = Vec::new();
    for group in client.list_api_groups().await.context("list the API groups")?.groups {
        // An aggregated API server may serve the group, and may be down.
        match discovery::group(client, &group.name).await {
            Ok(group) => {
                if let Some(found) = pick(&group, name)? {
                    return Ok(found);
                }
            }
            Err(_) => silent.push(group.name),
        }
    }
    match silent.as_slice() {
        [] => bail!("the API server has no `{name}`"),
        _ => bail!("the API server has no `{name}`; these groups did not respond: {}", silent.join(", ")),
    }
}

fn pick(group: &ApiGroup, name: &str) -> anyhow::Result<Option<Found>> {
    let called = |resource: &ApiResource| {
        resource.plural.eq_ignore_ascii_case(name) || resource.kind.eq_ignore_ascii_case(name)
    };
    let found = group.recommended_resources().into_iter().find(|(resource, _)| called(resource));
    found.map(|(resource, abilities)| followable(resource, &abilities)).transpose()
}

fn followable(resource: ApiResource, abilities: &ApiCapabilities) -> anyhow::Result<Found> {
    let name = match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    };
    if !(abilities.supports_operation(verbs::LIST) && abilities.supports_operation(verbs::WATCH)) {
        bail!("`{name}` cannot be listed and watched");
    }
    Ok(Found { name, resource, namespaced: abilities.scope == Scope::Namespaced })
}

#[cfg(test)]
mod tests {
    use kube_informer::testing::{ApiServer, Kind};

    use super::*;

    fn client() -> Client {
        let subnets = Kind::cluster("kubeovn.io", "v1", "Subnet", "subnets");
        Client::new(ApiServer::builder().kind(subnets).build().service(), "default")
    }

    #[tokio::test]
    async fn a_kind_is_found_by_each_of_its_names() {
        let client = client();
        for (name, found) in [
            ("pods", "pods"),
            ("pod", "pods"),
            ("Pod", "pods"),
            ("subnets", "subnets.kubeovn.io"),
            ("subnets.kubeovn.io", "subnets.kubeovn.io"),
            ("subnet.kubeovn.io", "subnets.kubeovn.io"),
        ] {
            assert_eq!(find(&client, name).await.unwrap().name, found, "{name}");
        }
        assert!(find(&client, "pods").await.unwrap().namespaced);
        assert!(!find(&client, "subnets").await.unwrap().namespaced);
    }

    #[tokio::test]
    async fn what_is_not_served_is_named() {
        let client = client();
        for (name, said) in [
            ("widgets", "the API server has no `widgets`"),
            ("widgets.kubeovn.io", "the API server has no `widgets.kubeovn.io`"),
            ("subnets.example.com", "`subnets.example.com`: the API server has no group `example.com`"),
        ] {
            assert_eq!(find(&client, name).await.unwrap_err().to_string(), said);
        }
    }
}
