//! Kinds that come and go, and objects that are not what their kind promises.

use std::borrow::Cow;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_client::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kube_core::{ApiResource, DynamicObject, DynamicResourceScope, ObjectMeta, Resource};
use kube_informer::{Informer, Obj, Phase};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{
    crds::{self, Crd},
    follow::{SOON, Seen, next, seen, synced, until, until_status},
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
}

/// Its group differs from case to case.
impl Resource for Widget {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.kind)
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.group)
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.version)
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.plural)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

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

/// Takes a definition away again.
pub(super) async fn delete(ctx: &Ctx, crd: &Crd) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(ctx.client.clone());
    definitions
        .delete(crd.definition.metadata.name.as_deref().unwrap_or_default(), &Default::default())
        .await?;
    Ok(())
}

pub(super) async fn a_bad_object_harms_only_itself_and_heals(ctx: &Ctx) -> Result<()> {
    let widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    crds::install(ctx.client.clone(), &widgets).await?;
    for streaming in [true, false] {
        is_bad_and_heals(ctx, &widgets, streaming).await.with_context(|| format!("streaming {streaming}"))?;
    }
    delete(ctx, &widgets).await
}

async fn is_bad_and_heals(ctx: &Ctx, widgets: &Crd, streaming: bool) -> Result<()> {
    const CONTENT: &str = "a-secret-value";
    write(ctx, widgets, "good", json!(1)).await?;
    write(ctx, widgets, "bad", json!(CONTENT)).await?;
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
    let bad: Vec<_> = snapshot.bad().collect();
    let [bad] = bad[..] else { anyhow::bail!("bad: {bad:?}") };
    ensure!(bad.key().is_some_and(|key| key.name() == "bad" && key.namespace() == ctx.namespace), "{bad}");
    ensure!(bad.path() == "spec.replicas", "at {:?}: {bad}", bad.path());
    let texts = format!("{bad} {bad:?} {:?} {:?}", informer.status(), informer.snapshot());
    ensure!(!texts.contains(CONTENT), "the content is in a text");
    let status = until_status(&informer, "it is counted", |status| {
        status.bad_objects == 1 && status.phase == Phase::Watching
    })
    .await?;
    ensure!(status.objects == 1 && status.failures == 0 && status.stale_since.is_none(), "{status:?}");
    ensure!(status.lists == 1, "{status:?}");

    // A good one that turns bad stays as it was; others go on; both heal.
    write(ctx, widgets, "good", json!({ "not": "a number" })).await?;
    until(&informer, "the other is bad too", |view| view.bad_len() == 2).await?;
    ensure!(informer.read(|view| view.find(&by_replicas, &1).len()) == 1, "the last good version is gone");
    write(ctx, widgets, "new", json!(7)).await?;
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(told == [Seen::Added(pair("new", 7))], "{told:?}");
    write(ctx, widgets, "bad", json!(2)).await?;
    write(ctx, widgets, "good", json!(3)).await?;
    let healed = until(&informer, "both have healed", |view| view.bad_len() == 0).await?;
    ensure!(healed.bad().len() == 0 && healed.find(&by_replicas, &1).len() == 0, "not quite");
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(
        told == [Seen::Added(pair("bad", 2)), Seen::Modified(pair("good", 1), pair("good", 3))],
        "{told:?}"
    );
    until_status(&informer, "none is counted", |status| status.bad_objects == 0).await?;

    // One that cannot be read is deleted like any other.
    write(ctx, widgets, "new", json!(null)).await?;
    until(&informer, "it is bad", |view| view.bad_len() == 1).await?;
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    api.delete("new", &Default::default()).await?;
    let told = seen(&next(&mut changes).await?, replicas)?;
    ensure!(told == [Seen::Deleted(pair("new", 7))], "{told:?}");
    ensure!(informer.snapshot().bad_len() == 0, "it is still bad");
    ensure!(informer.status().lists == 1, "it took another list");
    informer.shutdown().await;
    api.delete_collection(&Default::default(), &Default::default()).await?;
    Ok(())
}
