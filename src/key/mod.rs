//! Keys of objects: borrowed for look-ups, owned for queues and maps.
//!
//! [`Key`] and [`ObjectKey`] have the same methods, and compare, hash and print alike. Any [`AsKey`] converts to both by
//! `from`, so a function may take either.

mod as_key;
mod convert;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use self::as_key::AsKey;

/// The namespace and name of an object, borrowed. Cluster-scoped objects have an empty namespace.
///
/// Prints as `namespace/name`, or as `name` for a cluster-scoped object. Ordered by namespace, then by name. It has the
/// methods of [`ObjectKey`].
///
/// ```
/// use kube_informer::{Key, ObjectKey};
///
/// let key = Key::new("default", "net1");
/// assert_eq!((key.namespace(), key.name()), ("default", "net1"));
/// assert_eq!(key, ObjectKey::new("default", "net1"));
/// assert_eq!(key, Key::from(("default", "net1")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// The namespace and name of an object, owned. For work queues and maps.
///
/// One shared allocation; cloning copies a pointer. Ordered by namespace, then by name. It has the methods of [`Key`].
///
/// ```
/// use kube_informer::ObjectKey;
///
/// let key = ObjectKey::new("default", "net1");
/// assert_eq!((key.namespace(), key.name()), ("default", "net1"));
/// assert_eq!(key.to_string(), "default/net1");
/// assert_eq!(ObjectKey::cluster("subnet1").to_string(), "subnet1");
/// ```
///
/// It can be the key of an index: [`index`](mod@crate::index) shows the look-up by borrowed strings.
#[derive(Clone)]
pub struct ObjectKey {
    // Both parts after one another.
    namespace_len: usize,
    text: Arc<str>,
}

// === impl Key ===

impl<'a> Key<'a> {
    /// The key of a namespaced object.
    pub const fn new(namespace: &'a str, name: &'a str) -> Self {
        Self { namespace, name }
    }

    /// The key of a cluster-scoped object.
    pub const fn cluster(name: &'a str) -> Self {
        Self::new("", name)
    }

    /// The namespace; empty for cluster-scoped objects.
    pub const fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// The name, unique within the namespace.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The key itself. [`ObjectKey`] has the same method.
    pub const fn as_key(&self) -> Key<'a> {
        *self
    }

    /// An owned copy. Allocates once.
    pub fn to_owned(self) -> ObjectKey {
        ObjectKey::new(self.namespace, self.name)
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(self.name)
    }
}

// === impl ObjectKey ===

impl ObjectKey {
    /// The key of a namespaced object. Allocates once.
    pub fn new(namespace: &str, name: &str) -> Self {
        let text = if namespace.is_empty() { name.into() } else { [namespace, name].concat().into() };
        Self { namespace_len: namespace.len(), text }
    }

    /// The key of a cluster-scoped object. Allocates once.
    pub fn cluster(name: &str) -> Self {
        Self::new("", name)
    }

    /// The namespace; empty for cluster-scoped objects.
    pub fn namespace(&self) -> &str {
        &self.text[..self.namespace_len]
    }

    /// The name, unique within the namespace.
    pub fn name(&self) -> &str {
        &self.text[self.namespace_len..]
    }

    /// The key, borrowed.
    pub fn as_key(&self) -> Key<'_> {
        Key::new(self.namespace(), self.name())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_key().fmt(f)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectKey({self})")
    }
}
