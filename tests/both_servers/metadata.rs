//! Informers that ask for metadata alone.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{
    Api, Client,
    api::{PostParams, TypeMeta},
};
use kube_core::{ApiResource, DynamicObject, ObjectMeta, Resource, metadata::PartialObjectMeta};
use kube_informer::{Informer, Obj, builder::Builder, index};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::support::{
    dynamic::dynamic_resource,
    follow::{synced, until},
    objects::{config_map, create, merge},
    wire::Wire,
    world::Ctx,
};

/// Everything that the server sends for an object of which metadata is asked for.
#[derive(Clone, Debug, Deserialize)]
struct Raw {
    metadata: ObjectMeta,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

dynamic_resource!(
    Raw,
    fn metadata_api() -> bool {
        true
    }
);

pub(super) async fn metadata_alone_is_asked_for_and_indexed(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let owner = create(&direct, "owner", "0").await?;
    let uid = owner.metadata.uid.context("no uid")?;
    let resource = ApiResource::erase::<ConfigMap>(&());
    for streaming in [true, false] {
        type Dynamic = PartialObjectMeta<DynamicObject>;
        type Typed = PartialObjectMeta<ConfigMap>;
        let dynamic = |client: Client| {
            let api = Api::<Dynamic>::namespaced_with(client, &ctx.namespace, &resource);
            Informer::builder_with(api, resource.clone())
        };
        let types = |of: &Option<TypeMeta>| of.clone().map(|types| (types.api_version, types.kind));
        is_indexed(ctx, &uid, streaming, dynamic, |object| types(&object.types))
            .await
            .with_context(|| format!("of any kind, streaming {streaming}"))?;
        let typed = |client: Client| Informer::builder(Api::<Typed>::namespaced(client, &ctx.namespace));
        is_indexed(ctx, &uid, streaming, typed, |object| types(&object.types))
            .await
            .with_context(|| format!("of a known kind, streaming {streaming}"))?;
        let raw = |client: Client| {
            let api = Api::<Raw>::namespaced_with(client, &ctx.namespace, &resource);
            Informer::builder_with(api, resource.clone())
        };
        let nothing_else = |object: &Raw| {
            let text = |name: &str| object.rest.get(name).and_then(Value::as_str).map(str::to_owned);
            text("apiVersion").zip(text("kind")).filter(|_| object.rest.len() == 2)
        };
        is_indexed(ctx, &uid, streaming, raw, nothing_else)
            .await
            .with_context(|| format!("raw, streaming {streaming}"))?;
    }
    Ok(())
}

/// One that was listed, one that is created and one that is changed while it watches; `types` finds the
/// apiVersion and kind of an object, if there is nothing but these and its metadata.
async fn is_indexed<K>(
    ctx: &Ctx,
    owner: &str,
    streaming: bool,
    builder: impl FnOnce(Client) -> Builder<K, K>,
    types: impl Fn(&K) -> Option<(String, String)>,
) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
{
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let owned = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner }]);
    let metadata = json!({ "labels": { "app": "web" }, "ownerReferences": owned });
    let create = async |name: &str| {
        direct.create(&PostParams::default(), &config_map(name, metadata.clone(), "some content")?).await?;
        anyhow::Ok(())
    };
    create("listed").await?;
    create("changed").await?;
    let wire = Wire::default();
    if !streaming {
        wire.refuse_streaming_lists();
    }
    let mut maps = builder(wire.client(ctx.client.clone()));
    let by_app = maps.index(index::label("app"));
    let by_owner = maps.index(index::owner_uid());
    let maps = maps.start();
    let snapshot = synced(&maps).await?;
    ensure!(snapshot.len() == 3 && snapshot.invalid_len() == 0, "{snapshot:?}");
    create("watched").await?;
    merge(&direct, "changed", json!({ "metadata": { "labels": { "app": "db" } } })).await?;
    let snapshot = until(&maps, "both changes are there", |view| {
        view.len() == 4 && view.by_index(&by_app, "db").len() == 1
    })
    .await?;
    ensure!(snapshot.by_index(&by_app, "web").map(Obj::name).eq(["listed", "watched"]), "by label");
    ensure!(
        snapshot.by_index(&by_owner, owner).map(Obj::name).eq(["changed", "listed", "watched"]),
        "by owner"
    );
    let both = snapshot.by_index(&by_owner, owner).and(snapshot.by_index(&by_app, "web"));
    ensure!(both.select(&"app!=db".parse()?).count() == 2, "by both");
    for object in &snapshot {
        let of = types(object);
        let expected = ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata".to_owned());
        ensure!(of.as_ref() == Some(&expected), "{}: {of:?}", Obj::key(object));
        let stored = direct.get(Obj::name(object)).await?;
        let meta = object.meta();
        ensure!(meta.uid == stored.metadata.uid && meta.labels == stored.metadata.labels, "other metadata");
        ensure!(meta.resource_version == stored.metadata.resource_version, "another version");
    }

    // It was asked for, not filtered out here.
    let sent = wire.sent();
    ensure!(!sent.is_empty(), "nothing was asked");
    for sent in &sent {
        let of = if sent.is_list() { "as=PartialObjectMetadataList;" } else { "as=PartialObjectMetadata;" };
        ensure!(sent.accept.contains(of), "{sent:?}");
    }
    maps.shutdown().await;
    for name in ["listed", "changed", "watched"] {
        direct.delete(name, &Default::default()).await?;
    }
    Ok(())
}
