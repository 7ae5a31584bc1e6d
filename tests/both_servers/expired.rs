//! Versions that the server has forgotten: 410, and a relist that loses nothing.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::Api;
use kube_informer::{Config, Informer, Obj, Phase};

use crate::support::{
    follow::{Seen, next, seen, synced, until_status},
    objects::{create, create_many, named, set_value},
    wire::{Sent, Wire},
    world::Ctx,
};

pub(super) async fn a_relist_after_410_loses_nothing_and_shares_what_is_unchanged(ctx: &Ctx) -> Result<()> {
    for streaming in [true, false] {
        relists(ctx, streaming).await.with_context(|| format!("streaming {streaming}"))?;
    }
    Ok(())
}

async fn relists(ctx: &Ctx, streaming: bool) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, 40).await?;
    for name in ["deleted", "modified", "replaced"] {
        create(&direct, name, "1").await?;
    }
    let wire = Wire::default();
    if !streaming {
        wire.refuse_streaming_lists();
    }
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let maps = Informer::builder(api).config(Config::new().page_size(16)).start();
    let before = synced(&maps).await?;
    ensure!(before.len() == 43, "{} objects", before.len());
    let mut changes = maps.subscribe();
    next(&mut changes).await?;

    wire.cut();
    let stale = until_status(&maps, "it is called stale", |status| status.stale_since.is_some()).await?;
    ensure!(stale.last_error.as_ref().is_some_and(|error| error.is_transport()), "{stale:?}");
    direct.delete("deleted", &Default::default()).await?;
    set_value(&direct, "modified", "2").await?;
    direct.delete("replaced", &Default::default()).await?;
    create(&direct, "replaced", "2").await?;
    create(&direct, "added", "1").await?;
    ctx.world.compact().await?;
    // A version newer than what is forgotten, so that the one that is held can be nothing but older.
    create(&direct, "after", "1").await?;
    ensure!(
        maps.snapshot().revision() == before.revision() && maps.snapshot().len() == 43,
        "the state was lost"
    );
    let sent_before = wire.sent().len();
    wire.mend();

    let expired = until_status(&maps, "410 is met", |status| {
        status.last_error.as_ref().is_some_and(|error| error.is_expired())
    })
    .await?;
    ensure!(expired.last_error.as_ref().is_some_and(|error| error.http_code() == Some(410)), "{expired:?}");
    let well = until_status(&maps, "it is current again", |status| {
        status.stale_since.is_none() && status.phase == Phase::Watching && maps.stats().lists == 2
    })
    .await?;
    ensure!(well.failures == 0 && well.synced, "{well:?}");
    ensure!(well.last_error.is_some_and(|error| error.is_expired()), "the last error is forgotten");

    let batch = next(&mut changes).await?;
    let told = seen(&batch, named)?;
    let expected = [
        Seen::Added(pair("added", "1")),
        Seen::Added(pair("after", "1")),
        Seen::Modified(pair("modified", "1"), pair("modified", "2")),
        // Found gone by comparing lists, and still with what was stored of it.
        Seen::Deleted(pair("deleted", "1")),
        Seen::Replaced(pair("replaced", "1"), pair("replaced", "2")),
    ];
    ensure!(told == expected, "{told:?}");
    let after = batch.snapshot();
    for number in 0..40 {
        let name = format!("object-{number:04}");
        let key = (ctx.namespace.as_str(), name.as_str());
        let same = before.get(key).zip(after.get(key)).is_some_and(|(old, new)| Obj::ptr_eq(old, new));
        ensure!(same, "{name} is another allocation");
    }
    // What is held is as it was.
    ensure!(before.len() == 43 && before.get((ctx.namespace.as_str(), "deleted")).is_some(), "it changed");

    // First the watch from where it was, then the list that follows from its answer. After a long outage a read of one
    // object may come before both.
    let sent = &wire.sent()[sent_before..];
    let answered: Vec<&Sent> = sent.iter().filter(|sent| sent.code.is_some() && !sent.is_probe()).collect();
    ensure!(answered.first().is_some_and(|first| first.is_watch()), "{answered:?}");
    let listed = |sent: &&&Sent| if streaming { sent.is_streaming_list() } else { sent.is_list() };
    let lists = answered.iter().filter(listed).filter(|sent| sent.is_ok()).count();
    // 44 objects in pages of 16.
    ensure!(lists == if streaming { 1 } else { 3 }, "{lists} lists: {answered:?}");

    set_value(&direct, "after", "2").await?;
    let told = seen(&next(&mut changes).await?, named)?;
    ensure!(told == [Seen::Modified(pair("after", "1"), pair("after", "2"))], "{told:?}");
    maps.shutdown().await;
    direct.delete_collection(&Default::default(), &Default::default()).await?;
    Ok(())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
