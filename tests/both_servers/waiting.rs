//! Reading own writes, waiting for a state, and resuming a consumer from its position.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::Api;
use kube_informer::{Change, Informer, Obj, Snapshot};
use tokio::time::timeout;

use crate::support::{
    follow::{SOON, synced},
    objects::{create, create_namespace, named, set_value, value},
    wire::Wire,
    world::Ctx,
};

pub(super) async fn own_writes_are_read_once_they_were_waited_for(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let maps = Informer::builder(api.clone()).start();
    synced(&maps).await?;
    let key = (ctx.namespace.as_str(), "mine");
    let is = |snapshot: &Snapshot<ConfigMap>, expected: &str| {
        snapshot.get(key).is_some_and(|map| value(map) == expected)
    };
    let written = create(&api, "mine", "0").await?;
    let snapshot = timeout(SOON, maps.at_least(&written)).await??;
    ensure!(is(&snapshot, "0"), "a create is not in its snapshot");
    for number in 1..20 {
        let written = set_value(&api, "mine", &number.to_string()).await?;
        // Given up and begun again: nothing is lost by that.
        let _ = timeout(Duration::ZERO, maps.at_least(&written)).await;
        let snapshot = timeout(SOON, maps.at_least(&written)).await??;
        ensure!(is(&snapshot, &number.to_string()), "a write is not in its snapshot");
    }
    api.delete("mine", &Default::default()).await?;
    let snapshot = timeout(SOON, maps.wait_until(|view| view.get(key).is_none())).await??;
    ensure!(snapshot.is_empty(), "more than the delete");

    let waiting = tokio::spawn({
        let maps = maps.clone();
        async move { maps.wait_until(|view| view.len() > 1).await.map(drop) }
    });
    maps.shutdown().await;
    let ended = waiting.await?.err().context("it waited for what never came, and found it")?;
    ensure!(ended.is_stopped(), "{ended}");
    Ok(())
}

/// A write to the informer's kind that it does not select moves it all the same, when a bookmark comes.
pub(super) async fn a_write_outside_the_selection_is_seen_at_a_bookmark(ctx: &Ctx) -> Result<()> {
    let elsewhere = format!("{}-b", ctx.namespace);
    create_namespace(&Api::all(ctx.client.clone()), &elsewhere).await?;
    let wire = Wire::default();
    // Bookmarks are sent about once a minute, and shortly before the end of a watch.
    wire.shorten_watches(4);
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let maps = Informer::builder(api).start();
    synced(&maps).await?;
    let written = create(&Api::namespaced(ctx.client.clone(), &elsewhere), "other", "1").await?;
    let snapshot = timeout(SOON, maps.at_least(&written)).await.context("no bookmark in time")??;
    ensure!(snapshot.is_empty(), "what is not selected is there");
    maps.shutdown().await;
    Ok(())
}

/// A consumer that keeps nothing but the snapshot it has worked up to, and is cancelled again and again.
pub(super) async fn a_consumer_that_holds_a_snapshot_loses_nothing_when_cancelled(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    for number in 0..4 {
        create(&api, &format!("m{number}"), "0").await?;
    }
    let maps = Informer::builder(api.clone()).start();
    let mut done = synced(&maps).await?;
    let mut state: BTreeMap<String, String> = done.iter().map(named).collect();
    for round in 1..12 {
        let name = format!("m{}", round % 5);
        let last = match round % 3 {
            0 if done.get((&*ctx.namespace, &*name)).is_some() => {
                api.delete(&name, &Default::default()).await?;
                create(&api, "marker", "0").await.ok();
                set_value(&api, "marker", &round.to_string()).await?
            }
            _ if api.get_opt(&name).await?.is_none() => create(&api, &name, &round.to_string()).await?,
            _ => set_value(&api, &name, &round.to_string()).await?,
        };
        timeout(SOON, maps.at_least(&last)).await??;
        // The handler gets its batch and dies over it: the batch was not worked up to.
        let mut changes = maps.subscribe_from(&done);
        let lost = timeout(SOON, changes.next()).await?.context("it has ended")?;
        ensure!(lost.changes().next().is_some(), "nothing to lose");
        drop((lost, changes));
        if round % 2 == 0 {
            continue;
        }
        // The next one resumes from the held snapshot.
        let mut changes = maps.subscribe_from(&done);
        let batch = timeout(SOON, changes.next()).await?.context("it has ended")?;
        for change in batch.changes() {
            match change {
                Change::Deleted(old) => drop(state.remove(Obj::name(old))),
                Change::Added(new) | Change::Modified { new, .. } | Change::Replaced { new, .. } => {
                    let (name, value) = named(new);
                    state.insert(name, value);
                }
            }
        }
        done = batch.snapshot().clone();
        ensure!(state == done.iter().map(named).collect(), "{state:?}");
    }
    maps.shutdown().await;
    Ok(())
}
