//! A part of the objects in each of several informers, whether or not the server knows shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube_client::{
    Api,
    api::{DeleteParams, ListParams},
};
use kube_core::{DynamicObject, PartialObjectMeta, Resource};
use kube_informer::builder::Builder;
use kube_informer::shard::{By, Filter, Range, hash};
use kube_informer::{Config, Informer, Obj, Scope, View};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    crds,
    follow::{SOON, Seen, next, seen, synced, until, until_status},
    objects::{config_map, create, create_many, create_namespace, named, set_value, value},
    wire::Wire,
    world::Ctx,
};

const SHARDS: u32 = 3;
const MANY: usize = 60;
const NADS: usize = 12;

fn maps(ctx: &Ctx) -> Api<ConfigMap> {
    Api::namespaced(ctx.client.clone(), &ctx.namespace)
}

fn shard(index: u32, by: By) -> Result<Scope> {
    Ok(Scope::all().shard(by, Range::of(index, SHARDS).context("no such shard")?))
}

/// The shard of a uid.
fn shard_of(uid: &str) -> u32 {
    let of = |index: &u32| Range::of(*index, SHARDS).is_some_and(|range| range.contains(hash(uid)));
    (0..SHARDS).find(of).unwrap_or(SHARDS)
}

fn uid(map: &ConfigMap) -> &str {
    map.metadata.uid.as_deref().unwrap_or_default()
}

/// Creates maps until one of a name is in the shard.
async fn create_in(api: &Api<ConfigMap>, name: &str, index: u32, value: &str) -> Result<ConfigMap> {
    loop {
        let map = create(api, name, value).await?;
        if shard_of(uid(&map)) == index {
            return Ok(map);
        }
        api.delete(name, &DeleteParams::default()).await?;
    }
}

/// The informer says who filters.
async fn filters<T: Send + Sync + 'static>(informer: &Informer<T>, filter: Filter) -> Result<()> {
    until_status(informer, &format!("it is {filter:?}"), |status| status.shard_filter == Some(filter))
        .await
        .map(drop)
}

pub(super) async fn a_server_without_shards_is_filtered_here(ctx: &Ctx) -> Result<()> {
    each_object_is_in_one_shard(ctx, Filter::Here).await
}

pub(super) async fn each_object_is_in_one_shard_and_the_server_filters(ctx: &Ctx) -> Result<()> {
    each_object_is_in_one_shard(ctx, Filter::Server).await?;
    every_shard_has_namespaces_of_its_own(ctx).await
}

async fn each_object_is_in_one_shard(ctx: &Ctx, filter: Filter) -> Result<()> {
    let direct = maps(ctx);
    create_many(&direct, MANY).await?;
    let crd = crds::network_attachment_definitions();
    crds::install(ctx.client.clone(), &crd).await?;
    let nads = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &crd.resource);
    for number in 0..NADS {
        let nad = DynamicObject::new(&format!("nad-{number}"), &crd.resource);
        nads.create(&Default::default(), &nad).await?;
    }
    for streaming in [true, false] {
        let config = Config::new().streaming_lists(streaming).page_size(7);
        let (mut found, mut total) = (BTreeMap::new(), 0);
        for index in 0..SHARDS {
            let decoded = Arc::new(AtomicUsize::new(0));
            let counted = decoded.clone();
            let maps = Informer::builder(direct.clone()).config(config.clone());
            let range = Range::of(index, SHARDS).context("no such shard")?;
            let maps = maps.shard(By::Uid, range).project(move |map: ConfigMap| {
                counted.fetch_add(1, Ordering::Relaxed);
                map
            });
            let maps = maps.start();
            let snapshot = synced(&maps).await?;
            for map in &snapshot {
                ensure!(shard_of(&Obj::uid(map)) == index, "{map:?} is not of shard {index}");
                found.insert(Obj::name(map).to_owned(), index);
            }
            total += snapshot.len();
            ensure!(
                decoded.load(Ordering::Relaxed) == snapshot.len(),
                "objects of other shards were decoded"
            );
            filters(&maps, filter).await.with_context(|| format!("streaming {streaming}"))?;
            ensure!(maps.status().failures == 0, "{:?}", maps.status());
            follows(&maps, &direct, index).await?;
            maps.shutdown().await;
        }
        let exist = direct.list(&ListParams::default()).await?.items.len();
        ensure!(found.len() == exist && total == exist, "{} of {exist}, {total} times", found.len());

        // What the server does not say in lists of metadata and of custom resources is found out.
        let api = Api::<PartialObjectMeta<ConfigMap>>::namespaced(ctx.client.clone(), &ctx.namespace);
        are_split(|| Informer::builder(api.clone()).config(config.clone()), exist, filter)
            .await
            .context("metadata")?;
        let build = || Informer::builder_with(nads.clone(), crd.resource.clone()).config(config.clone());
        are_split(build, NADS, filter).await.context("custom resources")?;
    }
    Ok(())
}

/// All shards together have that many objects, none twice.
async fn are_split<K>(build: impl Fn() -> Builder<K, K>, exist: usize, filter: Filter) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
{
    let mut found = BTreeSet::new();
    for index in 0..SHARDS {
        let objects = build().shard(By::Uid, Range::of(index, SHARDS).context("no such shard")?).start();
        for object in &synced(&objects).await? {
            let uid = Obj::uid(object).into_owned();
            ensure!(shard_of(&uid) == index && found.insert(uid), "{object:?} is not of shard {index} alone");
        }
        filters(&objects, filter).await?;
        objects.shutdown().await;
    }
    ensure!(found.len() == exist, "{} of {exist}", found.len());
    Ok(())
}

/// Changes within the shard arrive; an object that comes back in another shard is gone.
async fn follows(maps: &Informer<ConfigMap>, direct: &Api<ConfigMap>, index: u32) -> Result<()> {
    let other = (index + 1) % SHARDS;
    let before = maps.snapshot();
    create_in(direct, "wanders", index, "1").await?;
    until(maps, "it is there", |view| has(view, "wanders", "1")).await?;
    set_value(direct, "wanders", "2").await?;
    until(maps, "it has changed", |view| has(view, "wanders", "2")).await?;
    direct.delete("wanders", &DeleteParams::default()).await?;
    create_in(direct, "wanders", other, "3").await?;
    until(maps, "it is gone", |view| view.iter().all(|map| Obj::name(map) != "wanders")).await?;
    // Written after all of that, and so received after it.
    let last = create_in(direct, "last", index, "1").await?;
    let snapshot = timeout(SOON, maps.at_least(&last)).await.context("not in time")??;
    ensure!(snapshot.len() == before.len() + 1, "{snapshot:?}");
    for name in ["wanders", "last"] {
        direct.delete(name, &DeleteParams::default()).await?;
    }
    until(maps, "all is as before", |view| view.len() == before.len()).await?;
    Ok(())
}

fn has(view: &View<ConfigMap>, name: &str, wanted: &str) -> bool {
    view.iter().any(|map| Obj::name(map) == name && value(map) == wanted)
}

async fn every_shard_has_namespaces_of_its_own(ctx: &Ctx) -> Result<()> {
    let mut spaces = Vec::new();
    for number in 0..10 {
        let name = format!("{}-{number}", ctx.namespace);
        create_namespace(&Api::<Namespace>::all(ctx.client.clone()), &name).await?;
        let map = config_map("one", json!({ "labels": { "shards": "ours" } }), "1")?;
        Api::namespaced(ctx.client.clone(), &name).create(&Default::default(), &map).await?;
        spaces.push(name);
    }
    let mut found = Vec::new();
    for index in 0..SHARDS {
        // Selectors apply, too.
        let scope = shard(index, By::Namespace)?.labels("shards=ours");
        let maps = Informer::builder(Api::<ConfigMap>::all(ctx.client.clone())).scope(scope).start();
        let snapshot = synced(&maps).await?;
        filters(&maps, Filter::Server).await?;
        for map in &snapshot {
            ensure!(shard_of(Obj::namespace(map)) == index, "{map:?} is not of shard {index}");
            found.push(Obj::namespace(map).to_owned());
        }
        maps.shutdown().await;
    }
    found.sort();
    ensure!(found == spaces, "{found:?}");
    Ok(())
}

pub(super) async fn an_upgrade_or_a_downgrade_changes_no_object(ctx: &Ctx) -> Result<()> {
    let direct = maps(ctx);
    create_many(&direct, MANY).await?;
    let scope = Scope::namespace(&ctx.namespace).shard(By::Uid, Range::of(0, SHARDS).context("a shard")?);
    let maps = Informer::builder(direct.clone()).scope(scope).start();
    let before = synced(&maps).await?;
    let mut changes = maps.subscribe();
    next(&mut changes).await?;
    filters(&maps, Filter::Server).await?;
    for (known, filter) in [(false, Filter::Here), (true, Filter::Server)] {
        ctx.world.set_shards(known).await?;
        // Each shard gets a new object, and one of ours changes.
        for index in 0..SHARDS {
            create_in(&direct, &format!("new-{index}"), index, "1").await?;
        }
        let ours =
            before.iter().map(Obj::name).find(|name| name.starts_with("object")).context("none is ours")?;
        let written = set_value(&direct, ours, &format!("known: {known}")).await?;
        let snapshot = timeout(SOON, maps.at_least(&written)).await.context("not in time")??;
        ensure!(snapshot.len() == before.len() + 1, "{snapshot:?}");
        ensure!(snapshot.iter().all(|map| shard_of(&Obj::uid(map)) == 0), "{snapshot:?}");
        if filter == Filter::Here {
            filters(&maps, filter).await?;
        }
        // The next list says which of the two it is.
        timeout(SOON, maps.refresh()).await.context("not in time")??;
        filters(&maps, filter).await?;
        for index in 0..SHARDS {
            direct.delete(&format!("new-{index}"), &DeleteParams::default()).await?;
        }
        until(&maps, "all is as before", |view| view.len() == before.len()).await?;
    }
    ensure!(maps.stats().invalid_objects == 0 && maps.stats().new_epochs == 0, "{maps:?}");
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn a_scope_moves_from_shard_to_shard(ctx: &Ctx) -> Result<()> {
    let direct = maps(ctx);
    create_many(&direct, MANY).await?;
    let count = direct.list(&ListParams::default()).await?.items.len();
    let wire = Wire::default();
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let scope = |shards: &[u32]| {
        let one =
            |index: &u32| Some(Scope::namespace(&ctx.namespace).shard(By::Uid, Range::of(*index, SHARDS)?));
        Scope::any(shards.iter().filter_map(one))
    };
    let maps = Informer::builder(api).scope(scope(&[0])).start();
    let first = synced(&maps).await?;
    let mut changes = maps.subscribe();
    next(&mut changes).await?;

    // Two shards, one after the other and apart, are one list and one watch.
    for (shards, parts) in [(&[0, 1][..], 1), (&[0, 2], 1), (&[0, 1, 2], 1)] {
        let before = wire.count(|sent| sent.is_streaming_list());
        let both = timeout(SOON, maps.set_scope(scope(shards))).await.context("not in time")??;
        ensure!(wire.count(|sent| sent.is_streaming_list()) == before + parts, "{:?}", wire.sent());
        ensure!(both.iter().all(|map| shards.contains(&shard_of(&Obj::uid(map)))), "{both:?}");
        for map in &first {
            let same = both.get(Obj::key(map)).is_some_and(|kept| Obj::ptr_eq(kept, map));
            ensure!(same, "{map:?} was stored again");
        }
        next(&mut changes).await?;
    }
    ensure!(maps.snapshot().len() == count, "all shards are all objects: {:?}", maps.snapshot());
    ensure!(maps.status().shard_filter.is_none(), "{:?}", maps.status());

    // Back to one of them, in one version.
    let one = timeout(SOON, maps.set_scope(scope(&[1]))).await.context("not in time")??;
    let batch = next(&mut changes).await?;
    let gone = seen(&batch, named)?;
    ensure!(gone.len() == count - one.len(), "{gone:?}");
    ensure!(gone.iter().all(|change| matches!(change, Seen::Deleted(_))), "{gone:?}");
    let last = create_in(&direct, "last", 1, "1").await?;
    let after = timeout(SOON, maps.at_least(&last)).await.context("not in time")??;
    ensure!(after.len() == one.len() + 1 && has(&after, "last", "1"), "{after:?}");
    maps.shutdown().await;
    Ok(())
}

/// Our hash is the server's, at bounds next to hashes that objects have.
pub(super) async fn ten_thousand_uids_hash_as_the_server_hashes_them(ctx: &Ctx) -> Result<()> {
    let direct = maps(ctx);
    create_many(&direct, 10_000).await?;
    let all = direct.list(&ListParams::default()).await?.items;
    let mut hashes: Vec<(u64, &str)> = all.iter().map(|map| (hash(uid(map)), uid(map))).collect();
    hashes.sort_unstable();
    ensure!(hashes.len() >= 10_000, "{} objects", hashes.len());
    // Each range begins and ends at the hash of an object, so that an error of one bit moves one.
    let step = hashes.len() / 16;
    let mut bounds: Vec<u64> = hashes.iter().step_by(step).skip(1).map(|(hash, _)| *hash).collect();
    bounds.insert(0, 0);
    let mut total = 0;
    for (at, from) in bounds.iter().enumerate() {
        let range = match bounds.get(at + 1) {
            Some(to) => Range::new(*from..*to),
            None => Range::new(*from..),
        };
        let range = range.context("an empty range")?;
        let selector = format!(
            "shardRange(object.metadata.uid, '{:#018x}', '{:#018x}')",
            range.first(),
            u128::from(range.last()) + 1
        );
        let query = selector.replace(' ', "%20");
        let url = format!("{}?shardSelector={query}", ConfigMap::url_path(&(), Some(&ctx.namespace)));
        let listed: Value = ctx.client.request(http::Request::get(url).body(Vec::new())?).await?;
        ensure!(listed["metadata"]["shardInfo"]["selector"] == selector, "{}", listed["metadata"]);
        let mut theirs: Vec<&str> = listed["items"]
            .as_array()
            .context("no items")?
            .iter()
            .filter_map(|item| item["metadata"]["uid"].as_str())
            .collect();
        let mut ours: Vec<&str> =
            hashes.iter().filter(|(hash, _)| range.contains(*hash)).map(|(_, uid)| *uid).collect();
        theirs.sort_unstable();
        ours.sort_unstable();
        ensure!(theirs == ours, "{range}: {} objects, and by our hash {}", theirs.len(), ours.len());
        total += theirs.len();
    }
    ensure!(total == hashes.len(), "{total} of {}", hashes.len());
    Ok(())
}
