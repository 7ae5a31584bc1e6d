//! A complete version that is not published yet: the nodes of a graph of derived collections are computed one
//! after another, each from the next versions of those before it, and published together.

use std::sync::Arc;

use super::draft::{Beside, Draft};
use super::retired::{Retired, World};
use super::{Shared, Writer};
use crate::key::Key;
use crate::object::Obj;
use crate::reflector::Reuse;
use crate::snapshot::{Snapshot, View};
use crate::source::Meta;

/// A version to publish with [`Writer::reveal`]. Dropping it has no effect that readers see; its memory is then freed by
/// the sweeps of old versions.
pub(crate) struct Prepared<T> {
    view: Arc<View<T>>,
    beside: Beside,
    replaced: Vec<Obj<T>>,
    changed: bool,
    /// `None` once it is published.
    retired: Option<Arc<Retired<T>>>,
}

impl<T: Send + Sync + 'static> Writer<T> {
    /// Begins a version whose values are computed. No value is reused because of its resourceVersion.
    pub(crate) fn begin(&self) -> Draft<T> {
        self.draft(Reuse::Nothing)
    }

    /// Stores a computed value.
    pub(crate) fn put(&self, draft: &mut Draft<T>, meta: &Meta, value: T) {
        draft.insert(&self.indexers, meta, value);
    }

    /// Removes a computed value.
    pub(crate) fn take(&self, draft: &mut Draft<T>, key: Key<'_>) {
        draft.remove(&self.indexers, key);
    }

    /// The version of the draft as a synced one; `None` if it is the published version.
    pub(crate) fn complete(&self, mut draft: Draft<T>) -> Option<Prepared<T>> {
        draft.changed |= !draft.synced;
        draft.synced = true;
        if draft.changed {
            return Some(self.prepare(draft));
        }
        draft.drop_unchanged();
        None
    }

    pub(super) fn prepare(&self, draft: Draft<T>) -> Prepared<T> {
        let changed = draft.changed;
        let reached = self.parts.all_reached();
        let (view, beside, replaced) = draft.into_parts(self.store, reached);
        Prepared { view: Arc::new(view), beside, replaced, changed, retired: Some(self.retired.clone()) }
    }

    /// Publishes a version that was prepared from the one that is published now.
    pub(crate) fn reveal(&mut self, mut prepared: Prepared<T>) {
        prepared.retired = None;
        let before = std::mem::replace(&mut self.beside, std::mem::take(&mut prepared.beside));
        self.discard(before);
        let old = self.publisher.publish(prepared.view.clone(), prepared.changed);
        if prepared.changed {
            self.retired.replaced().push(old.revision());
        }
        // The first view is empty and stays with the store.
        if !Arc::ptr_eq(&old, self.shared().first()) {
            self.retired.push(old, std::mem::take(&mut prepared.replaced));
        }
    }
}

impl<T: Send + Sync + 'static> Draft<T> {
    /// The stored value of exactly this key.
    pub(crate) fn get(&self, key: Key<'_>) -> Option<&Obj<T>> {
        self.objects.get(self.hasher.object(key), key)
    }

    /// The stored value is the newest one of this key: an attempt to store another one no longer counts.
    pub(crate) fn keep(&mut self, key: Key<'_>) {
        if !self.invalid.is_empty() {
            self.remove_invalid(key, |_| true);
        }
    }
}

impl<T> Prepared<T> {
    pub(crate) fn snapshot(&self) -> Snapshot<T> {
        Snapshot(self.view.clone())
    }
}

impl<T> Shared<T> {
    /// The number that the handles of its indexes have.
    pub(crate) fn store(&self) -> u64 {
        self.first().store
    }
}

impl<T> Drop for Prepared<T> {
    fn drop(&mut self) {
        if let Some(retired) = self.retired.take() {
            let Beside { late, members } = std::mem::take(&mut self.beside);
            retired.discard(World { late, members, ..World::default() });
            retired.push(self.view.clone(), std::mem::take(&mut self.replaced));
        }
    }
}
