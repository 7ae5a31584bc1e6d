//! What each part of the scope has reached.

use std::sync::Arc;

use super::View;
use crate::version::ResourceVersion;

/// What one part of the scope has reached.
pub(crate) struct Reached {
    /// `None` if the part covers all namespaces.
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) version: Option<ResourceVersion>,
    /// The epoch of its last list.
    pub(crate) epoch: u64,
}

impl Reached {
    /// The version, if it can be compared with others of this epoch.
    pub(crate) fn version_in(&self, epoch: u64) -> Option<&ResourceVersion> {
        self.version.as_ref().filter(|_| self.epoch == epoch)
    }
}

impl<T> View<T> {
    /// The version that every part with objects of this namespace has reached. An idle part learns of the newest version
    /// about once a minute only, so a write need not wait for the parts of other namespaces. O(parts).
    pub(crate) fn reached(&self, namespace: &str) -> Option<ResourceVersion> {
        let covers = |part: &&Arc<Reached>| {
            namespace.is_empty() || part.namespace.as_deref().is_none_or(|mine| mine == namespace)
        };
        let mut parts = self.reached.iter().filter(covers).map(|part| part.version_in(self.epoch).cloned());
        match parts.next() {
            // One part, or an object of none.
            None => self.resource_version.clone(),
            Some(first) => parts.try_fold(first?, |least, version| least.lower(version?)),
        }
    }
}
