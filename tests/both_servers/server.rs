//! What the other cases take for granted of an API server, seen through kube's own client.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::{core::v1::ConfigMap, rbac::v1::PolicyRule};
use kube_client::{
    Api, Client, Config, Error,
    api::{ListParams, Patch, PatchParams, PostParams, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use kube_core::{DynamicObject, ObjectMeta, WatchEvent};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{crds, world::Ctx};

/// For what should come at once, on a machine that may be busy.
const SOON: Duration = Duration::from_secs(30);

pub(super) async fn answers_its_version(ctx: &Ctx) -> Result<()> {
    let version = ctx.client.apiserver_version().await?;
    ensure!(version.major == "1", "major version {:?}", version.major);
    let minor: u32 = version.minor.trim_end_matches('+').parse()?;
    ensure!(minor >= 30, "minor version {minor}");
    Ok(())
}

pub(super) async fn objects_are_created_listed_and_watched(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let first = create(&api, "first").await?;
    ensure!(first.metadata.uid.is_some() && first.metadata.creation_timestamp.is_some(), "no server fields");

    let list = api.list(&ListParams::default()).await?;
    ensure!(list.items.iter().any(|item| item.metadata == first.metadata), "the list lacks what was created");
    let from = list.metadata.resource_version.context("a list without a version")?;

    let second = create(&api, "second").await?;
    let changed = json!({ "data": { "key": "value" } });
    api.patch("second", &PatchParams::default(), &Patch::Merge(changed)).await?;
    api.delete("second", &Default::default()).await?;

    // All three lie in the past of the watch and still come, in order.
    let mut events = pin!(api.watch(&WatchParams::default().timeout(60), &from).await?);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = timeout(SOON, events.try_next()).await??.context("the watch ended early")?;
        let (what, object) = match event {
            WatchEvent::Added(object) => ("added", object),
            WatchEvent::Modified(object) => ("modified", object),
            WatchEvent::Deleted(object) => ("deleted", object),
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(status) => bail!("the watch said {} {}", status.code, status.reason),
        };
        // Others write in this namespace too (the root certificates of each).
        if object.metadata.uid == second.metadata.uid {
            seen.push((what, object.data.is_some()));
        }
    }
    ensure!(seen == [("added", false), ("modified", true), ("deleted", true)], "saw {seen:?}");
    Ok(())
}

pub(super) async fn custom_resources_are_served(ctx: &Ctx) -> Result<()> {
    let (nads, subnets) = (crds::network_attachment_definitions(), crds::subnets());
    crds::install(ctx.client.clone(), &nads).await?;
    crds::install(ctx.client.clone(), &subnets).await?;

    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &nads.resource);
    let nad = DynamicObject::new("net1", &nads.resource).data(json!({ "spec": { "config": "{}" } }));
    api.create(&PostParams::default(), &nad).await?;
    ensure!(api.get("net1").await?.data["spec"]["config"] == "{}", "the spec is not what was created");

    // A write of the status leaves the spec alone, and the other way round.
    let api = Api::<DynamicObject>::all_with(ctx.client.clone(), &subnets.resource);
    let name = &ctx.namespace;
    let spec = json!({ "spec": { "cidrBlock": "10.1.0.0/16" }, "status": { "v4usingIPs": 9 } });
    let created =
        api.create(&PostParams::default(), &DynamicObject::new(name, &subnets.resource).data(spec)).await?;
    ensure!(created.data.get("status").is_none(), "a create wrote the status");
    let status = json!({ "spec": { "cidrBlock": "changed" }, "status": { "v4usingIPs": 3 } });
    let patched = api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    ensure!(patched.data["spec"]["cidrBlock"] == "10.1.0.0/16", "a status write changed the spec");
    ensure!(patched.data["status"]["v4usingIPs"] == 3, "the status was not written");
    ensure!(patched.metadata.generation == Some(1), "generation {:?}", patched.metadata.generation);
    api.delete(name, &Default::default()).await?;
    Ok(())
}

pub(super) async fn rights_decide_what_a_user_may_do(ctx: &Ctx) -> Result<()> {
    let user = ctx.namespace.as_str();
    ctx.world.set_rights(user, Vec::new()).await?;
    let client = ctx.world.client_of(user).await?;
    let api = Api::<ConfigMap>::namespaced(client, &ctx.namespace);
    let denied = api.list(&ListParams::default()).await;
    ensure!(status_of(&denied) == Some((403, "Forbidden")), "without rights: {:?}", status_of(&denied));

    let rule = PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        verbs: vec!["list".to_owned()],
        ..PolicyRule::default()
    };
    ctx.world.set_rights(user, vec![rule]).await?;
    api.list(&ListParams::default()).await.context("with the right to list")?;
    let denied = create(&api, "not-mine").await;
    ensure!(denied.is_err(), "the right to list let it create");
    let denied = api.get("any").await;
    ensure!(status_of(&denied) == Some((403, "Forbidden")), "the right to list: {:?}", status_of(&denied));

    ctx.world.set_rights(user, Vec::new()).await?;
    let denied = api.list(&ListParams::default()).await;
    ensure!(status_of(&denied) == Some((403, "Forbidden")), "rights taken away: {:?}", status_of(&denied));
    Ok(())
}

pub(super) async fn old_versions_expire_after_compaction(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    for name in ["a", "b", "c"] {
        create(&api, name).await?;
    }
    let page = api.list(&ListParams::default().limit(1)).await?;
    let from = page.metadata.resource_version.context("a list without a version")?;
    let next = page.metadata.continue_.context("a page without its continuation")?;
    api.list(&ListParams::default().limit(1).continue_token(&next)).await.context("before the compaction")?;
    create(&api, "d").await?;

    ctx.world.compact().await?;

    let page = api.list(&ListParams::default().limit(1).continue_token(&next)).await;
    ensure!(status_of(&page) == Some((410, "Expired")), "the next page: {:?}", status_of(&page));
    let events = api.watch(&WatchParams::default().timeout(60), &from).await?;
    let first = timeout(SOON, pin!(events).next()).await?.context("the watch ended without a word")?;
    match first {
        Ok(WatchEvent::Error(status)) => {
            ensure!(
                (status.code, status.reason.as_str()) == (410, "Expired"),
                "{} {}",
                status.code,
                status.reason
            );
        }
        Ok(_) => bail!("the watch from before the compaction went on"),
        Err(err) => bail!("the watch failed otherwise: {err}"),
    }
    // What is there now is still there.
    let list = api.list(&ListParams::default()).await?;
    let ours =
        list.items.iter().filter(|item| item.metadata.name.as_ref().is_some_and(|name| name.len() == 1));
    ensure!(ours.count() == 4, "objects were lost");
    Ok(())
}

pub(super) async fn a_default_client_works_too(ctx: &Ctx) -> Result<()> {
    let client = ctx.world.retrying_client().await?;
    create(&Api::namespaced(client, &ctx.namespace), "object").await?;
    Ok(())
}

pub(super) async fn survives_a_killed_api_server(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.cluster()?;
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let before = create(&api, "object").await?;
    cluster.kill_apiserver();
    ensure!(api.get("object").await.is_err(), "a killed server answered");
    cluster.restart_apiserver().await?;
    // The same client, certificate and port.
    ensure!(api.get("object").await?.metadata == before.metadata, "the restart changed the object");
    Ok(())
}

pub(super) async fn a_kubeconfig_is_all_a_program_needs(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.cluster()?;
    let user = ctx.namespace.as_str();
    ctx.world.set_rights(user, Vec::new()).await?;
    let token = cluster.service_account_token("default", user).await?;
    let path = cluster.kubeconfig("kind-test", &token)?;

    let kubeconfig = Kubeconfig::read_from(path)?;
    ensure!(kubeconfig.current_context.as_deref() == Some("kind-test"), "another context");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    let client = Client::try_from(config)?;
    client.apiserver_version().await.context("TLS or the token does not work")?;
    let denied = Api::<ConfigMap>::default_namespaced(client).list(&ListParams::default()).await;
    ensure!(status_of(&denied) == Some((403, "Forbidden")), "not as that user: {:?}", status_of(&denied));
    Ok(())
}

async fn create(api: &Api<ConfigMap>, name: &str) -> Result<ConfigMap> {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    Ok(api.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await?)
}

/// The code and reason that the server refused a request with.
fn status_of<T>(result: &Result<T, Error>) -> Option<(u16, &str)> {
    match result {
        Err(Error::Api(status)) => Some((status.code, status.reason.as_str())),
        _ => None,
    }
}
