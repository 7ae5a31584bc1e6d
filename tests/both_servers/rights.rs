//! Users whom the server does not let do what an informer does.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{core::v1::ConfigMap, rbac::v1::PolicyRule};
use kube_client::Api;
use kube_informer::{Error, Informer, Phase};
use tokio::time::timeout;

use crate::support::{
    follow::{SOON, Seen, next, seen, synced, until_status},
    objects::{create, named},
    wire::{Sent, Wire},
    world::Ctx,
};

fn may(verbs: &[&str]) -> Vec<PolicyRule> {
    vec![PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }]
}

/// Why waiting for the first list was given up.
async fn blocked<T: Send + Sync + 'static>(informer: &Informer<T>) -> Result<Error> {
    match timeout(SOON, informer.synced_or_blocked()).await.context("neither synced nor blocked")? {
        Ok(()) => anyhow::bail!("it synced"),
        Err(error) => Ok(error),
    }
}

pub(super) async fn without_rights_it_says_so_and_syncs_once_they_are_given(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&direct, "one", "1").await?;
    let user = ctx.namespace.as_str();
    ctx.world.set_rights(user, Vec::new()).await?;
    let client = ctx.world.client_of(user).await?;
    let maps = Informer::builder(Api::<ConfigMap>::namespaced(client, &ctx.namespace)).start();
    let mut changes = maps.subscribe();
    let error = blocked(&maps).await?;
    ensure!(error.is_forbidden() && error.http_code() == Some(403), "{error}");
    ensure!(error.to_string().contains("configmaps"), "the error does not name the kind: {error}");
    let status = maps.status();
    ensure!(!status.synced && status.stale_since.is_some() && status.failures > 0, "{status:?}");
    ensure!(!maps.is_synced() && maps.snapshot().is_empty(), "it has something");
    // Asked again, the answer is the same, not the one of before: it keeps trying.
    ensure!(blocked(&maps).await?.is_forbidden(), "another answer");
    until_status(&maps, "it has tried again", |status| status.failures > 1).await?;

    ctx.world.set_rights(user, may(&["list", "watch"])).await?;
    ensure!(synced(&maps).await?.len() == 1, "not one object");
    timeout(SOON, maps.synced_or_blocked()).await.context("still blocked")??;
    let status = until_status(&maps, "it is current", |status| status.stale_since.is_none()).await?;
    ensure!(status.failures == 0 && status.last_error.is_some_and(|error| error.is_forbidden()), "forgotten");
    ensure!(
        seen(&next(&mut changes).await?, named)? == [Seen::Added(("one".into(), "1".into()))],
        "the first batch"
    );
    create(&direct, "two", "2").await?;
    ensure!(
        seen(&next(&mut changes).await?, named)? == [Seen::Added(("two".into(), "2".into()))],
        "what follows"
    );
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn an_unknown_caller_is_told_so(ctx: &Ctx) -> Result<()> {
    let client = ctx.world.stranger().await?;
    let maps = Informer::builder(Api::<ConfigMap>::namespaced(client, &ctx.namespace)).start();
    let error = blocked(&maps).await?;
    ensure!(error.is_unauthorized() && error.http_code() == Some(401), "{error}");
    ensure!(!maps.is_synced(), "it synced");
    // Waiting without that help ends with the informer.
    let waiting = tokio::spawn({
        let maps = maps.clone();
        async move { maps.synced().await }
    });
    maps.shutdown().await;
    let ended = timeout(SOON, waiting).await.context("still waiting")??;
    ensure!(ended.is_err_and(|error| error.is_stopped()), "not because it has stopped");
    ensure!(maps.status().phase == Phase::Stopped, "{:?}", maps.status());
    Ok(())
}

pub(super) async fn with_the_right_to_list_alone_it_is_synced_and_stale(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&direct, "one", "1").await?;
    let user = ctx.namespace.as_str();
    ctx.world.set_rights(user, may(&["list"])).await?;
    let wire = Wire::default();
    let client = wire.client(ctx.world.client_of(user).await?);
    let maps = Informer::builder(Api::<ConfigMap>::namespaced(client, &ctx.namespace)).start();
    timeout(SOON, maps.synced_or_blocked()).await.context("neither synced nor blocked")??;
    ensure!(maps.snapshot().len() == 1, "not one object");
    let status = until_status(&maps, "it is called stale", |status| {
        status.stale_since.is_some() && status.phase == Phase::Polling
    })
    .await?;
    ensure!(status.synced && maps.stats().lists == 1, "{status:?}");
    ensure!(status.last_error.is_some_and(|error| error.is_forbidden()), "for another reason");
    // A streaming list is a watch; the watch after the list is refused too, and not asked for in a hurry.
    let codes = |such: fn(&Sent) -> bool| {
        wire.sent().into_iter().filter(such).map(|sent| sent.code).collect::<Vec<_>>()
    };
    ensure!(codes(Sent::is_streaming_list) == [Some(403)], "{:?}", wire.sent());
    ensure!(codes(Sent::is_list) == [Some(200)], "{:?}", wire.sent());
    ensure!(codes(Sent::is_watch) == [Some(403)], "{:?}", wire.sent());
    ensure!(maps.get((ctx.namespace.as_str(), "one")).is_some(), "reads do not go on");
    maps.shutdown().await;
    Ok(())
}
