//! Conversions of keys, and comparisons of both forms, which agree with each other.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use equivalent::Equivalent;
use kube_runtime::reflector::{Lookup, ObjectRef};

use super::{AsKey, Key, ObjectKey};

// === from what names an object ===

impl<'a, Q: AsKey + ?Sized> From<&'a Q> for Key<'a> {
    fn from(key: &'a Q) -> Self {
        key.as_key()
    }
}

impl<'a> From<(&'a str, &'a str)> for Key<'a> {
    fn from((namespace, name): (&'a str, &'a str)) -> Self {
        Self::new(namespace, name)
    }
}

/// Allocates once.
impl<Q: AsKey + ?Sized> From<&Q> for ObjectKey {
    fn from(key: &Q) -> Self {
        key.as_key().to_owned()
    }
}

/// Allocates once.
impl<A: AsRef<str>, B: AsRef<str>> From<(A, B)> for ObjectKey {
    fn from(key: (A, B)) -> Self {
        key.as_key().to_owned()
    }
}

/// Allocates once.
impl From<Key<'_>> for ObjectKey {
    fn from(key: Key<'_>) -> Self {
        key.to_owned()
    }
}

// === to kube-runtime's references ===

impl<K: Lookup<DynamicType: Default>> From<Key<'_>> for ObjectRef<K> {
    fn from(key: Key<'_>) -> Self {
        let reference = Self::new(key.name);
        if key.namespace.is_empty() { reference } else { reference.within(key.namespace) }
    }
}

impl<K: Lookup<DynamicType: Default>> From<&ObjectKey> for ObjectRef<K> {
    fn from(key: &ObjectKey) -> Self {
        key.as_key().into()
    }
}

// === owned beside borrowed ===

impl PartialEq for ObjectKey {
    fn eq(&self, other: &Self) -> bool {
        // The length comes first so that equality of the text decides.
        self.namespace_len == other.namespace_len && self.text == other.text
    }
}

impl Eq for ObjectKey {}

impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_key().cmp(&other.as_key())
    }
}

/// As [`Key`], and as a pair of strings.
impl Hash for ObjectKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_key().hash(state);
    }
}

impl PartialEq<Key<'_>> for ObjectKey {
    fn eq(&self, other: &Key<'_>) -> bool {
        self.as_key() == *other
    }
}

impl PartialEq<ObjectKey> for Key<'_> {
    fn eq(&self, other: &ObjectKey) -> bool {
        *self == other.as_key()
    }
}

impl PartialOrd<Key<'_>> for ObjectKey {
    fn partial_cmp(&self, other: &Key<'_>) -> Option<Ordering> {
        Some(self.as_key().cmp(other))
    }
}

impl PartialOrd<ObjectKey> for Key<'_> {
    fn partial_cmp(&self, other: &ObjectKey) -> Option<Ordering> {
        Some(self.cmp(&other.as_key()))
    }
}

// === look-ups of an owned key by borrowed strings ===

impl Equivalent<ObjectKey> for Key<'_> {
    fn equivalent(&self, key: &ObjectKey) -> bool {
        self == key
    }
}

impl Equivalent<ObjectKey> for (&str, &str) {
    fn equivalent(&self, key: &ObjectKey) -> bool {
        Key::from(*self) == *key
    }
}
