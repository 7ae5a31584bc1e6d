//! Keys of objects: borrowed for look-ups, owned for queues and maps.

use std::fmt;
use std::sync::Arc;

use kube_runtime::reflector::{Lookup, ObjectRef};

/// The namespace and name of an object, borrowed. Cluster-scoped objects have an empty namespace.
///
/// Prints as `namespace/name`, or as `name` for a cluster-scoped object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key<'a> {
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// The name, unique within the namespace.
    pub name: &'a str,
}

impl Key<'_> {
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

/// The namespace and name of an object, owned. For work queues and maps.
///
/// One shared allocation; cloning copies a pointer. Ordered by namespace, then by name.
///
/// ```
/// use kube_informer::ObjectKey;
///
/// let key = ObjectKey::new("default", "net1");
/// assert_eq!((key.namespace(), key.name()), ("default", "net1"));
/// assert_eq!(key.to_string(), "default/net1");
/// assert_eq!(ObjectKey::cluster("subnet1").to_string(), "subnet1");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    // `text` is both parts concatenated. The length is the first field, so that it is compared before the
    // text.
    namespace_len: usize,
    text: Arc<str>,
}

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
}

impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_key().cmp(&other.as_key())
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

/// A type that an object can be looked up by: `("namespace", "name")`, `"name"` of a cluster-scoped object, a [`Key`],
/// an [`ObjectKey`], kube-runtime's [`ObjectRef`], or a reference to any of them.
///
/// A look-up does not allocate.
pub trait AsKey {
    /// The namespace and name to look up.
    fn as_key(&self) -> Key<'_>;
}

impl AsKey for str {
    fn as_key(&self) -> Key<'_> {
        Key { namespace: "", name: self }
    }
}

impl AsKey for String {
    fn as_key(&self) -> Key<'_> {
        self.as_str().as_key()
    }
}

impl<A: AsRef<str>, B: AsRef<str>> AsKey for (A, B) {
    fn as_key(&self) -> Key<'_> {
        Key { namespace: self.0.as_ref(), name: self.1.as_ref() }
    }
}

impl AsKey for Key<'_> {
    fn as_key(&self) -> Key<'_> {
        *self
    }
}

impl AsKey for ObjectKey {
    fn as_key(&self) -> Key<'_> {
        Key { namespace: self.namespace(), name: self.name() }
    }
}

impl<K: Lookup> AsKey for ObjectRef<K> {
    fn as_key(&self) -> Key<'_> {
        Key { namespace: self.namespace.as_deref().unwrap_or_default(), name: &self.name }
    }
}

impl<T: AsKey + ?Sized> AsKey for &T {
    fn as_key(&self) -> Key<'_> {
        (**self).as_key()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Pod};

    use super::*;
    use crate::index::IndexSet;
    use crate::snapshot::Snapshot;

    #[test]
    fn keys_are_told_apart_by_where_the_namespace_ends() {
        assert_ne!(ObjectKey::new("ab", "c"), ObjectKey::new("a", "bc"));
        assert!(ObjectKey::new("a", "z") < ObjectKey::new("b", "a"));
        assert!(ObjectKey::new("ab", "c") > ObjectKey::new("a", "bc"));
    }

    #[test]
    fn a_cluster_scoped_object_is_found_whatever_namespace_is_named() {
        let nodes = Snapshot::from_objects(IndexSet::new(), [("n", 1)]);
        let node = ObjectRef::<Node>::new("n");
        for found in [nodes.get("n"), nodes.get(&node), nodes.get(node.within("ns")), nodes.get(("ns", "n"))]
        {
            assert_eq!(found.map(|value| **value), Some(1));
        }
        assert!(nodes.get(("ns", "other")).is_none() && nodes.get(("n", "")).is_none());

        let pods = Snapshot::from_objects(IndexSet::new(), [(("a", "n"), 1), (("b", "m"), 2)]);
        assert!([("b", "n"), ("", "n"), ("a", "m"), ("n", "")].iter().all(|key| pods.get(key).is_none()));
        assert_eq!(pods.get(ObjectRef::<Pod>::new("n").within("a")).map(|value| **value), Some(1));
    }

    #[test]
    fn every_form_of_key_names_the_same_object() {
        let key = Key { namespace: "ns", name: "n" };
        assert_eq!(("ns", String::from("n")).as_key(), key);
        assert_eq!(ObjectKey::new("ns", "n").as_key(), key);
        assert_eq!(ObjectRef::<Pod>::new("n").within("ns").as_key(), key);
        assert_eq!(ObjectRef::<Node>::new("n").as_key(), "n".as_key());
    }
}
