//! How the first list is made, and what of each object is kept.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, api::ListParams};
use kube_core::{ApiResource, DynamicObject};
use kube_informer::{Config, Informer, Obj, Phase, Snapshot};
use serde::Deserialize;
use serde_json::json;

use crate::support::{
    envtest::Options,
    follow::{Seen, next, seen, synced, until, until_status},
    objects::{config_map, create, create_many, named, set_value, value},
    wire::{Sent, Wire},
    world::Ctx,
};

/// Not a multiple of the page size.
const MANY: usize = 333;
const PAGE: u32 = 50;
/// Of `MANY` objects.
const PAGES: usize = 7;

pub(super) async fn a_streaming_list_syncs_in_one_request(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, MANY).await?;
    let wire = Wire::default();
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let maps = Informer::builder(api).config(Config::new().page_size(PAGE)).start();
    is_all(&synced(&maps).await?)?;
    follows(&maps, &direct).await?;

    // The same request continues as the watch: it is the only one.
    let (sent, path) = (wire.sent(), format!("/api/v1/namespaces/{}/configmaps", ctx.namespace));
    ensure!(
        matches!(&sent[..], [only] if only.is_streaming_list() && only.is_ok() && only.path == path),
        "{sent:?}"
    );
    let stats = maps.stats();
    ensure!((stats.lists, stats.watches, maps.status().failures) == (1, 1, 0), "{maps:?}");
    ensure!(stats.objects == MANY + 1 && stats.invalid_objects == 0, "{stats:?}");
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn pages_sync_where_streaming_lists_are_refused(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, MANY).await?;
    let wire = Wire::default();
    wire.refuse_streaming_lists();
    syncs_in_pages(ctx, &wire, &direct).await
}

/// The refusal of a real server instead of ours.
pub(super) async fn pages_sync_on_a_server_without_streaming_lists(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, MANY).await?;
    syncs_in_pages(ctx, &Wire::default(), &direct).await
}

/// A kube-apiserver from before streaming lists, or one with them turned off.
pub(super) fn without_streaming_lists() -> Options {
    Options { apiserver_flags: vec!["--feature-gates=WatchList=false".to_owned()], ..Options::default() }
}

async fn syncs_in_pages(ctx: &Ctx, wire: &Wire, direct: &Api<ConfigMap>) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
    let maps = Informer::builder(api).config(Config::new().page_size(PAGE)).start();
    is_all(&synced(&maps).await?)?;

    let sent = wire.sent();
    let refused = sent.first().context("nothing was asked")?;
    ensure!(refused.is_streaming_list() && refused.code == Some(422), "the first request was {refused:?}");
    let pages: Vec<&Sent> = sent.iter().filter(|sent| sent.is_list() && sent.is_ok()).collect();
    ensure!(pages.len() == PAGES, "{} pages: {pages:?}", pages.len());
    ensure!(pages.iter().all(|page| page.parameter("limit") == Some("50")), "{pages:?}");
    let tokens: BTreeSet<_> = pages.iter().filter_map(|page| page.parameter("continue")).collect();
    ensure!(tokens.len() == PAGES - 1, "{} different tokens", tokens.len());

    follows(&maps, direct).await?;
    ensure!(wire.count(Sent::is_watch) == 1, "{:?}", wire.sent());
    let status = maps.status();
    // A server without streaming lists is no trouble.
    ensure!(status.failures == 0 && status.last_error.is_none(), "{status:?}");
    maps.shutdown().await;
    Ok(())
}

/// Exactly what `create_many` has made.
fn is_all(snapshot: &Snapshot<ConfigMap>) -> Result<()> {
    ensure!(snapshot.is_synced() && snapshot.len() == MANY, "{} objects", snapshot.len());
    let mut found: Vec<_> = snapshot.iter().map(named).collect();
    found.sort();
    let expected: Vec<_> =
        (0..MANY).map(|number| (format!("object-{number:04}"), number.to_string())).collect();
    ensure!(found == expected, "other objects than were created");
    Ok(())
}

/// A later write comes in.
async fn follows(maps: &Informer<ConfigMap>, direct: &Api<ConfigMap>) -> Result<()> {
    let created = create(direct, "later", "new").await?;
    let snapshot = until(maps, "the later one is there", |view| view.len() == MANY + 1).await?;
    let namespace = created.metadata.namespace.as_deref().unwrap_or_default();
    let found = snapshot.get((namespace, "later")).context("not under its name")?;
    ensure!(found.metadata.uid == created.metadata.uid && value(found) == "new", "another object");
    ensure!(
        Some(Obj::resource_version(found).to_string()) == created.metadata.resource_version,
        "its version"
    );
    Ok(())
}

pub(super) async fn an_empty_kind_syncs_too(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    for streaming in [true, false] {
        let wire = Wire::default();
        if !streaming {
            wire.refuse_streaming_lists();
        }
        let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
        let maps = Informer::builder(api).start();
        let mut changes = maps.subscribe();
        ensure!(synced(&maps).await?.is_empty(), "there is something in it");
        let first = next(&mut changes).await?;
        ensure!(first.is_initial() && first.changes().next().is_none(), "the first batch is not empty");
        create(&direct, "first", "1").await?;
        let batch = seen(&next(&mut changes).await?, |map| value(map).to_owned())?;
        ensure!(batch == [Seen::Added("1".to_owned())], "{batch:?}");
        maps.shutdown().await;
        direct.delete("first", &Default::default()).await?;
    }
    Ok(())
}

pub(super) async fn kubes_own_retries_are_no_hindrance(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, 20).await?;
    let client = ctx.world.retrying_client().await?;
    let maps = Informer::builder(Api::<ConfigMap>::namespaced(client, &ctx.namespace)).start();
    ensure!(synced(&maps).await?.len() == 20, "not all of it");
    set_value(&direct, "object-0007", "changed").await?;
    let key = (ctx.namespace.as_str(), "object-0007");
    until(&maps, "the change is there", |view| view.get(key).is_some_and(|map| value(map) == "changed"))
        .await?;
    ctx.world.compact().await?;
    set_value(&direct, "object-0007", "again").await?;
    until(&maps, "it has recovered", |view| view.get(key).is_some_and(|map| value(map) == "again")).await?;
    until_status(&maps, "it is current again", |status| {
        status.stale_since.is_none() && status.phase == Phase::Watching
    })
    .await?;
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn managed_fields_are_dropped_unless_asked_for(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&direct, "one", "1").await?;
    let key = (ctx.namespace.as_str(), "one");
    for streaming in [true, false] {
        let wire = Wire::default();
        if !streaming {
            wire.refuse_streaming_lists();
        }
        let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
        let without = Informer::builder(api.clone()).start();
        let with = Informer::builder(api).config(Config::new().keep_managed_fields(true)).start();
        for change in ["listed", "watched"] {
            if change == "watched" {
                set_value(&direct, "one", &streaming.to_string()).await?;
            }
            let stored = direct.get("one").await?;
            ensure!(stored.metadata.managed_fields.is_some(), "the server has none");
            let current = |view: &kube_informer::View<ConfigMap>| {
                view.get(key)
                    .is_some_and(|map| map.metadata.resource_version == stored.metadata.resource_version)
            };
            let kept = until(&with, "it is current", current).await?;
            let kept = kept.get(key).context("it is gone")?;
            ensure!(kept.metadata.managed_fields == stored.metadata.managed_fields, "{change}: not kept");
            let dropped = until(&without, "it is current", current).await?;
            let dropped = dropped.get(key).context("it is gone")?;
            ensure!(dropped.metadata.managed_fields.is_none(), "{change}: not dropped");
            // Nothing else is.
            let mut expected = stored;
            expected.metadata.managed_fields = None;
            ensure!(**dropped == expected, "{change}: something else is missing");
        }
        without.shutdown().await;
        with.shutdown().await;
    }
    Ok(())
}

pub(super) async fn dynamic_objects_know_their_type(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&direct, "listed", "1").await?;
    let resource = ApiResource::erase::<ConfigMap>(&());
    for streaming in [true, false] {
        let wire = Wire::default();
        if !streaming {
            wire.refuse_streaming_lists();
        }
        let client = wire.client(ctx.client.clone());
        let api = Api::<DynamicObject>::namespaced_with(client, &ctx.namespace, &resource);
        let maps = Informer::builder_with(api, resource.clone()).start();
        synced(&maps).await?;
        let name = format!("watched-{streaming}");
        direct.create(&Default::default(), &config_map(&name, json!({}), "2")?).await?;
        let watched = (ctx.namespace.as_str(), name.as_str());
        let snapshot = until(&maps, "the other is there", |view| view.get(watched).is_some()).await?;
        for key in [(ctx.namespace.as_str(), "listed"), watched] {
            let object = snapshot.get(key).context("it is gone")?;
            let types = object.types.as_ref().map(|types| (types.api_version.as_str(), types.kind.as_str()));
            ensure!(types == Some(("v1", "ConfigMap")), "{key:?}, streaming {streaming}: {types:?}");
            ensure!(object.data["data"]["value"].is_string(), "{key:?} lost its data");
        }
        maps.shutdown().await;
    }
    // Which is not what the server sends for the items of a list.
    let plain = ctx.client.request::<serde_json::Value>(
        http::Request::get(format!("/api/v1/namespaces/{}/configmaps", ctx.namespace)).body(Vec::new())?,
    );
    ensure!(plain.await?["items"][0]["kind"].is_null(), "items of lists have their kind by now");
    let listed = direct.list(&ListParams::default()).await?;
    ensure!(listed.items.len() == 3, "{} objects", listed.items.len());
    Ok(())
}

/// What is read of the text of a ConfigMap.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    api_version: String,
    kind: String,
    metadata: ReadMeta,
    data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadMeta {
    managed_fields: Option<Vec<serde_json::Value>>,
}

pub(super) async fn text_is_decoded_with_its_type_however_it_comes(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&direct, "listed", "1").await?;
    for (streaming, keep) in [(true, true), (false, true), (true, false), (false, false)] {
        let wire = Wire::default();
        if !streaming {
            wire.refuse_streaming_lists();
        }
        let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
        let maps = Informer::builder(api)
            .config(Config::new().keep_managed_fields(keep))
            .decode(|json| serde_json::from_str::<Read>(json))
            .start();
        synced(&maps).await?;
        let name = format!("watched-{streaming}-{keep}");
        create(&direct, &name, "2").await?;
        let watched = (ctx.namespace.as_str(), name.as_str());
        let snapshot = until(&maps, "the other is there", |view| view.get(watched).is_some()).await?;
        for (key, value) in [((ctx.namespace.as_str(), "listed"), "1"), (watched, "2")] {
            let map = snapshot.get(key).context("it is gone")?;
            let types = (map.api_version.as_str(), map.kind.as_str());
            ensure!(types == ("v1", "ConfigMap"), "{key:?}, streaming {streaming}: {types:?}");
            let fields = map.metadata.managed_fields.as_ref().map(|fields| !fields.is_empty());
            ensure!(fields == keep.then_some(true), "{key:?}, streaming {streaming}: {fields:?}");
            ensure!(map.data["value"] == value, "{key:?} lost its data");
        }
        maps.shutdown().await;
    }
    Ok(())
}
