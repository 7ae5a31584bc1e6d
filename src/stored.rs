//! What is stored of a kind, said once for all who ask for it.

use std::error::Error;

use kube_core::Resource;
use serde::de::DeserializeOwned;

use crate::config::Absent;

/// What a projection answers: `Ok(Some(..))` is stored, `Ok(None)` keeps the object out, and an error makes it invalid
/// (see [`View::invalid`](crate::View::invalid)).
pub type Projected<T> = Result<Option<T>, Box<dyn Error + Send + Sync>>;

/// A type of which a [`Registry`](crate::Registry) keeps informers, and what it is made from.
///
/// The projection is part of the type, so that two parts of an application which ask for the same type cannot mean
/// different things by it. Two types made from one kind are two informers.
///
/// Every kube type is stored as it is, by the implementation at the end of this page. To keep less of it, or not
/// all objects, store a type of your own:
///
/// ```
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kube_informer::{Stored, registry::Projected};
///
/// /// How many entries a ConfigMap has. Immutable ones are kept out.
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
/// A type that is a `Resource`, `Clone` and `DeserializeOwned` has the other implementation already; wrap it to
/// filter it.
pub trait Stored: Sized + Send + Sync + 'static {
    /// What the API serves.
    type Object: Resource + Clone + DeserializeOwned + Send + Sync + 'static;

    /// What an informer shows while the kind is not installed, unless its [`Config`](crate::Config) says otherwise:
    /// said once per type, so that no single caller decides for all.
    const ABSENT: Absent = Absent::Wait;

    /// Makes what is stored of a version of an object.
    ///
    /// Runs on the informer's task, once per version of each object kept; those kept out may be asked about again at
    /// a relist. When it fails or panics the object counts as invalid, and its last good version stays. An error is
    /// found as [`source`](Error::source) of the reported [`DecodeError`](crate::error::DecodeError), and is never part of
    /// a text of ours.
    fn project(object: Self::Object) -> Projected<Self>;
}

/// Whole objects.
impl<K: Resource + Clone + DeserializeOwned + Send + Sync + 'static> Stored for K {
    type Object = K;

    fn project(object: K) -> Projected<K> {
        Ok(Some(object))
    }
}
