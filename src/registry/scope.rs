//! Which objects of a kind an entry is about.

use std::any::TypeId;
use std::fmt;

use kube_core::{ClusterResourceScope, Resource};

use super::stored::Stored;

/// Which objects of a kind are wanted: where they are, and what the API server selects them by.
///
/// Two scopes are the same when they are written the same: `a=1,b=2` and `b=2,a=1` make two informers.
///
/// ```
/// use kube_informer::Scope;
///
/// let scope = Scope::namespace("shop").labels("app=web,tier!=db");
/// assert_eq!(scope.to_string(), "in shop with labels app=web,tier!=db");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    pub(super) namespace: Option<String>,
    pub(super) labels: String,
    pub(super) fields: String,
}

/// What makes two askers share an informer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EntryKey {
    stored: TypeId,
    group: String,
    version: String,
    plural: String,
    pub(super) scope: Scope,
}

impl Scope {
    /// All objects.
    pub fn all() -> Self {
        Self::default()
    }

    /// The objects of one namespace. Of a kind that has none, all objects: where the kind is known at run time only,
    /// discovery is asked once the namespace is answered 404.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self { namespace: Some(namespace.into()), ..Self::default() }
    }

    /// Only objects with these labels, as [`Builder::labels`](crate::Builder::labels) takes them.
    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.labels = selector.into();
        self
    }

    /// Only objects with these fields, as [`Builder::fields`](crate::Builder::fields) takes them.
    #[must_use]
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.fields = selector.into();
        self
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "in {namespace}")?,
            None => f.write_str("in all namespaces")?,
        }
        if !self.labels.is_empty() {
            write!(f, " with labels {}", self.labels)?;
        }
        if !self.fields.is_empty() {
            write!(f, " with fields {}", self.fields)?;
        }
        Ok(())
    }
}

// === impl EntryKey ===

impl EntryKey {
    pub(super) fn new<T: Stored>(mut scope: Scope, dyntype: &<T::Object as Resource>::DynamicType) -> Self {
        if TypeId::of::<<T::Object as Resource>::Scope>() == TypeId::of::<ClusterResourceScope>() {
            scope.namespace = None;
        }
        Self {
            stored: TypeId::of::<T>(),
            group: T::Object::group(dyntype).into_owned(),
            version: T::Object::version(dyntype).into_owned(),
            plural: T::Object::plural(dyntype).into_owned(),
            scope,
        }
    }

    /// What messages call it: `subnets.kubeovn.io`, as errors and `kubectl` do, and the scope unless it is all.
    pub(super) fn name(&self) -> String {
        let mut name = self.plural.clone();
        for part in [".", &self.group] {
            if !self.group.is_empty() {
                name += part;
            }
        }
        if self.scope == Scope::all() { name } else { format!("{name} {}", self.scope) }
    }
}
