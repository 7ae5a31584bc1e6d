//! What is stored of a kind, defined once per type.

use std::error::Error;

use kube_core::Resource;
use serde::de::DeserializeOwned;

use crate::config::Absent;

/// The result of a projection: `Ok(Some(..))` is stored, `Ok(None)` skips the object, and an error makes it invalid
/// (see [`View::invalid`](crate::View::invalid)).
pub type Projected<T> = Result<Option<T>, Box<dyn Error + Send + Sync>>;

/// A type that informers of a [`Registry`](crate::Registry) store, and its projection from a kube type.
///
/// The projection is part of the type, so all parts of an application that declare the type agree on it. Two types
/// projected from one kind make two informers.
///
/// Every kube type implements this and is stored as a whole. To store less of it, or to skip objects, implement it for
/// a type of your own:
///
/// ```
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kube_informer::{Stored, registry::Projected};
///
/// /// The number of entries of a ConfigMap. Immutable ones are skipped.
/// struct Entries(usize);
///
/// impl Stored for Entries {
///     type Object = ConfigMap;
///
///     fn project(map: ConfigMap) -> Projected<Self> {
///         let entries = map.data.map_or(0, |data| data.len());
///         Ok((map.immutable != Some(true)).then_some(Self(entries)))
///     }
/// }
/// # assert_eq!(Entries::project(ConfigMap::default()).unwrap().unwrap().0, 0);
/// ```
///
/// A type that is `Resource`, `Clone` and `DeserializeOwned` has the blanket implementation already. Wrap it in a type
/// of your own to filter its objects. A projection that depends on the configuration of the application is a
/// [`StoredWith`](crate::registry::StoredWith).
pub trait Stored: Sized + Send + Sync + 'static {
    /// The kube type that the API serves.
    type Object: Resource + Clone + DeserializeOwned + Send + Sync + 'static;

    /// What an informer shows while the kind is not installed, unless [`Config::absent`](crate::Config::absent) is set.
    /// Set once per type, so that no single caller decides for all.
    const ABSENT: Absent = Absent::Wait;

    /// Returns what is stored of a version of an object.
    ///
    /// Runs on the informer's task, once per stored version of an object; a relist may project a skipped object again.
    /// If it fails or panics, the object counts as invalid and its last good version stays. The error is the
    /// [`source`](Error::source) of the reported [`DecodeError`](crate::error::DecodeError). No log line and no error
    /// text of this crate contains it.
    ///
    /// # Errors
    ///
    /// Any error of the application.
    fn project(object: Self::Object) -> Projected<Self>;
}

/// Stores whole objects.
impl<K: Resource + Clone + DeserializeOwned + Send + Sync + 'static> Stored for K {
    type Object = K;

    fn project(object: K) -> Projected<K> {
        Ok(Some(object))
    }
}

/// A type whose projection depends on settings of the application, which are known only at run time.
///
/// [`Registry::declare_projected`](crate::Registry::declare_projected) takes the settings. All callers that share the
/// informer use the same settings: those of the first declaration hold for as long as the informer has a handle, and a
/// declaration with different ones returns an error.
///
/// ```
/// use k8s_openapi::api::core::v1::Service;
/// use kube_client::Client;
/// use kube_informer::registry::{Projected, StoredWith};
/// use kube_informer::{Error, Registry, Scope, SharedInformer};
///
/// #[derive(PartialEq)]
/// struct Dns {
///     cluster_domain: String,
/// }
///
/// /// The DNS name of a Service.
/// struct Host(String);
///
/// impl StoredWith for Host {
///     type Object = Service;
///     type Settings = Dns;
///
///     fn project_with(service: Service, dns: &Dns) -> Projected<Self> {
///         let (namespace, name) = (service.metadata.namespace, service.metadata.name);
///         let parts = [&name.unwrap_or_default(), &namespace.unwrap_or_default(), "svc", &dns.cluster_domain];
///         Ok(Some(Self(parts.join("."))))
///     }
/// }
///
/// fn declare(registry: &Registry, dns: Dns) -> Result<SharedInformer<Host>, Error> {
///     registry.declare_projected(Scope::all(), (), dns)
/// }
/// # let dns = Dns { cluster_domain: "cluster.local".to_owned() };
/// # assert_eq!(Host::project_with(Service::default(), &dns).unwrap().unwrap().0, "..svc.cluster.local");
/// ```
///
/// Every [`Stored`] type implements this, with the settings `()`.
pub trait StoredWith: Sized + Send + Sync + 'static {
    /// The kube type that the API serves.
    type Object: Resource + Clone + DeserializeOwned + Send + Sync + 'static;

    /// The settings. Two declarations agree if theirs are equal.
    type Settings: PartialEq + Send + Sync + 'static;

    /// What an informer shows while the kind is not installed. See [`Stored::ABSENT`].
    const ABSENT: Absent = Absent::Wait;

    /// Returns what is stored of a version of an object, as [`Stored::project`] does.
    ///
    /// # Errors
    ///
    /// Any error of the application.
    fn project_with(object: Self::Object, settings: &Self::Settings) -> Projected<Self>;
}

/// Projects without settings.
impl<T: Stored> StoredWith for T {
    type Object = <T as Stored>::Object;
    type Settings = ();

    const ABSENT: Absent = <T as Stored>::ABSENT;

    fn project_with(object: Self::Object, (): &()) -> Projected<T> {
        T::project(object)
    }
}
