//! Informers that the parts of a program share.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{
    Api,
    api::{DeleteParams, PostParams},
};
use kube_core::DynamicObject;
use kube_informer::{Absent, Change, Config, Obj, Phase, Registry, Scope, Stored, registry::Projected};
use tokio::time::timeout;

use super::kinds::delete;
use crate::support::{
    crds,
    follow::{SOON, next, until, until_status},
    objects::{create, value},
    wire::Wire,
    world::Ctx,
};

/// What the parts keep of a ConfigMap.
struct Text(String);

impl Stored for Text {
    type Object = ConfigMap;

    fn project(map: ConfigMap) -> Projected<Self> {
        Ok(Some(Self(value(&map).to_owned())))
    }
}

/// Two parts that want the same ConfigMaps, one of which could do with a kind that is not there yet.
pub(super) async fn shared_informers_sync_without_an_optional_kind_that_comes_later(ctx: &Ctx) -> Result<()> {
    let maps = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&maps, "a", "one").await?;
    create(&maps, "b", "two").await?;
    let widgets = crds::widgets(&format!("{}.test", ctx.namespace));
    let wire = Wire::default();
    let registry = Registry::new(wire.client(ctx.client.clone()));
    let here = || Scope::namespace(&ctx.namespace);

    let one = registry.declare_in::<Text>(here());
    let by_text = one.index(|text: &Text| text.0.clone())?;
    let other = registry.declare_in::<Text>(here());
    let by_length = other.index(|text: &Text| text.0.len())?;
    let optional = registry.declare_with::<DynamicObject>(here(), widgets.resource.clone());
    optional.config(Config::new().absent(Absent::Empty))?;
    other.after(&optional)?;
    ensure!(registry.not_synced().len() == 2, "{registry:?}");
    registry.start();
    timeout(SOON, registry.synced_or_blocked())
        .await
        .with_context(|| format!("not synced: {registry:?}"))??;
    ensure!(registry.not_synced().is_empty(), "{registry:?}");
    let snapshot = one.informer().snapshot();
    ensure!(snapshot.by_index(&by_text, "one").len() == 1, "the first part's index lacks it");
    ensure!(snapshot.by_index(&by_length, &3).len() >= 2, "the second part's index lacks them");
    let lists = wire.count(|sent| sent.path.ends_with("/configmaps") && !sent.is_watch());
    ensure!(lists == 1, "{lists} lists for two parts: {:?}", wire.sent());
    let widget = optional.informer();
    until_status(&widget, "the kind is absent", |status| status.phase == Phase::Absent).await?;
    let mut changes = widget.subscribe();
    let first = next(&mut changes).await?;
    ensure!(first.is_initial() && first.changes().next().is_none(), "there is something");

    crds::install(ctx.client.clone(), &widgets).await?;
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    api.create(&PostParams::default(), &DynamicObject::new("w", &widgets.resource)).await?;
    let batch = next(&mut changes).await?;
    let change = batch.changes().next().context("no change")?;
    ensure!(matches!(change, Change::Added(widget) if Obj::name(widget) == "w"), "{change:?}");
    create(&maps, "c", "three").await?;
    until(&other.informer(), "both parts see it", |view| view.by_index(&by_text, "three").len() == 1).await?;

    registry.shutdown().await;
    ensure!(one.informer().status().phase == Phase::Stopped, "it still runs");
    api.delete("w", &DeleteParams::default()).await?;
    delete(ctx, &widgets).await
}
