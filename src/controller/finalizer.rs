//! Cleanup before an object is deleted.

use std::fmt::Debug;

use http::header::CONTENT_TYPE;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_client::Api;
use kube_core::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::context::Context;
use crate::object::Obj;
use crate::queue::Action;

/// What a reconcile with a finalizer has to do.
pub enum Event<K> {
    /// Bring the world to the state that the object asks for. The object has the finalizer.
    Apply(Obj<K>),
    /// Clean up: the object is being deleted, and is gone once this succeeds.
    Cleanup(Obj<K>),
}

/// The reason why [`finalizer`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinalizerError<E: std::error::Error + 'static> {
    /// The closure failed for [`Event::Apply`].
    #[error("the object could not be applied")]
    Apply(#[source] E),
    /// The closure failed for [`Event::Cleanup`]; the finalizer stays.
    #[error("the object could not be cleaned up")]
    Cleanup(#[source] E),
    /// The finalizer could not be added, so nothing was applied.
    #[error("the finalizer could not be added")]
    Add(#[source] kube_client::Error),
    /// The finalizer could not be removed after the cleanup, which runs again.
    #[error("the finalizer could not be removed")]
    Remove(#[source] kube_client::Error),
}

/// Reconciles an object that needs cleanup before it is deleted: `kube::runtime::finalizer`, on [`Obj`]. Does not clone
/// the object.
///
/// | the object | what happens |
/// |---|---|
/// | has no finalizer of this name | it is added; that change leads to the next reconcile |
/// | has it | `reconcile(Event::Apply(..))` |
/// | has it and is being deleted | `reconcile(Event::Cleanup(..))`; then it is removed |
/// | is being deleted without it | nothing |
///
/// The finalizer is added before anything is applied, so no cleanup is missed. Both writes are JSON patches that fail
/// if the list of finalizers has changed since (the cache was behind), or if the object is another one of the same
/// name: the error is retried, and finalizers of others are never lost. `name` must be qualified, such as
/// `example.dev/cleanup`.
///
/// A controller with a predicate needs [`changed::finalizers`](super::changed::finalizers).
/// [`Context::finalizer`] also reports the writes to the controller, which spares a retry.
///
/// # Errors
///
/// See [`FinalizerError`]. An object that is gone when its finalizer is removed is no error.
///
/// # Cancel safety
///
/// If the call is dropped, the next one continues: `Apply` and `Cleanup` may run again, so they must be idempotent.
/// `Cleanup` also runs again if another change queues the key before the cache has received the delete.
///
/// ```
/// # use k8s_openapi::api::core::v1::ConfigMap;
/// # use kube_client::Api;
/// use kube_informer::controller::{Action, Context, Event, FinalizerError};
/// use kube_informer::Obj;
///
/// # struct Shared { maps: Api<ConfigMap> }
/// # async fn create(_: &ConfigMap) -> Result<Action, std::io::Error> { Ok(Action::await_change()) }
/// # async fn remove(_: &ConfigMap) -> Result<Action, std::io::Error> { Ok(Action::await_change()) }
/// async fn reconcile(map: Obj<ConfigMap>, ctx: Context<Shared>) -> Result<Action, FinalizerError<std::io::Error>> {
///     ctx.finalizer(&ctx.maps, "example.dev/cleanup", &map, async |event| match event {
///         Event::Apply(map) => create(&map).await,
///         Event::Cleanup(map) => remove(&map).await,
///     })
///     .await
/// }
/// ```
pub async fn finalizer<K, F, Fut, E>(
    api: &Api<K>,
    name: &str,
    object: &Obj<K>,
    reconcile: F,
) -> Result<Action, FinalizerError<E>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
    F: FnOnce(Event<K>) -> Fut,
    Fut: Future<Output = Result<Action, E>>,
    E: std::error::Error + 'static,
{
    finalize(api, name, object, reconcile, |_| {}).await
}

impl<C> Context<C> {
    /// [`finalizer`], which also reports its writes of the object ([`written`](Self::written)): so the next reconcile of
    /// the object sees the finalizer that this one added.
    ///
    /// # Errors
    ///
    /// As [`finalizer`].
    pub async fn finalizer<K, F, Fut, E>(
        &self,
        api: &Api<K>,
        name: &str,
        object: &Obj<K>,
        reconcile: F,
    ) -> Result<Action, FinalizerError<E>>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
        F: FnOnce(Event<K>) -> Fut,
        Fut: Future<Output = Result<Action, E>>,
        E: std::error::Error + 'static,
    {
        finalize(api, name, object, reconcile, |written| self.written(written)).await
    }
}

async fn finalize<K, F, Fut, E>(
    api: &Api<K>,
    name: &str,
    object: &Obj<K>,
    reconcile: F,
    written: impl FnOnce(&K),
) -> Result<Action, FinalizerError<E>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
    F: FnOnce(Event<K>) -> Fut,
    Fut: Future<Output = Result<Action, E>>,
    E: std::error::Error + 'static,
{
    let meta = object.meta();
    let present = meta.finalizers.iter().flatten().position(|finalizer| finalizer == name);
    match (present, meta.deletion_timestamp.is_some()) {
        (Some(_), false) => reconcile(Event::Apply(object.clone())).await.map_err(FinalizerError::Apply),
        (Some(at), true) => {
            let action = reconcile(Event::Cleanup(object.clone())).await.map_err(FinalizerError::Cleanup)?;
            let path = format!("/metadata/finalizers/{at}");
            let patch = json!([
                same_object(meta),
                { "op": "test", "path": path, "value": name },
                { "op": "remove", "path": path },
            ]);
            match patch_object(api, object, &patch).await {
                Err(kube_client::Error::Api(status)) if status.code == 404 => Ok(action),
                Err(error) => Err(FinalizerError::Remove(error)),
                Ok(object) => {
                    written(&object);
                    Ok(action)
                }
            }
        }
        (None, false) => {
            let finalizers = meta.finalizers.as_deref().filter(|finalizers| !finalizers.is_empty());
            let path = "/metadata/finalizers";
            let patch = match finalizers {
                // The API server takes a path that does not exist for null.
                None => json!([
                    same_object(meta),
                    { "op": "test", "path": path, "value": null },
                    { "op": "add", "path": path, "value": [name] },
                ]),
                Some(others) => json!([
                    same_object(meta),
                    { "op": "test", "path": path, "value": others },
                    { "op": "add", "path": format!("{path}/-"), "value": name },
                ]),
            };
            written(&patch_object(api, object, &patch).await.map_err(FinalizerError::Add)?);
            Ok(Action::await_change())
        }
        (None, true) => Ok(Action::await_change()),
    }
}

/// Fails for an object that replaced this one, or that has its name in another namespace.
fn same_object(meta: &ObjectMeta) -> Value {
    json!({ "op": "test", "path": "/metadata/uid", "value": meta.uid })
}

/// Sends a JSON patch. Not `Api::patch`, whose variant for JSON patches needs a feature of kube.
async fn patch_object<K>(api: &Api<K>, object: &Obj<K>, patch: &Value) -> Result<K, kube_client::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let url = format!("{}/{}", api.resource_url(), Obj::name(object));
    let body = serde_json::to_vec(patch).map_err(kube_client::Error::SerdeError)?;
    let request = http::Request::patch(url)
        .header(CONTENT_TYPE, "application/json-patch+json")
        .body(body)
        .map_err(kube_client::Error::HttpError)?;
    api.clone().into_client().request(request).await
}
