//! API servers that die.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use kube_informer::{Informer, Obj, Phase};

use crate::support::{
    follow::{Seen, next, seen, synced, until, until_status},
    objects::{create, create_many, named, set_value, value},
    wire::Wire,
    world::Ctx,
};

pub(super) async fn a_killed_server_costs_neither_reads_nor_deletes(ctx: &Ctx) -> Result<()> {
    let clients = [("patient", ctx.world.retrying_client().await?), ("plain", ctx.client.clone())];
    for (name, client) in clients {
        killed(ctx, client).await.with_context(|| format!("with the {name} client"))?;
    }
    Ok(())
}

async fn killed(ctx: &Ctx, client: Client) -> Result<()> {
    let cluster = ctx.cluster()?;
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, 30).await?;
    let wire = Wire::default();
    let maps =
        Informer::builder(Api::<ConfigMap>::namespaced(wire.client(client.clone()), &ctx.namespace)).start();
    // This one finds its way back alone, whatever it meets.
    let other = Informer::builder(Api::<ConfigMap>::namespaced(client, &ctx.namespace)).start();
    let before = synced(&maps).await?;
    synced(&other).await?;
    let mut changes = maps.subscribe();
    next(&mut changes).await?;

    cluster.kill_apiserver();
    let stale = until_status(&maps, "it is called stale", |status| status.stale_since.is_some()).await?;
    ensure!(stale.synced && stale.last_error.is_some_and(|error| error.is_transport()), "for another reason");
    until_status(&other, "it is called stale", |status| status.stale_since.is_some()).await?;
    let key = (ctx.namespace.as_str(), "object-0003");
    ensure!(maps.get(key).is_some_and(|map| value(&map) == "3"), "reads do not go on");
    ensure!(maps.snapshot().len() == 30 && maps.is_synced(), "the state is lost");
    until_status(&maps, "it has tried again", |status| status.failures > 1).await?;

    // The server is back, but not yet for the informer.
    wire.cut();
    cluster.restart_apiserver().await?;
    direct.delete("object-0003", &Default::default()).await?;
    set_value(&direct, "object-0004", "changed").await?;
    create(&direct, "new", "1").await?;
    ensure!(maps.snapshot().revision() == before.revision(), "it saw through a cut wire");
    wire.mend();

    let new = (ctx.namespace.as_str(), "new");
    let after =
        until(&maps, "it has caught up", |view| view.get(new).is_some() && view.get(key).is_none()).await?;
    let told = seen(&next(&mut changes).await?, named)?;
    let expected = [
        Seen::Added(("new".to_owned(), "1".to_owned())),
        Seen::Modified(
            ("object-0004".to_owned(), "4".to_owned()),
            ("object-0004".to_owned(), "changed".to_owned()),
        ),
        Seen::Deleted(("object-0003".to_owned(), "3".to_owned())),
    ];
    ensure!(told == expected, "{told:?}");
    let same = (ctx.namespace.as_str(), "object-0005");
    ensure!(
        before.get(same).zip(after.get(same)).is_some_and(|(old, new)| Obj::ptr_eq(old, new)),
        "another allocation"
    );
    for informer in [&maps, &other] {
        until(informer, "it has caught up", |view| view.get(new).is_some() && view.get(key).is_none())
            .await?;
        let well = until_status(informer, "it is current again", |status| {
            status.stale_since.is_none() && status.phase == Phase::Watching
        })
        .await?;
        ensure!(well.failures == 0 && informer.stats().objects == 30, "{well:?}");
    }
    maps.shutdown().await;
    other.shutdown().await;
    direct.delete_collection(&Default::default(), &Default::default()).await?;
    Ok(())
}

/// An informer that starts while no server responds.
pub(super) async fn a_server_that_comes_late_is_waited_for(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.cluster()?;
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&direct, "one", "1").await?;
    cluster.kill_apiserver();
    let maps = Informer::builder(direct.clone()).start();
    let status = until_status(&maps, "it has tried", |status| status.failures > 0).await?;
    ensure!(
        !status.synced && status.last_error.is_some_and(|error| error.is_transport()),
        "{:?}",
        maps.status()
    );
    cluster.restart_apiserver().await?;
    ensure!(synced(&maps).await?.len() == 1, "not one object");
    maps.shutdown().await;
    Ok(())
}
