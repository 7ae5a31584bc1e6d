//! Objects that the cases create, change and delete.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube_client::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kube_informer::Obj;
use serde_json::{Value, json};

/// As many requests in flight are enough to keep either server busy.
const AT_ONCE: usize = 8;

/// A ConfigMap with this metadata besides its name, and this value.
pub(crate) fn config_map(name: &str, metadata: Value, value: &str) -> Result<ConfigMap> {
    let mut object = json!({ "metadata": metadata, "data": { "value": value } });
    object["metadata"]["name"] = name.into();
    Ok(serde_json::from_value(object)?)
}

/// Creates one without labels.
pub(crate) async fn create(api: &Api<ConfigMap>, name: &str, value: &str) -> Result<ConfigMap> {
    Ok(api.create(&PostParams::default(), &config_map(name, json!({}), value)?).await?)
}

/// Creates `count` of them, `object-0000` and up, each with its number as value.
pub(crate) async fn create_many(api: &Api<ConfigMap>, count: usize) -> Result<()> {
    let created = stream::iter(0..count).map(|number| async move {
        create(api, &format!("object-{number:04}"), &number.to_string()).await.map(drop)
    });
    created.buffer_unordered(AT_ONCE).try_collect().await
}

/// Gives one another value.
pub(crate) async fn set_value(api: &Api<ConfigMap>, name: &str, value: &str) -> Result<ConfigMap> {
    merge(api, name, json!({ "data": { "value": value } })).await
}

/// Merges a patch into one.
pub(crate) async fn merge(api: &Api<ConfigMap>, name: &str, patch: Value) -> Result<ConfigMap> {
    Ok(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?)
}

/// Creates a namespace.
pub(crate) async fn create_namespace(api: &Api<Namespace>, name: &str) -> Result<()> {
    let object: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// The value one was given; empty for those that are not ours.
pub(crate) fn value(map: &ConfigMap) -> &str {
    map.data.as_ref().and_then(|data| data.get("value")).map_or("", String::as_str)
}

/// Name and value.
pub(crate) fn named(map: &Obj<ConfigMap>) -> (String, String) {
    (Obj::name(map).to_owned(), value(map).to_owned())
}
