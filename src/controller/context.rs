//! What a reconcile function is given besides the object.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use kube_core::Resource;

use super::written::VERSIONS;
use crate::key::ObjectKey;
use crate::version::ResourceVersion;

/// What a reconcile function is given besides the object: the value that [`Controller::run`](super::Controller::run)
/// got, to which it dereferences, the key, and [`written`](Self::written).
///
/// Cloning copies two pointers; all clones belong to the same reconcile.
pub struct Context<C> {
    shared: Arc<C>,
    request: Arc<Request>,
}

struct Request {
    key: ObjectKey,
    /// Of the reconciled object, if there is one.
    uid: Option<String>,
    /// The versions of the writes that were reported, in their order.
    written: Mutex<Vec<ResourceVersion>>,
}

impl<C> Context<C> {
    /// A context for a reconcile of this key. For unit tests of reconcile functions.
    pub fn new(shared: Arc<C>, key: ObjectKey) -> Self {
        Self::of(shared, key, None)
    }

    pub(super) fn of(shared: Arc<C>, key: ObjectKey, uid: Option<String>) -> Self {
        Self { shared, request: Arc::new(Request { key, uid, written: Mutex::default() }) }
    }

    /// The key that is reconciled. O(1).
    pub fn key(&self) -> &ObjectKey {
        &self.request.key
    }

    /// The value given to `run`. O(1).
    pub fn shared(&self) -> &Arc<C> {
        &self.shared
    }

    /// Reports a write of the reconciled object: no later reconcile of this key begins from a version older than
    /// `object`, which is the API server's response to the write. The key waits without occupying a worker, for at most
    /// [`written_within`](super::Controller::written_within).
    ///
    /// This waits for the informer of the primary objects only. An object with another name, namespace or uid is
    /// ignored, such as a child of the same name; so is one without a `resourceVersion`, or with one that has no order.
    /// O(1), does not block.
    pub fn written(&self, object: &impl Resource) {
        let meta = object.meta();
        let key = self.key();
        let is_other = |known: &str| !known.is_empty() && meta.uid.as_ref().is_some_and(|uid| uid != known);
        if meta.name.as_deref() != Some(key.name())
            || meta.namespace.as_deref().unwrap_or_default() != key.namespace()
            || self.request.uid.as_deref().is_some_and(is_other)
        {
            tracing::warn!("Context::written was given an object that is not the reconciled one");
            return;
        }
        let Some(version) = meta.resource_version.as_deref().map(ResourceVersion::from) else { return };
        if !version.is_ordered() {
            return;
        }
        let mut written = self.request.written.lock().unwrap_or_else(PoisonError::into_inner);
        let at = written.partition_point(|known| *known < version);
        if written.get(at) != Some(&version) {
            written.insert(at, version);
        }
        if written.len() > VERSIONS {
            written.remove(0);
        }
    }

    /// The newest versions that were reported, in their order.
    pub(super) fn versions(&self) -> Vec<ResourceVersion> {
        self.request.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<C> Clone for Context<C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), request: self.request.clone() }
    }
}

impl<C> Deref for Context<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.shared
    }
}

impl<C> fmt::Debug for Context<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("key", self.key()).finish_non_exhaustive()
    }
}
