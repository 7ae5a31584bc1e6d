//! Several scopes in one informer.

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace},
    rbac::v1::PolicyRule,
};
use kube_client::{
    Api,
    api::{DeleteParams, PostParams},
};
use kube_informer::{Error, Informer, Obj, Phase, Scope};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    follow::{SOON, Seen, next, seen, synced, until, until_status},
    objects::{config_map, create, create_namespace, merge, named, set_value},
    wait::wait_until,
    wire::{Sent, Wire},
    world::Ctx,
};

/// Every namespace has a map of its own in a real cluster, so the cases select theirs.
const OURS: &str = "scopes=ours";

async fn put(ctx: &Ctx, namespace: &str, name: &str, team: &str) -> Result<ConfigMap> {
    let map = config_map(name, json!({ "labels": { "scopes": "ours", "team": team } }), "1")?;
    Ok(maps_in(ctx, namespace).create(&Default::default(), &map).await?)
}

fn maps_in(ctx: &Ctx, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(ctx.client.clone(), namespace)
}

/// Creates namespaces of this case, `-a` and so on.
async fn namespaces(ctx: &Ctx, suffixes: &[&str]) -> Result<Vec<String>> {
    let names: Vec<String> = suffixes.iter().map(|suffix| format!("{}-{suffix}", ctx.namespace)).collect();
    for name in &names {
        create_namespace(&Api::<Namespace>::all(ctx.client.clone()), name).await?;
    }
    Ok(names)
}

/// Deletes a namespace with its map `two`. In a cluster, the controller of namespaces does this; a lone API server has none.
async fn delete_namespace(ctx: &Ctx, name: &str) -> Result<()> {
    let all = Api::<Namespace>::all(ctx.client.clone());
    all.delete(name, &DeleteParams::default()).await?;
    let maps = maps_in(ctx, name);
    if maps.get_opt("two").await?.is_some() {
        maps.delete("two", &DeleteParams::default()).await?;
    }
    if let Some(mut namespace) = all.get_opt(name).await? {
        namespace.spec = None;
        all.replace_subresource("finalize", name, &PostParams::default(), &namespace).await?;
    }
    Ok(())
}

fn informer(ctx: &Ctx, scope: Scope) -> Informer<ConfigMap> {
    Informer::builder(Api::<ConfigMap>::all(ctx.client.clone())).scope(scope).start()
}

fn names(informer: &Informer<ConfigMap>) -> Vec<String> {
    let mut names: Vec<String> =
        informer.read(|view| view.iter().map(|map| Obj::name(map).to_owned()).collect());
    names.sort();
    names
}

fn may(verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

pub(super) async fn overlapping_parts_cache_each_object_once(ctx: &Ctx) -> Result<()> {
    let spaces = namespaces(ctx, &["a", "b"]).await?;
    put(ctx, &spaces[0], "one", "red").await?;
    put(ctx, &spaces[1], "two", "red").await?;
    put(ctx, &spaces[1], "three", "blue").await?;
    // `one` is in both parts, `three` in none.
    let scope = Scope::any([
        Scope::namespace(&spaces[0]).labels(OURS),
        Scope::all().labels(format!("{OURS},team=red")),
    ]);
    let maps = informer(ctx, scope);
    let mut changes = maps.subscribe();
    synced(&maps).await?;
    ensure!(next(&mut changes).await?.changes().count() == 2 && names(&maps) == ["one", "two"], "{maps:?}");

    // It leaves one part, and stays; then it leaves the other.
    let api = maps_in(ctx, &spaces[0]);
    merge(&api, "one", json!({ "metadata": { "labels": { "team": "blue" } } })).await?;
    let blue = |map: Option<&Obj<ConfigMap>>| {
        map.and_then(|map| map.metadata.labels.as_ref()?.get("team").cloned()).as_deref() == Some("blue")
    };
    until(&maps, "it is blue", |view| blue(view.get((&*spaces[0], "one")))).await?;
    merge(&api, "one", json!({ "metadata": { "labels": { "scopes": "not" } } })).await?;
    until(&maps, "it is gone", |view| view.get((&*spaces[0], "one")).is_none()).await?;
    merge(&api, "one", json!({ "metadata": { "labels": { "team": "red", "scopes": "ours" } } })).await?;
    until(&maps, "it is back", |view| view.len() == 2).await?;
    api.delete("one", &DeleteParams::default()).await?;
    until(&maps, "it is deleted", |view| view.len() == 1).await?;
    // It was there once at a time: each change is one of what was before.
    let mut there = 2;
    while there != 1 {
        for change in next(&mut changes).await?.changes() {
            there += usize::from(change.old().is_none());
            there -= usize::from(change.new().is_none());
        }
    }
    ensure!(maps.status().parts().len() == 2, "{:?}", maps.status());
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn a_forbidden_namespace_is_named_and_the_others_go_on(ctx: &Ctx) -> Result<()> {
    let spaces = namespaces(ctx, &["a", "b", "c"]).await?;
    for space in &spaces {
        put(ctx, space, "one", "red").await?;
    }
    let [a, b, c] = &spaces[..] else { anyhow::bail!("three") };
    let user = ctx.namespace.as_str();
    ctx.world.set_rights_in(user, may(&["list", "watch"]), &[a, b]).await?;
    let api = Api::<ConfigMap>::all(ctx.world.client_of(user).await?);
    let maps = Informer::builder(api).scope(Scope::namespaces(&spaces).labels(OURS)).start();
    let error = timeout(SOON, maps.synced_or_blocked()).await.context("neither synced nor blocked")?;
    ensure!(error.as_ref().is_err_and(Error::is_forbidden), "{error:?}");
    // The others are visible, and followed.
    until(&maps, "two are there", |view| view.len() == 2 && !view.is_synced()).await?;
    put(ctx, a, "two", "red").await?;
    until(&maps, "a change is seen", |view| view.len() == 3).await?;
    let status = until_status(&maps, "it says which", |status| {
        let stands = |scope: &str| {
            status.parts().find(|part| part.scope.to_string().starts_with(scope)).map(|part| &part.status)
        };
        let fine = |scope: &str| stands(scope).is_some_and(|part| part.synced && part.stale_since.is_none());
        let bad = stands(&format!("in {c} "))
            .is_some_and(|part| !part.synced && part.last_error.as_ref().is_some_and(Error::is_forbidden));
        fine(&format!("in {a} ")) && fine(&format!("in {b} ")) && bad
    })
    .await?;
    ensure!(!status.synced && status.stale_since.is_some(), "{status:?}");
    ensure!(maps.snapshot().resource_version().is_none(), "a part has no version");

    ctx.world.set_rights_in(user, may(&["list", "watch"]), &[a, b, c]).await?;
    ensure!(synced(&maps).await?.len() == 4, "not all of them");
    until_status(&maps, "it is current", |status| status.stale_since.is_none()).await?;
    ensure!(maps.snapshot().resource_version().is_some(), "every part has a version");
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn a_namespace_is_empty_until_it_exists_and_after_it_is_deleted(ctx: &Ctx) -> Result<()> {
    let spaces = namespaces(ctx, &["a"]).await?;
    let later = format!("{}-later", ctx.namespace);
    put(ctx, &spaces[0], "one", "red").await?;
    let maps = informer(ctx, Scope::namespaces([&spaces[0], &later]).labels(OURS));
    ensure!(synced(&maps).await?.len() == 1, "not one object");
    let all = Api::<Namespace>::all(ctx.client.clone());
    for _ in 0..2 {
        create_namespace(&all, &later).await?;
        put(ctx, &later, "two", "red").await?;
        until(&maps, "it is there", |view| view.len() == 2).await?;
        delete_namespace(ctx, &later).await?;
        until(&maps, "it is gone", |view| view.len() == 1).await?;
        wait_until("the namespace is gone", async || Ok(all.get_opt(&later).await?.is_none())).await?;
    }
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn a_scope_changes_in_one_version_and_keeps_what_stays(ctx: &Ctx) -> Result<()> {
    let spaces = namespaces(ctx, &["a", "b", "c"]).await?;
    let [a, b, c] = &spaces[..] else { anyhow::bail!("three") };
    for space in &spaces {
        put(ctx, space, &format!("in-{}", &space[space.len() - 1..]), "red").await?;
    }
    let wire = Wire::default();
    let api = Api::<ConfigMap>::all(wire.client(ctx.client.clone()));
    let scope = |namespaces: &[&String]| Scope::namespaces(namespaces).labels(OURS);
    let maps = Informer::builder(api).scope(scope(&[a, b])).start();
    let mut changes = maps.subscribe();
    let before = synced(&maps).await?;
    next(&mut changes).await?;
    let asked = wire.count(|sent| sent.path.contains(&format!("/{b}/")));

    let after = timeout(SOON, maps.set_scope(scope(&[b, c]))).await.context("not in time")??;
    ensure!(names(&maps) == ["in-b", "in-c"] && after.revision() == before.revision() + 1, "{after:?}");
    let batch = next(&mut changes).await?;
    let [gone, new] = ["in-a", "in-c"].map(|name| (name.to_owned(), "1".to_owned()));
    ensure!(seen(&batch, named)? == [Seen::Added(new), Seen::Deleted(gone)], "{batch:?}");
    let stays = |view: &kube_informer::Snapshot<ConfigMap>| view.get((&**b, "in-b")).cloned();
    ensure!(
        stays(&before).zip(stays(&after)).is_some_and(|(old, new)| Obj::ptr_eq(&old, &new)),
        "what stays is another allocation"
    );
    ensure!(wire.count(|sent| sent.path.contains(&format!("/{b}/"))) == asked, "its watch was opened again");
    // The new part is followed, and the old one is not.
    set_value(&maps_in(ctx, a), "in-a", "2").await?;
    set_value(&maps_in(ctx, c), "in-c", "2").await?;
    let batch = next(&mut changes).await?;
    ensure!(
        matches!(&seen(&batch, named)?[..], [Seen::Modified(_, (name, _))] if name == "in-c"),
        "{batch:?}"
    );

    // From namespaces to labels in all of them: the objects that were cached stay as they are.
    let before = maps.snapshot();
    let after = timeout(SOON, maps.set_scope(Scope::all().labels(format!("{OURS},team=red")))).await??;
    let ours = |view: &kube_informer::Snapshot<ConfigMap>| {
        view.iter().filter(|map| spaces.iter().any(|space| space == Obj::namespace(map))).count()
    };
    ensure!(ours(&after) == 3 && after.revision() == before.revision() + 1, "{after:?}");
    ensure!(
        stays(&before).zip(stays(&after)).is_some_and(|(old, new)| Obj::ptr_eq(&old, &new)),
        "stored again"
    );
    ensure!(
        maps.status().parts().len() == 0 && maps.status().phase == Phase::Watching,
        "{:?}",
        maps.status()
    );

    // Nothing, and everything again.
    let nothing = timeout(SOON, maps.set_scope(Scope::any([]))).await??;
    ensure!(nothing.is_empty() && nothing.is_synced(), "{nothing:?}");
    wait_until("no watch is open", async || Ok(maps.status().phase == Phase::Watching)).await?;
    let all = timeout(SOON, maps.set_scope(scope(&[a, b, c]))).await??;
    ensure!(all.len() == 3, "{all:?}");
    maps.shutdown().await;
    ensure!(maps.set_scope(Scope::all()).await.is_err_and(|error| error.is_stopped()), "it has stopped");
    Ok(())
}

pub(super) async fn a_change_that_waits_is_replaced_by_the_next(ctx: &Ctx) -> Result<()> {
    let spaces = namespaces(ctx, &["a", "b", "c"]).await?;
    let [a, b, c] = &spaces[..] else { anyhow::bail!("three") };
    for space in &spaces {
        put(ctx, space, "one", "red").await?;
    }
    let user = ctx.namespace.as_str();
    ctx.world.set_rights_in(user, may(&["list", "watch"]), &[a, b]).await?;
    let api = Api::<ConfigMap>::all(ctx.world.client_of(user).await?);
    let scope = |namespaces: &[&String]| Scope::namespaces(namespaces).labels(OURS);
    let maps = Informer::builder(api).scope(scope(&[a])).start();
    synced(&maps).await?;
    // `c` is forbidden, so this waits. Readers see the old scope, which is followed.
    let waiting = tokio::spawn({
        let (maps, scope) = (maps.clone(), scope(&[b, c]));
        async move { maps.set_scope(scope).await }
    });
    let status = until_status(&maps, "it says why it waits", |status| {
        status.parts().any(|part| part.status.last_error.as_ref().is_some_and(Error::is_forbidden))
    })
    .await?;
    ensure!(status.synced && status.stale_since.is_none() && status.failures == 0, "{status:?}");
    put(ctx, a, "two", "red").await?;
    until(&maps, "the old scope is followed", |view| view.len() == 2).await?;
    let after = timeout(SOON, maps.set_scope(scope(&[b]))).await.context("not in time")??;
    ensure!(after.len() == 1 && after.get((&**b, "one")).is_some(), "{after:?}");
    let earlier = timeout(SOON, waiting).await.context("still waiting")???;
    ensure!(earlier.revision() >= after.revision(), "of another scope");
    ensure!(maps.status().parts().len() == 0, "{:?}", maps.status());
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn a_write_waits_for_its_own_namespace_only(ctx: &Ctx) -> Result<()> {
    let spaces = namespaces(ctx, &["a", "b"]).await?;
    let maps = informer(ctx, Scope::namespaces(&spaces));
    synced(&maps).await?;
    for number in 0..5 {
        // The other namespace is idle, so its part learns of the version by a bookmark only.
        let written = create(&maps_in(ctx, &spaces[0]), &format!("map-{number}"), "1").await?;
        let snapshot = timeout(SOON / 2, maps.at_least(&written)).await.context("not in time")??;
        ensure!(snapshot.get((&*spaces[0], format!("map-{number}"))).is_some(), "without the write");
    }
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn a_thousand_namespaces_are_one_cache(ctx: &Ctx) -> Result<()> {
    // Each is a connection, and a real server works for each.
    let count = if ctx.world.real().is_some() { 100 } else { 1000 };
    let spaces: Vec<String> = (0..count).map(|number| format!("{}-{number}", ctx.namespace)).collect();
    // Some of them exist, among them the last one.
    let all = Api::<Namespace>::all(ctx.client.clone());
    join_all(spaces[count - 50..].iter().map(async |space| {
        create_namespace(&all, space).await?;
        put(ctx, space, "one", "red").await
    }))
    .await
    .into_iter()
    .collect::<Result<Vec<_>>>()?;
    let wire = Wire::default();
    let api = Api::<ConfigMap>::all(wire.client(ctx.client.clone()));
    let maps = Informer::builder(api).scope(Scope::namespaces(&spaces).labels(OURS)).start();
    ensure!(synced(&maps).await?.len() == 50, "not all of them");
    ensure!(wire.count(Sent::is_streaming_list) == count, "{} requests", wire.sent().len());
    ensure!(maps.status().parts().len() == count, "{maps:?}");
    until_status(&maps, "all are watched", |status| status.phase == Phase::Watching).await?;
    ensure!(maps.stats().lists == count as u64, "{maps:?}");
    put(ctx, &spaces[count - 1], "two", "red").await?;
    until(&maps, "a change in the last is seen", |view| view.len() == 51).await?;
    timeout(SOON, maps.refresh()).await.context("not refreshed in time")??;
    ensure!(maps.stats().lists == 2 * count as u64, "{maps:?}");
    maps.shutdown().await;
    Ok(())
}
