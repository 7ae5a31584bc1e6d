//! An informer fed by kube-runtime's own watcher.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::Api;
use kube_informer::{End, Informer, Obj, index};
use kube_runtime::{WatchStreamExt, watcher};
use tokio::time::timeout;

use crate::support::{
    follow::{SOON, Seen, next, seen, synced, until, until_status},
    objects::{create, create_many, named, set_value, value},
    wire::Wire,
    world::Ctx,
};

/// Three pages.
const MANY: usize = 25;

pub(super) async fn kubes_watcher_feeds_an_informer(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, MANY).await?;
    let paged = watcher::Config::default().page_size(10);
    for config in [paged, watcher::Config::default().streaming_lists()] {
        follows_a_watcher(ctx, &direct, config.clone()).await.with_context(|| format!("{config:?}"))?;
    }
    Ok(())
}

async fn follows_a_watcher(ctx: &Ctx, direct: &Api<ConfigMap>, config: watcher::Config) -> Result<()> {
    let wire = Wire::default();
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let mut maps = Informer::from_stream(watcher(api, config).default_backoff());
    let by_namespace = maps.index(index::namespace());
    let maps = maps.start();
    let mut changes = maps.subscribe();
    ensure!(
        synced(&maps).await?.by_index(&by_namespace, ctx.namespace.as_str()).len() == MANY,
        "not all of it"
    );
    ensure!(next(&mut changes).await?.changes().count() == MANY, "the first batch");

    create(direct, "new", "1").await?;
    let told = seen(&next(&mut changes).await?, named)?;
    ensure!(told == [Seen::Added(pair("new", "1"))], "{told:?}");
    set_value(direct, "new", "2").await?;
    let told = seen(&next(&mut changes).await?, named)?;
    ensure!(told == [Seen::Modified(pair("new", "1"), pair("new", "2"))], "{told:?}");
    direct.delete("new", &Default::default()).await?;
    let told = seen(&next(&mut changes).await?, named)?;
    ensure!(told == [Seen::Deleted(pair("new", "2"))], "{told:?}");

    // Forgotten by the server while it cannot see: only a list tells of the delete.
    let kept = maps.get((ctx.namespace.as_str(), "object-0002")).context("it is gone")?;
    wire.cut();
    until_status(&maps, "it knows of the cut", |status| status.stale_since.is_some()).await?;
    set_value(direct, "object-0000", "changed").await?;
    direct.delete("object-0001", &Default::default()).await?;
    ctx.world.compact().await?;
    wire.mend();
    let key = |name: &'static str| (ctx.namespace.clone(), name);
    let after = until(&maps, "it has caught up", |view| {
        view.get(key("object-0001")).is_none()
            && view.get(key("object-0000")).is_some_and(|map| value(map) == "changed")
    })
    .await?;
    let status = until_status(&maps, "it is current", |status| status.stale_since.is_none()).await?;
    ensure!(status.last_error.is_some_and(|error| error.is_stream()), "the error of the stream is not told");
    ensure!(after.len() == MANY - 1 && after.resource_version().is_none(), "{after:?}");
    ensure!(after.get(key("object-0002")).is_some_and(|map| Obj::ptr_eq(map, &kept)), "it was copied");
    let mut told = Vec::new();
    while told.len() < 2 {
        told.extend(seen(&next(&mut changes).await?, named)?);
    }
    told.sort();
    let changed = Seen::Modified(pair("object-0000", "0"), pair("object-0000", "changed"));
    ensure!(told == [changed, Seen::Deleted(pair("object-0001", "1"))], "{told:?}");

    maps.shutdown().await;
    ensure!(
        timeout(SOON, changes.next()).await?.is_none() && changes.end() == Some(End::Stopped),
        "it goes on"
    );
    create(direct, "object-0001", "1").await?;
    set_value(direct, "object-0000", "0").await?;
    Ok(())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
