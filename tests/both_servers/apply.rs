//! Server-side apply, as controllers use it through kube's client.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube_client::{
    Api, Error,
    api::{Patch, PatchParams, PostParams},
};
use kube_core::{DynamicObject, Resource, response::Status};
use serde_json::{Value, json};

use crate::support::{crds, world::Ctx};

pub(super) async fn an_apply_creates_then_merges(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let created = apply(&api, "one", json!({ "a": "1", "b": "2" })).await?;
    ensure!(created.metadata.uid.is_some(), "no uid");
    let again = apply(&api, "one", json!({ "a": "1", "b": "2" })).await?;
    ensure!(again.meta().resource_version == created.meta().resource_version, "the same apply was a change");

    let other = apply(&api, "two", json!({ "c": "3" })).await?;
    ensure!(keys(&other) == ["a", "b", "c"], "{:?}", keys(&other));
    // What one no longer applies goes, unless another owns it.
    apply(&api, "two", json!({ "b": "2", "c": "3" })).await?;
    let less = apply(&api, "one", json!({})).await?;
    ensure!(keys(&less) == ["b", "c"], "{:?}", keys(&less));
    Ok(())
}

pub(super) async fn a_conflict_names_the_manager_and_the_field(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    apply(&api, "one", json!({ "a": "1", "b": "2" })).await?;
    let status = refusal(apply(&api, "two", json!({ "a": "9", "c": "3" })).await)?;
    ensure!((status.code, status.reason.as_str()) == (409, "Conflict"), "{} {}", status.code, status.reason);
    ensure!(
        status.message == "Apply failed with 1 conflict: conflict with \"one\": .data.a",
        "{}",
        status.message
    );
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    let causes: Vec<(&str, &str)> =
        causes.iter().map(|cause| (cause.reason.as_str(), cause.field.as_str())).collect();
    ensure!(causes == [("FieldManagerConflict", ".data.a")], "{causes:?}");
    ensure!(keys(&api.get("object").await?) == ["a", "b"], "a refused apply wrote something");

    let params = PatchParams::apply("two").force();
    api.patch("object", &params, &Patch::Apply(map(json!({ "a": "9" })))).await?;
    let status = refusal(apply(&api, "one", json!({ "a": "1", "b": "2" })).await)?;
    ensure!(status.message.ends_with("conflict with \"two\": .data.a"), "{}", status.message);
    Ok(())
}

pub(super) async fn an_update_takes_the_fields_it_changes(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    apply(&api, "one", json!({ "a": "1", "b": "2" })).await?;
    let params = PatchParams { field_manager: Some("editor".to_owned()), ..PatchParams::default() };
    api.patch("object", &params, &Patch::Merge(json!({ "data": { "a": "5", "b": "2" } }))).await?;
    let status = refusal(apply(&api, "one", json!({ "a": "1", "b": "2" })).await)?;
    ensure!(status.message.ends_with("conflict with \"editor\" using v1: .data.a"), "{}", status.message);
    // It no longer owns the field, so it does not remove it either.
    let left = apply(&api, "one", json!({})).await?;
    ensure!(keys(&left) == ["a"], "{:?}", keys(&left));
    Ok(())
}

pub(super) async fn containers_and_their_environment_merge_by_name(ctx: &Ctx) -> Result<()> {
    let api = Api::<Pod>::namespaced(ctx.client.clone(), &ctx.namespace);
    let pod = |containers: Value| {
        Patch::Apply(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "pod" }, "spec": { "containers": containers },
        }))
    };
    let app = json!([{ "name": "app", "image": "app:1", "env": [{ "name": "A", "value": "1" }] }]);
    api.patch("pod", &PatchParams::apply("one"), &pod(app)).await?;
    let image = json!([{ "name": "app", "image": "app:2" }]);
    let patched = api.patch("pod", &PatchParams::apply("two").force(), &pod(image)).await?;
    let spec = patched.spec.context("no spec")?;
    let [app] = spec.containers.as_slice() else { anyhow::bail!("{} containers", spec.containers.len()) };
    ensure!(app.image.as_deref() == Some("app:2"), "{:?}", app.image);
    ensure!(app.env.as_ref().is_some_and(|env| env.len() == 1), "the other manager's variable is gone");
    Ok(())
}

pub(super) async fn a_status_is_applied_apart(ctx: &Ctx) -> Result<()> {
    let widgets = crds::widgets("apply.example.com");
    crds::install(ctx.client.clone(), &widgets).await?;
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &ctx.namespace, &widgets.resource);
    let both = |spec: u32, status: u32| {
        let data = json!({ "spec": { "x": spec }, "status": { "x": status } });
        Patch::Apply(DynamicObject::new("w", &widgets.resource).data(data))
    };
    let absent = api.patch_status("w", &PatchParams::apply("one"), &both(1, 1)).await;
    ensure!(refusal(absent)?.code == 404, "the status of an absent object was applied");

    let created = api.patch("w", &PatchParams::apply("one"), &both(1, 1)).await?;
    ensure!(created.data.get("status").is_none(), "an apply of the object wrote its status");
    let status = api.patch_status("w", &PatchParams::apply("one"), &both(2, 2)).await?;
    ensure!(status.data["spec"]["x"] == 1 && status.data["status"]["x"] == 2, "{}", status.data);
    ensure!(status.metadata.generation == Some(1), "{:?}", status.metadata.generation);
    let spec = api.patch("w", &PatchParams::apply("one"), &both(3, 3)).await?;
    ensure!(spec.data["spec"]["x"] == 3 && spec.data["status"]["x"] == 2, "{}", spec.data);
    ensure!(spec.metadata.generation == Some(2), "{:?}", spec.metadata.generation);
    Ok(())
}

pub(super) async fn an_apply_needs_a_manager(ctx: &Ctx) -> Result<()> {
    let path = format!("/api/v1/namespaces/{}/configmaps/object", ctx.namespace);
    let request = http::Request::patch(path)
        .header("content-type", "application/apply-patch+yaml")
        .body(serde_json::to_vec(&map(json!({})))?)?;
    let status = refusal(ctx.client.request::<Value>(request).await)?;
    ensure!(status.code == 422, "{}", status.code);
    ensure!(status.message.contains("fieldManager: Required value"), "{}", status.message);
    Ok(())
}

pub(super) async fn the_texts_of_a_secret_become_its_data(ctx: &Ctx) -> Result<()> {
    let api = Api::<Secret>::namespaced(ctx.client.clone(), &ctx.namespace);
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": "secret" }, "type": "Opaque",
        "data": { "a": "MQ==" }, "stringData": { "a": "one", "b": "two" },
    }))?;
    let created = api.create(&PostParams::default(), &secret).await?;
    ensure!(created.string_data.is_none(), "the texts were stored");
    let texts = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "secret" }, "stringData": { "c": "three" },
    }));
    let patched = api.patch("secret", &PatchParams::apply("one"), &texts).await?;
    ensure!(patched.string_data.is_none(), "the applied texts were stored");
    let data = patched.data.unwrap_or_default();
    let texts: Vec<(&str, &[u8])> =
        data.iter().map(|(name, bytes)| (name.as_str(), bytes.0.as_slice())).collect();
    ensure!(texts == [("a", b"one" as &[u8]), ("b", b"two"), ("c", b"three")], "other data");
    Ok(())
}

pub(super) async fn a_name_is_generated(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let prefix = "a-prefix-that-is-longer-than-fifty-eight-characters-in-total-".to_owned();
    let mut object = ConfigMap::default();
    object.metadata.generate_name = Some(prefix.clone());
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(api.create(&PostParams::default(), &object).await?.metadata.name.context("no name")?);
    }
    for name in &names {
        let (start, end) = name.split_at(58);
        ensure!(prefix.starts_with(start) && end.len() == 5, "{name}");
        ensure!(end.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)), "{name}");
    }
    names.sort();
    names.dedup();
    ensure!(names.len() == 3, "a name was given twice");
    Ok(())
}

fn map(data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "object" }, "data": data })
}

async fn apply(api: &Api<ConfigMap>, manager: &str, data: Value) -> Result<ConfigMap, Error> {
    api.patch("object", &PatchParams::apply(manager), &Patch::Apply(map(data))).await
}

fn keys(map: &ConfigMap) -> Vec<&str> {
    map.data.iter().flatten().map(|(key, _)| key.as_str()).collect()
}

fn refusal<T>(result: Result<T, Error>) -> Result<Box<Status>> {
    match result {
        Err(Error::Api(status)) => Ok(status),
        Err(other) => Err(other.into()),
        Ok(_) => anyhow::bail!("it was not refused"),
    }
}
