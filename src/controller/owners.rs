//! From an object to the object that controls it.

use std::any::TypeId;

use kube_core::Resource;

use crate::key::ObjectKey;
use crate::object::Obj;
use crate::subscribe::Change;

/// Returns the keys of the objects of kind `K` that control the changed object: before the change, and after it if that
/// is another one. For [`Subscription::keys`](crate::Subscription::keys), and for controllers whose informer stores a
/// projection; others use [`Controller::owns`](super::Controller::owns).
///
/// The controller is the one in `metadata.ownerReferences` with `controller: true`. Its group and kind must be those of
/// `K`; the version of the group does not matter. The owner of a namespaced object is in the same namespace, or
/// cluster-scoped, as `K` is. Allocates a key per owner.
///
/// ```
/// # use futures_util::{Stream, StreamExt};
/// # use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
/// # use kube_informer::{Informer, ObjectKey, controller::owners};
/// fn replica_sets_of(pods: &Informer<Pod>) -> impl Stream<Item = ObjectKey> {
///     pods.subscribe().keys(|change, _, emit| owners::<ReplicaSet, _>(change).for_each(emit))
/// }
/// ```
pub fn owners<K, O>(change: Change<'_, O>) -> impl Iterator<Item = ObjectKey>
where
    K: Resource<DynamicType: Default, Scope: 'static>,
    O: Resource,
{
    let before = change.old().and_then(|object| controller_of::<K, O>(object));
    let after = change.new().and_then(|object| controller_of::<K, O>(object));
    let after = after.filter(|after| before.as_ref() != Some(after));
    before.into_iter().chain(after)
}

fn controller_of<K, O>(object: &Obj<O>) -> Option<ObjectKey>
where
    K: Resource<DynamicType: Default, Scope: 'static>,
    O: Resource,
{
    let dyntype = K::DynamicType::default();
    let references = object.meta().owner_references.iter().flatten();
    let owner = references.filter(|owner| owner.controller == Some(true)).find(|owner| {
        let group = owner.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        owner.kind == K::kind(&dyntype) && group == K::group(&dyntype)
    })?;
    let cluster = TypeId::of::<K::Scope>() == TypeId::of::<k8s_openapi::ClusterResourceScope>();
    Some(ObjectKey::new(if cluster { "" } else { Obj::namespace(object) }, &owner.name))
}
