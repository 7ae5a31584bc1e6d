//! Bridges to `kube::runtime::Controller`, to adopt this crate step by step. `docs/MIGRATING.md` shows each step.
//!
//! | `Controller` of kube-runtime | with an informer |
//! |---|---|
//! | `reconcile_on(stream)` | [`Informer::object_refs`], or [`Subscription::keys`](crate::Subscription::keys) mapped to `ObjectRef`s |
//! | `for_stream(stream, store)` | [`store`] of an `Informer<Shared<K>>`: the objects are not copied |
//! | `watches_shared_stream`, `owns_shared_stream` | [`objects`] of an `Informer<Shared<K>>` |
//!
//! Only a `Writer` can fill kube's `Store`, and the `Store` keeps `Arc<K>`. So a `Store` of an `Informer<K>` would need
//! a second copy of each object; with [`Shared`], that copy is a pointer. Two things remain impossible with kube's
//! `Controller`: it cannot read its objects from a snapshot (it gets them from the `Store`, which has its own lock and
//! map), and it cannot reconcile an object that is gone.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::stream::{self, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::Resource;
use kube_runtime::reflector::{Lookup, ObjectRef, Store, store::Writer};
use kube_runtime::watcher;
use serde::{Deserialize, Deserializer};

use crate::informer::Informer;
use crate::subscribe::Change;

/// A kube type behind an [`Arc`], so that an informer and a kube-runtime `Store` share each object.
///
/// It is a [`Resource`] as `K` is, so `Api<Shared<K>>` and `Informer<Shared<K>>` serve the same objects. It dereferences
/// to `K`. Cloning copies a pointer; changing the metadata copies the object, unless it is the only pointer.
pub struct Shared<K>(Arc<K>);

impl<K> Shared<K> {
    /// Returns the pointer. O(1).
    pub fn into_inner(this: Self) -> Arc<K> {
        this.0
    }
}

/// Returns a kube-runtime `Store` with the objects of the informer, and a stream of its added and changed objects.
///
/// Both are for `kube::runtime::Controller::for_stream`. The objects are shared, not copied.
///
/// The stream fills the `Store`: it changes the `Store` when it is polled, before it returns the object. The `Store`
/// becomes ready with the first list. A delete changes the `Store`, and the stream returns no item for it, as with
/// kube's own controllers. The stream ends when the informer stops; it returns no errors ([`Informer::status`] has
/// them). A batch costs O(changes), and copies only pointers.
pub fn store<K>(
    informer: &Informer<Shared<K>>,
) -> (Store<Shared<K>>, impl Stream<Item = watcher::Result<Shared<K>>> + Send + Unpin + 'static)
where
    K: Resource<DynamicType: Default + Clone + Eq + std::hash::Hash + Send + Sync>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let writer = Writer::<Shared<K>>::default();
    let store = writer.as_reader();
    let batches = stream::unfold((informer.subscribe(), writer), |(mut changes, mut writer)| async move {
        let batch = changes.next().await?;
        if batch.is_initial() {
            writer.apply_watcher_event(&watcher::Event::Init);
        }
        let mut applied = Vec::new();
        for change in &batch {
            let event = match change {
                Change::Deleted(object) => watcher::Event::Delete(Shared::clone(object)),
                Change::Added(object) if batch.is_initial() => {
                    watcher::Event::InitApply(Shared::clone(object))
                }
                Change::Added(new) | Change::Modified { new, .. } | Change::Replaced { new, .. } => {
                    watcher::Event::Apply(Shared::clone(new))
                }
            };
            writer.apply_watcher_event(&event);
            applied.extend(change.new().map(|object| Ok(Shared::clone(object))));
        }
        if batch.is_initial() {
            writer.apply_watcher_event(&watcher::Event::InitDone);
        }
        Some((stream::iter(applied), (changes, writer)))
    });
    (store, Box::pin(batches.flatten()))
}

/// Returns a stream of the objects of each change: the new one, and one that was deleted or replaced, for
/// `kube::runtime::Controller::{watches_shared_stream, owns_shared_stream}`. The first items are all objects. No delete
/// is lost while the watch is down, even if an object of the same name exists by then. The stream ends when the
/// informer stops.
pub fn objects<K: Send + Sync + 'static>(
    informer: &Informer<Shared<K>>,
) -> impl Stream<Item = Arc<K>> + Send + Unpin + 'static {
    informer.subscribe().keys(|change, _, emit| {
        if let Change::Deleted(old) | Change::Replaced { old, .. } = change {
            emit(old.0.clone());
        }
        if let Some(new) = change.new() {
            emit(new.0.clone());
        }
    })
}

impl<T: Send + Sync + 'static> Informer<T> {
    /// Returns a stream of kube-runtime's `ObjectRef`s: those of all objects, and then that of each change.
    ///
    /// It is for `kube::runtime::Controller::reconcile_on`. Allocates per key. The stream ends when the informer stops.
    pub fn object_refs(&self) -> impl Stream<Item = ObjectRef<T>> + Send + Unpin + 'static
    where
        T: Lookup<DynamicType: Default + Send>,
    {
        self.subscribe().keys(|change, _, emit| emit(ObjectRef::from(change.key())))
    }
}

impl<K> From<K> for Shared<K> {
    fn from(object: K) -> Self {
        Self(Arc::new(object))
    }
}

impl<K> Deref for Shared<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.0
    }
}

impl<K> Clone for Shared<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: fmt::Debug> fmt::Debug for Shared<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Shared<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        K::deserialize(deserializer).map(Self::from)
    }
}

impl<K: Resource + Clone> Resource for Shared<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dyntype: &K::DynamicType) -> std::borrow::Cow<'_, str> {
        K::kind(dyntype)
    }

    fn group(dyntype: &K::DynamicType) -> std::borrow::Cow<'_, str> {
        K::group(dyntype)
    }

    fn version(dyntype: &K::DynamicType) -> std::borrow::Cow<'_, str> {
        K::version(dyntype)
    }

    fn plural(dyntype: &K::DynamicType) -> std::borrow::Cow<'_, str> {
        K::plural(dyntype)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        Arc::make_mut(&mut self.0).meta_mut()
    }
}
