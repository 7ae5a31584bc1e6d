//! What an informer says of itself in numbers, through its first list, a change and a relist.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::Api;
use kube_informer::{Informer, Phase};

use crate::support::{
    follow::{next, synced, until, until_status},
    objects::{create, create_many, set_value, value},
    wait::wait_until,
    wire::Wire,
    world::Ctx,
};

pub(super) async fn stats_tell_of_a_sync_a_change_and_a_relist(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, 7).await?;
    let wire = Wire::default();
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let maps = Informer::builder(api).start();
    let held = synced(&maps).await?;
    let mut changes = maps.subscribe();
    ensure!(maps.stats().slowest_lag == 1, "its first batch is still to come: {maps:?}");
    next(&mut changes).await?;

    until_status(&maps, "it watches", |status| status.phase == Phase::Watching).await?;
    let stats = maps.stats();
    ensure!((stats.objects, stats.invalid_objects) == (7, 0), "{maps:?}");
    ensure!(stats.resource_version.as_ref() >= held.resource_version(), "{maps:?}");
    ensure!(stats.last_event.is_some() && maps.status().stale_since.is_none(), "{maps:?}");
    ensure!((stats.relists.total(), stats.watch_restarts, stats.errors) == (0, 0, 0), "{maps:?}");
    ensure!((stats.subscribers, stats.slowest_lag) == (1, 0), "{maps:?}");

    set_value(&direct, "object-0003", "told-to-nobody").await?;
    let key = (ctx.namespace.as_str(), "object-0003");
    until(&maps, "the change is seen", |view| {
        view.get(key).is_some_and(|map| value(map) == "told-to-nobody")
    })
    .await?;
    let changed = maps.stats();
    ensure!(changed.slowest_lag == 1 && changed.revision == stats.revision + 1, "{maps:?}");
    ensure!(changed.resource_version > stats.resource_version, "{maps:?}");
    // Held by us, and by the subscription that has not moved on.
    wait_until("an old version is pinned", async || Ok(maps.stats().pinned_versions == 1)).await?;
    drop(held);
    next(&mut changes).await?;
    wait_until("none is", async || Ok(maps.stats().pinned_versions == 0)).await?;
    ensure!(maps.stats().slowest_lag == 0, "{maps:?}");

    wire.cut();
    let cut = until_status(&maps, "it is called stale", |status| status.stale_since.is_some()).await?;
    ensure!(cut.synced && format!("{maps:?}").contains(", stale for "), "{maps:?}");
    create(&direct, "another", "1").await?;
    ctx.world.compact().await?;
    create(&direct, "after", "1").await?;
    wire.mend();
    until_status(&maps, "it is current again", |status| {
        maps.stats().lists == 2 && status.stale_since.is_none() && status.phase == Phase::Watching
    })
    .await?;
    let relisted = maps.stats();
    ensure!((relisted.relists.expired, relisted.relists.total()) == (1, 1), "{maps:?}");
    ensure!((relisted.objects, relisted.new_epochs) == (9, 0), "{maps:?}");
    ensure!(relisted.errors >= 2, "the cut and the 410: {maps:?}");

    let line = format!("{maps:?}");
    let begin = format!("Informer(configmaps in {}: watching, 9 objects at version ", ctx.namespace);
    ensure!(line.starts_with(&begin) && line.contains(", 1 relist (1 expired), "), "{line}");
    ensure!(!line.contains("told-to-nobody") && !line.contains('\n'), "{line}");
    drop(changes);
    ensure!(maps.stats().subscribers == 0, "{maps:?}");
    maps.shutdown().await;
    ensure!(maps.status().phase == Phase::Stopped, "{maps:?}");
    Ok(())
}
