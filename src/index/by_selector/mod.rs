//! An index by the selectors that objects have.

#[cfg(all(test, feature = "testing"))]
mod tests;

use std::fmt;

use super::{IndexBy, IntoSelects, SelectorKey};
use crate::key::Key;

/// Objects by the label selectors that they have. See [`selector`].
#[derive(Clone, Copy)]
pub struct BySelector<F>(F);

/// An index by the selector that an object has: [`View::selecting`](crate::View::selecting) returns the objects that
/// select given labels. Which Services, NetworkPolicies or PodDisruptionBudgets select this Pod?
///
/// The closure returns the selector ([`IntoSelects`]), or several, of which one must match. A selector applies in the
/// namespace of its object, or in all namespaces if the object has none; [`Selects`](super::Selects) gives another scope.
///
/// ```
/// use k8s_openapi::api::core::v1::Service;
/// use kube_informer::index::{self, IndexSet};
/// use kube_informer::{Key, Obj, Snapshot};
/// # let service = |app: &str| Service {
/// #     spec: Some(k8s_openapi::api::core::v1::ServiceSpec {
/// #         selector: Some([("app".to_owned(), app.to_owned())].into()),
/// #         ..Default::default()
/// #     }),
/// #     ..Default::default()
/// # };
///
/// let mut indexes = IndexSet::new();
/// let by_selector = indexes.index(index::selector(|service: &Service| service.spec.as_ref()?.selector.clone()));
/// let services = [(("shop", "web"), service("web")), (("shop", "db"), service("db")), (("blog", "web"), service("web"))];
/// let services = Snapshot::from_objects(indexes, services);
///
/// let labels = [("app", "web"), ("tier", "front")];
/// assert!(services.selecting(&by_selector, "shop", labels).map(Obj::key).eq([Key::new("shop", "web")]));
/// ```
///
/// What no selector and an empty one mean depends on the kind, and the type that the closure returns says it:
///
/// | kind | closure | no selector | `{}` |
/// |---|---|---|---|
/// | Service | `s.spec.as_ref()?.selector.clone()` | nothing | nothing |
/// | PodDisruptionBudget | `b.spec.as_ref()?.selector.clone()` | nothing | all Pods of its namespace |
/// | NetworkPolicy | `p.spec.as_ref().map(\|spec\| spec.pod_selector.clone().unwrap_or_default())` | all Pods of its namespace | the same |
/// | Deployment, ReplicaSet | `Some(r.spec.as_ref()?.selector.clone())` | cannot be | all Pods of its namespace |
/// | cluster-scoped, with a list of selectors (Kube-OVN's Subnet) | `s.spec.namespace_selectors.clone()`, a `Vec<LabelSelector>` | nothing | everything |
///
/// A selector that is invalid selects nothing; [`SelectorKey::INVALID`] finds its objects.
///
/// The index has one entry for each different selector, however many objects have it, and finds the entries by a label
/// that they require.
pub fn selector<T, F, R>(selects: F) -> BySelector<F>
where
    F: Fn(&T) -> R + Send + 'static,
    R: IntoSelects,
{
    BySelector(selects)
}

impl<T, F, R> IndexBy<T> for BySelector<F>
where
    F: Fn(&T) -> R + Send + 'static,
    R: IntoSelects,
{
    type Key = SelectorKey;

    fn index(&self, key: Key<'_>, object: &T, emit: &mut dyn FnMut(SelectorKey)) {
        self.0(object).for_each_selector(&mut |selects| {
            if let Some(selector) = selects.into_key(key) {
                emit(selector);
            }
        });
    }
}

impl<F> fmt::Debug for BySelector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BySelector")
    }
}
