//! The metadata that a stored type keeps: what selectors and the indexes of labels, annotations and owners read.
//!
//! | to use | a stored type implements |
//! |---|---|
//! | [`View::select`], [`Hits::select`](crate::iter::Hits::select), [`index::label`] | [`Labels`] |
//! | [`index::annotation`], [`index::annotation_suffix`] | [`Annotations`] |
//! | [`index::owner_uid`] | [`Owners`] |
//!
//! Every kube type ([`Resource`]) implements all three. A projection implements those whose metadata it stores; it may
//! store a part, in any form.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use k8s_openapi::api::core::v1::Pod;
//! use kube_informer::index::{self, IndexSet};
//! use kube_informer::metadata::Labels;
//! use kube_informer::{Selector, Snapshot};
//!
//! /// What is stored of a pod.
//! struct Row {
//!     labels: BTreeMap<String, String>,
//! }
//!
//! impl Row {
//!     fn of(pod: Pod) -> Self {
//!         Self { labels: pod.metadata.labels.unwrap_or_default() }
//!     }
//! }
//!
//! impl Labels for Row {
//!     fn label(&self, name: &str) -> Option<&str> {
//!         self.labels.get(name).map(String::as_str)
//!     }
//! }
//!
//! let mut indexes = IndexSet::new();
//! let by_app = indexes.index(index::label("app"));
//! # let mut pod = Pod::default();
//! # pod.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
//! let rows = Snapshot::from_objects(indexes, [(("default", "a"), Row::of(pod))]);
//! assert_eq!(rows.by_index(&by_app, "web").len(), 1);
//! let selector: Selector = "app in (web,proxy),!canary".parse()?;
//! assert_eq!(rows.select(&selector).count(), 1);
//! # Ok::<(), kube_informer::error::InvalidSelector>(())
//! ```
//!
//! [`View::select`]: crate::View::select
//! [`index::label`]: crate::index::label
//! [`index::annotation`]: crate::index::annotation
//! [`index::annotation_suffix`]: crate::index::annotation_suffix
//! [`index::owner_uid`]: crate::index::owner_uid

use kube_core::Resource;

/// A type that stores labels. See the [module](self).
#[diagnostic::on_unimplemented(
    message = "`{Self}` stores no labels",
    note = "kube types do; implement `kube_informer::metadata::Labels` for a projection that stores labels"
)]
pub trait Labels {
    /// The value of a label, or `None` if the object does not have it. A label that the projection dropped counts as
    /// missing.
    fn label(&self, name: &str) -> Option<&str>;
}

/// A type that stores annotations. See the [module](self).
#[diagnostic::on_unimplemented(
    message = "`{Self}` stores no annotations",
    note = "kube types do; implement `kube_informer::metadata::Annotations` for a projection that stores annotations"
)]
pub trait Annotations {
    /// All stored annotations, as (name, value), in any order.
    fn all_annotations(&self) -> impl Iterator<Item = (&str, &str)>;

    /// The value of an annotation. The default looks at [`all_annotations`](Self::all_annotations) one by one.
    fn annotation(&self, name: &str) -> Option<&str> {
        self.all_annotations().find(|(other, _)| *other == name).map(|(_, value)| value)
    }
}

/// A type that stores the uids of its owners. See the [module](self).
#[diagnostic::on_unimplemented(
    message = "`{Self}` stores no owners",
    note = "kube types do; implement `kube_informer::metadata::Owners` for a projection that stores owners"
)]
pub trait Owners {
    /// The uid of each owner in `metadata.ownerReferences`.
    fn owner_uids(&self) -> impl Iterator<Item = &str>;
}

// === impl for kube types ===

impl<K: Resource> Labels for K {
    fn label(&self, name: &str) -> Option<&str> {
        self.meta().labels.as_ref()?.get(name).map(String::as_str)
    }
}

impl<K: Resource> Annotations for K {
    fn all_annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.meta().annotations.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(name).map(String::as_str)
    }
}

impl<K: Resource> Owners for K {
    fn owner_uids(&self) -> impl Iterator<Item = &str> {
        self.meta().owner_references.iter().flatten().map(|owner| owner.uid.as_str())
    }
}
