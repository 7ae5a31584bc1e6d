//! Predicates: which modifications of an object lead to a reconcile.
//!
//! ```
//! use k8s_openapi::api::apps::v1::Deployment;
//! use kube_informer::{Obj, controller::changed};
//!
//! # fn check(_: impl changed::Predicate<Deployment>) {}
//! // The spec changed, or a finalizer was added or removed; not for a change of the status or of a label.
//! # check(
//! changed::generation().or(changed::finalizers())
//! # );
//! // A part of the object changed.
//! # check(
//! changed::by(|deployment: &Deployment| deployment.status.as_ref()?.ready_replicas)
//! # );
//! // Any function of the old and the new object.
//! # check(
//! |old: &Obj<Deployment>, new: &Obj<Deployment>| old.metadata.labels != new.metadata.labels
//! # );
//! ```
//!
//! A predicate decides about modifications only. Additions, deletes and replacements always pass, so a predicate cannot
//! hide that an object was created or deleted.

use std::ops::Not;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::Resource;

use crate::object::Obj;

/// Decides whether a modification leads to a reconcile. Implemented by closures of the old and the new object.
pub trait Predicate<T>: Send + Sync {
    /// Whether this modification (same uid, another version) leads to a reconcile. Called once per change, on a task of
    /// the controller; if it panics, the change passes.
    fn passes(&self, old: &Obj<T>, new: &Obj<T>) -> bool;
}

/// A predicate of this module. Combined by [`and`](Self::and), [`or`](Self::or) and `!`.
#[derive(Debug, Clone, Copy)]
pub struct Changed<P>(P);

/// A predicate on a part of the metadata. See [`generation`] and its neighbours.
#[derive(Debug, Clone, Copy)]
pub struct Meta(fn(&ObjectMeta, &ObjectMeta) -> bool);

/// See [`by`].
#[derive(Debug, Clone, Copy)]
pub struct By<F>(F);

/// See [`Changed::and`].
#[derive(Debug, Clone, Copy)]
pub struct And<P, Q>(P, Q);

/// See [`Changed::or`].
#[derive(Debug, Clone, Copy)]
pub struct Or<P, Q>(P, Q);

/// A predicate inverted by `!`.
#[derive(Debug, Clone, Copy)]
pub struct Inverted<P>(P);

/// Passes if `metadata.generation` changed, or if the object began to be deleted.
///
/// The API server increments the generation with each change of the spec, and not with one of the status. Kinds without
/// a generation, such as ConfigMap, always have the same. This is controller-runtime's `GenerationChangedPredicate`,
/// except that a new `deletionTimestamp` passes.
///
/// A reconcile that adds a finalizer and waits for that change needs [`finalizers`] too.
pub fn generation() -> Changed<Meta> {
    Changed(Meta(|old, new| old.generation != new.generation || begins_deletion(old, new)))
}

/// Passes if `metadata.labels` changed.
pub fn labels() -> Changed<Meta> {
    Changed(Meta(|old, new| old.labels != new.labels))
}

/// Passes if `metadata.annotations` changed.
pub fn annotations() -> Changed<Meta> {
    Changed(Meta(|old, new| old.annotations != new.annotations))
}

/// Passes if `metadata.finalizers` changed, or if the object began to be deleted.
pub fn finalizers() -> Changed<Meta> {
    Changed(Meta(|old, new| old.finalizers != new.finalizers || begins_deletion(old, new)))
}

/// Passes if the projection of the old object differs from that of the new one.
pub fn by<T, V, F>(project: F) -> Changed<By<F>>
where
    F: Fn(&T) -> V,
    V: PartialEq,
{
    Changed(By(project))
}

fn begins_deletion(old: &ObjectMeta, new: &ObjectMeta) -> bool {
    old.deletion_timestamp.is_none() && new.deletion_timestamp.is_some()
}

impl<P> Changed<P> {
    /// Passes if both predicates pass.
    pub fn and<Q>(self, other: Q) -> Changed<And<P, Q>> {
        Changed(And(self.0, other))
    }

    /// Passes if one of the predicates passes, or both.
    pub fn or<Q>(self, other: Q) -> Changed<Or<P, Q>> {
        Changed(Or(self.0, other))
    }
}

impl<P> Not for Changed<P> {
    type Output = Changed<Inverted<P>>;

    fn not(self) -> Self::Output {
        Changed(Inverted(self.0))
    }
}

impl<T, F: Fn(&Obj<T>, &Obj<T>) -> bool + Send + Sync> Predicate<T> for F {
    fn passes(&self, old: &Obj<T>, new: &Obj<T>) -> bool {
        self(old, new)
    }
}

impl<T, P: Predicate<T>> Predicate<T> for Changed<P> {
    fn passes(&self, old: &Obj<T>, new: &Obj<T>) -> bool {
        self.0.passes(old, new)
    }
}

impl<T: Resource> Predicate<T> for Meta {
    fn passes(&self, old: &Obj<T>, new: &Obj<T>) -> bool {
        (self.0)(old.meta(), new.meta())
    }
}

impl<T, V: PartialEq, F: Fn(&T) -> V + Send + Sync> Predicate<T> for By<F> {
    fn passes(&self, old: &Obj<T>, new: &Obj<T>) -> bool {
        (self.0)(old) != (self.0)(new)
    }
}

impl<T, P: Predicate<T>, Q: Predicate<T>> Predicate<T> for And<P, Q> {
    fn passes(&self, old: &Obj<T>, new: &Obj<T>) -> bool {
        self.0.passes(old, new) && self.1.passes(old, new)
    }
}

impl<T, P: Predicate<T>, Q: Predicate<T>> Predicate<T> for Or<P, Q> {
    fn passes(&self, old: &Obj<T>, new: &Obj<T>) -> bool {
        self.0.passes(old, new) || self.1.passes(old, new)
    }
}

impl<T, P: Predicate<T>> Predicate<T> for Inverted<P> {
    fn passes(&self, old: &Obj<T>, new: &Obj<T>) -> bool {
        !self.0.passes(old, new)
    }
}
