//! The key of an entry: equal declarations share an informer.

use std::any::TypeId;

use kube_core::{ClusterResourceScope, Resource};

use crate::scope::Scope;
use crate::stored::StoredWith;

/// Equal keys share an informer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EntryKey {
    stored: TypeId,
    group: String,
    version: String,
    plural: String,
    pub(super) scope: Scope,
}

impl EntryKey {
    pub(super) fn new<T: StoredWith>(
        mut scope: Scope,
        dyntype: &<T::Object as Resource>::DynamicType,
    ) -> Self {
        if TypeId::of::<<T::Object as Resource>::Scope>() == TypeId::of::<ClusterResourceScope>() {
            scope = scope.without_namespaces();
        }
        Self {
            stored: TypeId::of::<T>(),
            group: T::Object::group(dyntype).into_owned(),
            version: T::Object::version(dyntype).into_owned(),
            plural: T::Object::plural(dyntype).into_owned(),
            scope,
        }
    }

    /// The kind as errors and `kubectl` name it: `subnets.kubeovn.io`.
    pub(super) fn kind(&self) -> String {
        let mut kind = self.plural.clone();
        for part in [".", &self.group] {
            if !self.group.is_empty() {
                kind += part;
            }
        }
        kind
    }
}
