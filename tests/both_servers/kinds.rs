//! Kinds that come and go, and objects that are not what their kind promises.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ComponentStatus;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_client::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kube_core::{DynamicObject, ObjectMeta};
use kube_informer::{Absent, Change, Config, Informer, Obj, Phase};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{
    crds::{self, Crd},
    dynamic::dynamic_resource,
    follow::{SOON, Seen, next, seen, synced, until, until_status},
    wait::wait_until,
    wire::Wire,
    world::Ctx,
};

/// What a program expects of a widget.
#[derive(Clone, Debug, Deserialize)]
struct Widget {
    metadata: ObjectMeta,
    spec: WidgetSpec,
}

#[derive(Clone, Debug, Deserialize)]
struct WidgetSpec {
    replicas: u32,
    size: Option<String>,
}

// Its group differs from case to case.
dynamic_resource!(Widget);

fn replicas(widget: &Obj<Widget>) -> (String, u32) {
    (Obj::name(widget).to_owned(), widget.spec.replicas)
}

fn pair(name: &str, replicas: u32) -> (String, u32) {
    (name.to_owned(), replicas)
}

/// Writes widgets without a type in mind.
async fn write(ctx: &Ctx, crd: &Crd, name: &str, replicas: serde_json::Value) -> Result<DynamicObject> {
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &crd.resource);
    let spec = json!({ "spec": { "replicas": replicas } });
    if api.get_opt(name).await?.is_some() {
        return Ok(api.patch(name, &PatchParams::default(), &Patch::Merge(spec)).await?);
    }
    Ok(api.create(&PostParams::default(), &DynamicObject::new(name, &crd.resource).data(spec)).await?)
}

pub(super) async fn an_absent_kind_is_waited_for(ctx: &Ctx) -> Result<()> {
    let widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    let informer = Informer::builder_with(api, widgets.resource.clone()).start();
    let mut changes = informer.subscribe();
    let blocked = timeout(SOON, informer.synced_or_blocked()).await.context("neither synced nor blocked")?;
    let error = blocked.err().context("it synced")?;
    ensure!(error.is_kind_absent() && error.http_code() == Some(404), "{error}");
    let status =
        until_status(&informer, "the kind is absent", |status| status.phase == Phase::Absent).await?;
    ensure!(!status.synced && status.stale_since.is_some(), "{status:?}");

    crds::install(ctx.client.clone(), &widgets).await?;
    let installed = Instant::now();
    write(ctx, &widgets, "one", json!(1)).await?;
    synced(&informer).await?;
    // Asked for every 8 to 10 s; the rest is for a busy machine.
    ensure!(installed.elapsed().as_secs() < 20, "it took {:?}", installed.elapsed());
    until(&informer, "the first widget is there", |view| view.len() == 1).await?;
    ensure!(next(&mut changes).await?.is_initial(), "no first batch");
    let status = until_status(&informer, "it is current", |status| status.stale_since.is_none()).await?;
    ensure!(status.failures == 0 && status.synced, "{status:?}");
    informer.shutdown().await;
    delete(ctx, &widgets).await
}

/// Its objects go first, which the server tells; then there is nothing to watch.
pub(super) async fn a_kind_that_goes_is_absent_until_it_comes_back(ctx: &Ctx) -> Result<()> {
    let widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    crds::install(ctx.client.clone(), &widgets).await?;
    write(ctx, &widgets, "one", json!(1)).await?;
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    let informer = Informer::builder_with(api, widgets.resource.clone()).start();
    ensure!(synced(&informer).await?.len() == 1, "not one widget");
    delete(ctx, &widgets).await?;
    let status =
        until_status(&informer, "the kind is absent", |status| status.phase == Phase::Absent).await?;
    ensure!(status.synced && status.stale_since.is_some(), "{status:?}");
    ensure!(status.last_error.is_some_and(|error| error.is_kind_absent()), "for another reason");
    ensure!(informer.is_synced(), "no longer synced");
    timeout(SOON, informer.synced_or_blocked()).await.context("it is blocked, after it has synced")??;

    crds::install(ctx.client.clone(), &widgets).await?;
    write(ctx, &widgets, "two", json!(2)).await?;
    let key = |name: &'static str| (ctx.namespace.clone(), name);
    let snapshot = until(&informer, "it has come back", |view| view.get(key("two")).is_some()).await?;
    ensure!(snapshot.get(key("one")).is_none() && snapshot.len() == 1, "what was before is still there");
    until_status(&informer, "it is current", |status| status.stale_since.is_none()).await?;
    informer.shutdown().await;
    delete(ctx, &widgets).await
}

/// Its objects are gone with it, unseen; it comes back with another schema.
pub(super) async fn a_vanished_kind_is_given_up_where_that_was_asked_for(ctx: &Ctx) -> Result<()> {
    let widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    crds::install(ctx.client.clone(), &widgets).await?;
    write(ctx, &widgets, "one", json!(1)).await?;
    write(ctx, &widgets, "two", json!(2)).await?;
    let wire = Wire::default();
    let api = || {
        let client = wire.client(ctx.client.clone());
        Api::<Widget>::namespaced_with(client, &ctx.namespace, &widgets.resource)
    };
    let keeping = Informer::builder_with(api(), widgets.resource.clone()).start();
    let emptying = Informer::builder_with(api(), widgets.resource.clone())
        .config(Config::new().absent(Absent::Clear))
        .start();
    let mut changes = emptying.subscribe();
    synced(&keeping).await?;
    ensure!(next(&mut changes).await?.changes().count() == 2, "not two widgets");

    wire.cut();
    delete(ctx, &widgets).await?;
    let objects = Api::<DynamicObject>::all_with(ctx.client.clone(), &widgets.resource);
    wait_until("the kind is not served", async || {
        Ok(matches!(objects.list(&Default::default()).await, Err(kube_client::Error::Api(status)) if status.code == 404))
    })
    .await?;
    wire.mend();
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(told == [Seen::Deleted(pair("one", 1)), Seen::Deleted(pair("two", 2))], "{told:?}");
    // It was absent before it was given up.
    let status = until_status(&emptying, "it is known to be absent", |status| {
        status.phase == Phase::Absent && status.stale_since.is_none()
    })
    .await?;
    ensure!(status.synced && emptying.stats().resource_version.is_none(), "{status:?}");
    let status = until_status(&keeping, "it is absent", |status| status.phase == Phase::Absent).await?;
    ensure!(keeping.snapshot().len() == 2 && status.stale_since.is_some(), "{status:?}");

    crds::install(ctx.client.clone(), &widgets).await?;
    write(ctx, &widgets, "two", json!(22)).await?;
    write(ctx, &widgets, "three", json!("of another schema")).await?;
    for informer in [&keeping, &emptying] {
        until(informer, "it has come back", |view| view.len() == 1 && view.invalid_len() == 1).await?;
        until_status(informer, "it is current", |status| status.stale_since.is_none()).await?;
        ensure!(
            informer.get((&ctx.namespace, "two")).is_some_and(|two| two.spec.replicas == 22),
            "not the new one"
        );
    }
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(told == [Seen::Added(pair("two", 22))], "{told:?}");
    keeping.shutdown().await;
    emptying.shutdown().await;
    delete(ctx, &widgets).await
}

/// A version that is no longer served is no kind that has vanished: its objects are there, in another version.
pub(super) async fn an_unserved_version_keeps_its_state_whatever_was_asked_for(ctx: &Ctx) -> Result<()> {
    let mut widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    let versions = &mut widgets.definition.spec.versions;
    versions.push(versions[0].clone());
    versions[1].name = "v2".to_owned();
    versions[0].storage = false;
    crds::install(ctx.client.clone(), &widgets).await?;
    write(ctx, &widgets, "one", json!(1)).await?;
    let api = Api::<Widget>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    let informer = Informer::builder_with(api, widgets.resource.clone())
        .config(Config::new().absent(Absent::Clear))
        .start();
    synced(&informer).await?;
    serve_first_version(ctx, &widgets, false).await?;
    until_status(&informer, "it is absent", |status| status.phase == Phase::Absent).await?;
    // Each poll, of which there are some in half a minute, is followed by a discovery.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let status = informer.status();
    ensure!(status.phase == Phase::Absent && status.stale_since.is_some(), "{status:?}");
    ensure!(informer.snapshot().len() == 1, "it was given up");
    serve_first_version(ctx, &widgets, true).await?;
    until_status(&informer, "it is current", |status| status.stale_since.is_none()).await?;
    ensure!(informer.snapshot().len() == 1, "it has not come back");
    informer.shutdown().await;
    delete(ctx, &widgets).await
}

async fn serve_first_version(ctx: &Ctx, crd: &Crd, served: bool) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(ctx.client.clone());
    let patch: json_patch::Patch = serde_json::from_value(
        json!([{ "op": "replace", "path": "/spec/versions/0/served", "value": served }]),
    )?;
    let name = crd.definition.metadata.name.as_deref().unwrap_or_default();
    definitions.patch(name, &PatchParams::default(), &Patch::Json::<()>(patch)).await?;
    Ok(())
}

/// A default that the definition gets alters objects and not their versions; no watch tells.
pub(super) async fn a_refresh_shows_what_changed_at_an_unchanged_version(ctx: &Ctx) -> Result<()> {
    let mut widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    let schema = |default: serde_json::Value| {
        json!({ "openAPIV3Schema": { "type": "object", "properties": { "spec": {
            "type": "object", "properties": { "replicas": { "type": "integer", "default": default } },
        }}}})
    };
    widgets.definition.spec.versions[0].schema = Some(serde_json::from_value(schema(json!(1)))?);
    crds::install(ctx.client.clone(), &widgets).await?;
    let objects =
        Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    let bare = DynamicObject::new("one", &widgets.resource).data(json!({ "spec": {} }));
    wait_until("the default is in force", async || {
        objects.create(&PostParams::default(), &bare).await?;
        let created = objects.get("one").await?;
        let right = created.data["spec"]["replicas"] == 1;
        if !right {
            objects.delete("one", &Default::default()).await?;
        }
        Ok(right)
    })
    .await?;
    let api = Api::<Widget>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    let mut informer = Informer::builder_with(api, widgets.resource.clone());
    let by_replicas = informer.index(|widget: &Widget| widget.spec.replicas);
    let informer = informer.start();
    let before = synced(&informer).await?;
    ensure!(before.by_index(&by_replicas, &1).len() == 1, "not the first default");

    let definitions = Api::<CustomResourceDefinition>::all(ctx.client.clone());
    let name = widgets.definition.metadata.name.clone().unwrap_or_default();
    let extra = json!({ "spec": { "versions": [{
        "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
        "schema": { "openAPIV3Schema": { "type": "object", "properties": {
            "spec": { "type": "object", "properties": {
                "replicas": { "type": "integer", "default": 1 },
                "size": { "type": "string", "default": "large" },
            }},
        }}},
    }]}});
    let sized = informer.add_index(|widget: &Widget| widget.spec.size.clone()).await?;
    definitions.patch(&name, &PatchParams::default(), &Patch::Merge(extra)).await?;
    let mut changes = informer.subscribe();
    next(&mut changes).await?;
    wait_until("the new default shows after a refresh", async || {
        let snapshot = timeout(SOON, informer.refresh()).await??;
        Ok(snapshot.by_index(&sized, "large").len() == 1)
    })
    .await?;
    let (old, new) = (before.iter().next().context("it was there")?, informer.get((&ctx.namespace, "one")));
    let new = new.context("it is gone")?;
    ensure!(Obj::resource_version(old) == Obj::resource_version(&new), "its version has changed");
    ensure!(old.spec.size.is_none(), "a held snapshot has changed");
    ensure!(
        matches!(next(&mut changes).await?.changes().next(), Some(Change::Modified { .. })),
        "nobody was told"
    );
    informer.shutdown().await;
    delete(ctx, &widgets).await
}

/// Nothing is all there is of it, and what comes is new.
pub(super) async fn an_optional_kind_is_done_without_until_it_comes(ctx: &Ctx) -> Result<()> {
    let widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    let api = Api::<Widget>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    let informer = Informer::builder_with(api, widgets.resource.clone())
        .config(Config::new().absent(Absent::Empty))
        .start();
    let mut changes = informer.subscribe();
    timeout(SOON, informer.synced_or_blocked()).await.context("neither synced nor blocked")??;
    let first = next(&mut changes).await?;
    ensure!(first.is_initial() && first.changes().count() == 0, "something of nothing");
    let status = until_status(&informer, "it is absent", |status| status.phase == Phase::Absent).await?;
    ensure!(status.stale_since.is_none() && status.failures == 0, "{status:?}");
    let by_replicas = timeout(SOON, informer.add_index(|widget: &Widget| widget.spec.replicas)).await??;
    crds::install(ctx.client.clone(), &widgets).await?;
    write(ctx, &widgets, "one", json!(1)).await?;
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(told == [Seen::Added(pair("one", 1))], "{told:?}");
    ensure!(informer.read(|view| view.by_index(&by_replicas, &1).len()) == 1, "not in the index");
    informer.shutdown().await;
    delete(ctx, &widgets).await
}

/// Takes a definition away again.
pub(super) async fn delete(ctx: &Ctx, crd: &Crd) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(ctx.client.clone());
    definitions
        .delete(crd.definition.metadata.name.as_deref().unwrap_or_default(), &Default::default())
        .await?;
    Ok(())
}

pub(super) async fn an_invalid_object_harms_only_itself_and_heals(ctx: &Ctx) -> Result<()> {
    let widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    crds::install(ctx.client.clone(), &widgets).await?;
    for streaming in [true, false] {
        is_invalid_and_heals(ctx, &widgets, streaming)
            .await
            .with_context(|| format!("streaming {streaming}"))?;
    }
    delete(ctx, &widgets).await
}

async fn is_invalid_and_heals(ctx: &Ctx, widgets: &Crd, streaming: bool) -> Result<()> {
    const CONTENT: &str = "a-secret-value";
    write(ctx, widgets, "good", json!(1)).await?;
    write(ctx, widgets, "invalid", json!(CONTENT)).await?;
    let wire = Wire::default();
    if !streaming {
        wire.refuse_streaming_lists();
    }
    let api =
        Api::<Widget>::namespaced_with(wire.client(ctx.client.clone()), &ctx.namespace, &widgets.resource);
    let mut informer = Informer::builder_with(api, widgets.resource.clone());
    let by_replicas = informer.index(|widget: &Widget| widget.spec.replicas);
    let informer = informer.start();
    let mut changes = informer.subscribe();
    let first = seen(&next(&mut changes).await?, replicas)?;
    ensure!(first == [Seen::Added(pair("good", 1))], "{first:?}");

    let snapshot = informer.snapshot();
    let invalid: Vec<_> = snapshot.invalid().collect();
    let [invalid] = invalid[..] else { anyhow::bail!("invalid: {invalid:?}") };
    ensure!(
        invalid.key().is_some_and(|key| key.name() == "invalid" && key.namespace() == ctx.namespace),
        "{invalid}"
    );
    ensure!(invalid.path() == "spec.replicas", "at {:?}: {invalid}", invalid.path());
    let texts = format!("{invalid} {invalid:?} {:?} {:?}", informer.status(), informer.snapshot());
    ensure!(!texts.contains(CONTENT), "the content is in a text");
    let status = until_status(&informer, "it is followed", |status| status.phase == Phase::Watching).await?;
    ensure!(status.failures == 0 && status.stale_since.is_none(), "{status:?}");
    let stats = informer.stats();
    ensure!((stats.objects, stats.invalid_objects, stats.lists) == (1, 1, 1), "{stats:?}");

    // A valid object that becomes invalid keeps its last version; others follow; both recover.
    write(ctx, widgets, "good", json!({ "not": "a number" })).await?;
    until(&informer, "the other is invalid too", |view| view.invalid_len() == 2).await?;
    ensure!(
        informer.read(|view| view.by_index(&by_replicas, &1).len()) == 1,
        "the last good version is gone"
    );
    write(ctx, widgets, "new", json!(7)).await?;
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(told == [Seen::Added(pair("new", 7))], "{told:?}");
    write(ctx, widgets, "invalid", json!(2)).await?;
    write(ctx, widgets, "good", json!(3)).await?;
    let healed = until(&informer, "both have healed", |view| view.invalid_len() == 0).await?;
    ensure!(healed.invalid().len() == 0 && healed.by_index(&by_replicas, &1).len() == 0, "not quite");
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(
        told == [Seen::Added(pair("invalid", 2)), Seen::Modified(pair("good", 1), pair("good", 3))],
        "{told:?}"
    );
    ensure!(informer.stats().invalid_objects == 0, "still counted");

    // One that cannot be read is deleted like any other.
    write(ctx, widgets, "new", json!(null)).await?;
    until(&informer, "it is invalid", |view| view.invalid_len() == 1).await?;
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    api.delete("new", &Default::default()).await?;
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(told == [Seen::Deleted(pair("new", 7))], "{told:?}");
    ensure!(informer.snapshot().invalid_len() == 0, "it is still invalid");
    ensure!(informer.stats().lists == 1, "it took another list");
    informer.shutdown().await;
    api.delete_collection(&Default::default(), &Default::default()).await?;
    Ok(())
}

/// The API server makes these up at each list: neither they nor their list have a version, and they cannot be watched.
pub(super) async fn a_kind_without_versions_is_polled(ctx: &Ctx) -> Result<()> {
    let every = Config::new().poll_interval(Duration::from_secs(1));
    let components = Informer::<ComponentStatus>::builder(Api::all(ctx.client.clone())).config(every).start();
    let first = synced(&components).await?;
    ensure!(first.resource_version().is_none() && !first.is_empty(), "{first:?}");
    let polled = until_status(&components, "it is polled", |status| status.phase == Phase::Polling).await?;
    ensure!(polled.unversioned, "{polled:?}");

    let listed = components.stats().lists;
    wait_until("it is listed again", async || Ok(components.stats().lists > listed)).await?;
    let later = components.snapshot();
    for old in first.iter() {
        let new = later.get(Obj::key(old)).context("a component is gone")?;
        // Health may have changed; what has not keeps its allocation.
        ensure!(
            old.conditions != new.conditions || Obj::ptr_eq(old, new),
            "{} is decoded again",
            Obj::name(new)
        );
    }
    components.shutdown().await;
    Ok(())
}
