//! Types that an object can be looked up by.

use kube_runtime::reflector::{Lookup, ObjectRef};

use super::{Key, ObjectKey};

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
        Key::cluster(self)
    }
}

impl AsKey for String {
    fn as_key(&self) -> Key<'_> {
        self.as_str().as_key()
    }
}

impl<A: AsRef<str>, B: AsRef<str>> AsKey for (A, B) {
    fn as_key(&self) -> Key<'_> {
        Key::new(self.0.as_ref(), self.1.as_ref())
    }
}

impl AsKey for Key<'_> {
    fn as_key(&self) -> Key<'_> {
        *self
    }
}

impl AsKey for ObjectKey {
    fn as_key(&self) -> Key<'_> {
        self.as_key()
    }
}

impl<K: Lookup> AsKey for ObjectRef<K> {
    fn as_key(&self) -> Key<'_> {
        Key::new(self.namespace.as_deref().unwrap_or_default(), &self.name)
    }
}

impl<T: AsKey + ?Sized> AsKey for &T {
    fn as_key(&self) -> Key<'_> {
        (**self).as_key()
    }
}
