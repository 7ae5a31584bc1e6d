//! The informers of the kinds that are inspected.

use k8s_openapi::jiff::Timestamp;
use kube_core::{DynamicObject, metadata::PartialObjectMeta};
use kube_informer::registry::Projected;
use kube_informer::{Error, Index, Informer, Registry, Scope, SharedInformer, Stored, index};

use crate::kinds::Found;

/// The label that objects are indexed by.
pub const LABEL: &str = "app";

/// The part of an object that the cache keeps.
pub struct Row {
    pub created: Option<Timestamp>,
    label: Option<String>,
}

/// One kind and its informer.
pub struct Inspected {
    pub kind: Found,
    pub scope: Scope,
    pub objects: Informer<Row>,
    /// All objects under one key: an index returns its objects in order, so the first ones need no look at the rest.
    pub in_order: Index<Row, ()>,
    pub by_namespace: Index<Row, String>,
    pub by_label: Index<Row, String>,
}

impl Stored for Row {
    /// Only the metadata is requested.
    type Object = PartialObjectMeta<DynamicObject>;

    fn project(object: Self::Object) -> Projected<Self> {
        Ok(Some(Self {
            created: object.metadata.creation_timestamp.map(|time| time.0),
            label: object.metadata.labels.and_then(|mut labels| labels.remove(LABEL)),
        }))
    }
}

impl Inspected {
    /// Declares the informer of a kind.
    ///
    /// # Errors
    ///
    /// When it was declared and started before.
    pub fn declare(registry: &Registry, kind: Found, scope: Scope) -> Result<Self, Error> {
        let declared: SharedInformer<Row> = registry.declare_with(scope.clone(), kind.resource.clone());
        Ok(Self {
            in_order: declared.index(|_: &Row| ())?,
            by_namespace: declared.index(index::namespace())?,
            by_label: declared.index(|row: &Row| row.label.clone())?,
            objects: declared.informer(),
            kind,
            scope,
        })
    }
}
