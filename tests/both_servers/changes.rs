//! Changes of objects, as subscribers receive them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kube_core::DynamicObject;
use kube_informer::{Informer, Obj, ResourceVersion};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    crds,
    follow::{Seen, next, seen, synced, until, until_status},
    objects::{config_map, create, create_namespace, merge, named, set_value, value},
    wait::wait_until,
    wire::{Sent, Wire},
    world::Ctx,
};

pub(super) async fn each_kind_of_change_is_told(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&api, "before", "1").await?;
    let maps = Informer::builder(api.clone()).start();
    let mut changes = maps.subscribe();
    let first = next(&mut changes).await?;
    ensure!(first.is_initial(), "the first batch is not called so");
    ensure!(seen(&first, named)? == [Seen::Added(pair("before", "1"))], "{:?}", seen(&first, named)?);

    create(&api, "object", "1").await?;
    ensure!(seen(&next(&mut changes).await?, named)? == [Seen::Added(pair("object", "1"))], "added");
    set_value(&api, "object", "2").await?;
    let batch = next(&mut changes).await?;
    ensure!(!batch.is_initial(), "a later batch is called the first");
    ensure!(seen(&batch, named)? == [Seen::Modified(pair("object", "1"), pair("object", "2"))], "modified");
    api.delete("object", &Default::default()).await?;
    ensure!(seen(&next(&mut changes).await?, named)? == [Seen::Deleted(pair("object", "2"))], "deleted");

    // The subscriber reads nothing in between: two versions are one change, and another object of the same name is
    // reported as such.
    set_value(&api, "before", "2").await?;
    set_value(&api, "before", "3").await?;
    let key = (ctx.namespace.as_str(), "before");
    until(&maps, "both versions are in", |view| view.get(key).is_some_and(|map| value(map) == "3")).await?;
    let batch = seen(&next(&mut changes).await?, named)?;
    ensure!(batch == [Seen::Modified(pair("before", "1"), pair("before", "3"))], "{batch:?}");
    api.delete("before", &Default::default()).await?;
    create(&api, "before", "other").await?;
    create(&api, "short", "1").await?;
    api.delete("short", &Default::default()).await?;
    create(&api, "last", "1").await?;
    let snapshot =
        until(&maps, "all of it is in", |view| view.get((ctx.namespace.as_str(), "last")).is_some()).await?;
    let batch = next(&mut changes).await?;
    let told = seen(&batch, named)?;
    let replaced = Seen::Replaced(pair("before", "3"), pair("before", "other"));
    // What came and went unseen is silent.
    ensure!(told == [Seen::Added(pair("last", "1")), replaced], "{told:?}");
    ensure!(batch.snapshot().revision() == snapshot.revision(), "the batch is of another version");

    maps.shutdown().await;
    ensure!(changes.next().await.is_none() && changes.end().is_some(), "the subscription goes on");
    Ok(())
}

pub(super) async fn a_held_back_delete_is_seen_as_a_change_first(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let finalizer = json!({ "finalizers": ["kube-informer.test/hold"] });
    let maps = Informer::builder(api.clone()).start();
    let mut changes = maps.subscribe();
    next(&mut changes).await?;
    api.create(&PostParams::default(), &config_map("held", finalizer, "1")?).await?;
    let of =
        |map: &Obj<ConfigMap>| (map.metadata.deletion_timestamp.is_some(), map.metadata.finalizers.is_some());
    let added = seen(&next(&mut changes).await?, of)?;
    ensure!(added == [Seen::Added((false, true))], "{added:?}");
    api.delete("held", &Default::default()).await?;
    let going = seen(&next(&mut changes).await?, of)?;
    ensure!(going == [Seen::Modified((false, true), (true, true))], "{going:?}");
    ensure!(maps.get((ctx.namespace.as_str(), "held")).is_some(), "gone before its time");
    merge(&api, "held", json!({ "metadata": { "finalizers": null } })).await?;
    let gone = seen(&next(&mut changes).await?, of)?;
    ensure!(gone == [Seen::Deleted((true, true))], "{gone:?}");
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn status_patches_are_changes(ctx: &Ctx) -> Result<()> {
    let subnets = crds::subnets();
    crds::install(ctx.client.clone(), &subnets).await?;
    let api = Api::<DynamicObject>::all_with(ctx.client.clone(), &subnets.resource);
    let name = ctx.namespace.as_str();
    let informer =
        Informer::builder_with(api.clone(), subnets.resource.clone()).fields(format!("metadata.name={name}"));
    let informer = informer.start();
    let mut changes = informer.subscribe();
    next(&mut changes).await?;
    let subnet =
        DynamicObject::new(name, &subnets.resource).data(json!({ "spec": { "cidrBlock": "10.1.0.0/16" } }));
    api.create(&PostParams::default(), &subnet).await?;
    let of = |subnet: &Obj<DynamicObject>| {
        (subnet.data["status"]["v4usingIPs"].as_u64(), subnet.metadata.generation)
    };
    ensure!(seen(&next(&mut changes).await?, of)? == [Seen::Added((None, Some(1)))], "added");
    // Cluster-scoped: the name alone is the key.
    ensure!(informer.get(name).is_some(), "not found by its name");
    let using = async |count: u32| {
        let patch = Patch::Merge(json!({ "status": { "v4usingIPs": count } }));
        api.patch_status(name, &PatchParams::default(), &patch).await
    };
    using(3).await?;
    let told = seen(&next(&mut changes).await?, of)?;
    ensure!(told == [Seen::Modified((None, Some(1)), (Some(3), Some(1)))], "{told:?}");
    // A patch that changes nothing makes no version, and so no change.
    using(3).await?;
    using(4).await?;
    let told = seen(&next(&mut changes).await?, of)?;
    ensure!(told == [Seen::Modified((Some(3), Some(1)), (Some(4), Some(1)))], "{told:?}");
    api.delete(name, &Default::default()).await?;
    ensure!(seen(&next(&mut changes).await?, of)? == [Seen::Deleted((Some(4), Some(1)))], "deleted");
    informer.shutdown().await;
    Ok(())
}

pub(super) async fn changes_missed_while_cut_off_are_told_later(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    for name in ["deleted", "modified", "replaced", "same"] {
        create(&direct, name, "1").await?;
    }
    let wire = Wire::default();
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let maps = Informer::builder(api).start();
    let before = synced(&maps).await?;
    let mut changes = maps.subscribe();
    next(&mut changes).await?;

    wire.cut();
    let status = until_status(&maps, "it is called stale", |status| status.stale_since.is_some()).await?;
    ensure!(status.last_error.is_some_and(|error| error.is_transport()), "for another reason");
    direct.delete("deleted", &Default::default()).await?;
    set_value(&direct, "modified", "2").await?;
    direct.delete("replaced", &Default::default()).await?;
    create(&direct, "replaced", "2").await?;
    let last = create(&direct, "added", "1").await?;
    let meanwhile = maps.snapshot();
    ensure!(meanwhile.len() == 4 && meanwhile.revision() == before.revision(), "it saw through a cut wire");
    wire.mend();

    let last = ResourceVersion::from(last.metadata.resource_version.context("no version")?.as_str());
    let after =
        until(&maps, "it has caught up", |view| view.resource_version().is_some_and(|held| *held >= last))
            .await?;
    let told = seen(&next(&mut changes).await?, named)?;
    let expected = [
        Seen::Added(pair("added", "1")),
        Seen::Modified(pair("modified", "1"), pair("modified", "2")),
        Seen::Deleted(pair("deleted", "1")),
        Seen::Replaced(pair("replaced", "1"), pair("replaced", "2")),
    ];
    ensure!(told == expected, "{told:?}");
    // By a watch from where it was: nothing was listed again.
    ensure!(wire.count(|sent| sent.is_list() || sent.is_streaming_list()) == 1, "{:?}", wire.sent());
    let same = (ctx.namespace.as_str(), "same");
    ensure!(before.get(same).zip(after.get(same)).is_some_and(|(old, new)| Obj::ptr_eq(old, new)), "same");
    until_status(&maps, "it is current again", |status| status.stale_since.is_none() && status.failures == 0)
        .await?;
    maps.shutdown().await;
    Ok(())
}

/// Bookmarks are sent about once a minute, and two seconds before the end of a watch: so its end is moved near.
pub(super) async fn bookmarks_move_the_version_without_a_change(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let elsewhere = format!("{}-b", ctx.namespace);
    create_namespace(&Api::all(ctx.client.clone()), &elsewhere).await?;
    create(&direct, "one", "1").await?;
    let wire = Wire::default();
    wire.shorten_watches(4);
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let maps = Informer::builder(api).start();
    let before = synced(&maps).await?;
    let mut changes = maps.subscribe();
    next(&mut changes).await?;
    // Of the same kind, but not in the namespace that is watched.
    let other = create(&Api::namespaced(ctx.client.clone(), &elsewhere), "other", "1").await?;
    let other = ResourceVersion::from(other.metadata.resource_version.context("no version")?.as_str());
    let after = until(&maps, "a bookmark has come", |view| {
        view.resource_version().is_some_and(|held| *held >= other)
    })
    .await?;
    ensure!(after.revision() == before.revision(), "a bookmark counts as a change");
    ensure!(
        timeout(Duration::from_millis(50), changes.next()).await.is_err(),
        "a bookmark is told as a change"
    );
    // The end of a watch is not an error, and the next one continues from the bookmark.
    wait_until("another watch is opened", async || Ok(wire.count(Sent::is_watch) >= 2)).await?;
    let from = wire
        .sent()
        .into_iter()
        .filter(Sent::is_watch)
        .map(|sent| sent.parameter("resourceVersion").unwrap_or_default().into());
    let from: Vec<ResourceVersion> = from.map(|version: String| version.as_str().into()).collect();
    ensure!(
        from.last().is_some_and(|from| *from >= other),
        "the next watch begins before the bookmark: {from:?}"
    );
    let status = maps.status();
    ensure!(
        maps.stats().lists == 1 && status.last_error.is_none() && status.stale_since.is_none(),
        "{status:?}"
    );
    create(&direct, "two", "2").await?;
    let told = seen(&next(&mut changes).await?, named)?;
    ensure!(told == [Seen::Added(pair("two", "2"))], "{told:?}");
    maps.shutdown().await;
    Ok(())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
