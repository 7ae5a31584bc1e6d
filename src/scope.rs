//! Selects the objects of a kind that an informer caches.

use std::fmt;

/// Selects the objects of a kind that an informer caches: by namespace, labels and fields.
///
/// [`Builder::scope`](crate::builder::Builder::scope) and [`Registry::declare_in`](crate::Registry::declare_in) take
/// it. The API server applies the selectors. A registry compares scopes as text: `a=1,b=2` and `b=2,a=1` make two
/// informers.
///
/// ```
/// use kube_informer::Scope;
///
/// let scope = Scope::namespace("shop").labels("app=web,tier!=db");
/// assert_eq!(scope.to_string(), "in shop with labels app=web,tier!=db");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: String,
    pub(crate) fields: String,
}

impl Scope {
    /// Selects all objects, of all namespaces.
    pub fn all() -> Self {
        Self::default()
    }

    /// Selects the objects of one namespace; for a cluster-scoped kind, all objects.
    ///
    /// For a kind known only at run time, the informer asks discovery when the server returns 404 for the namespace.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self { namespace: Some(namespace.into()), ..Self::default() }
    }

    /// Restricts the scope to objects with these labels, in the API's selector syntax (`app=web,tier!=db`).
    ///
    /// An object that no longer matches is removed from the cache and reported as deleted.
    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.labels = selector.into();
        self
    }

    /// Restricts the scope to objects with these fields, in the API's selector syntax (`spec.nodeName=node1`).
    ///
    /// Each kind supports a few fields only; for custom resources, these are the `selectableFields` of the
    /// CustomResourceDefinition.
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
