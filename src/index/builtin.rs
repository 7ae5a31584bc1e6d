//! Indexes that many controllers need.

use equivalent::Equivalent;
use kube_core::Resource;

use super::IndexBy;
use crate::key::Key;

/// Objects by namespace; cluster-scoped objects are under the empty one. See [`namespace`].
#[derive(Clone, Copy, Debug)]
pub struct Namespace;

/// Objects by the value of a label. See [`label`].
#[derive(Clone, Debug)]
pub struct Label(String);

/// Objects by the value of an annotation. See [`annotation`].
#[derive(Clone, Debug)]
pub struct Annotation(String);

/// Objects by annotations whose names have the same suffix. See [`annotation_suffix`].
#[derive(Clone, Debug)]
pub struct AnnotationSuffix(String);

/// Objects by the uids of their owners. See [`owner_uid`].
#[derive(Clone, Copy, Debug)]
pub struct OwnerUid;

/// The key of an [`annotation_suffix`] index. Look-ups take `&("prefix", "value")`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnnotationKey {
    /// The name of the annotation without the suffix.
    pub prefix: String,
    /// The value of the annotation.
    pub value: String,
}

/// An index by namespace, for any `T`: the namespace is part of the key of the object. Cluster-scoped objects are under
/// the empty namespace.
pub fn namespace() -> Namespace {
    Namespace
}

/// An index by the value of the label `name`. Objects without the label are not in it.
pub fn label(name: impl Into<String>) -> Label {
    Label(name.into())
}

/// An index by the value of the annotation `name`. Objects without the annotation are not in it.
pub fn annotation(name: impl Into<String>) -> Annotation {
    Annotation(name.into())
}

/// An index by all annotations whose name ends in `suffix`, for annotations whose name contains a part of the key.
///
/// For example, Kube-OVN records the subnet of a pod's interface in the annotation
/// `net1.default.ovn.kubernetes.io/logical_switch: subnet1`. With the suffix `.kubernetes.io/logical_switch`, its key
/// is `("net1.default.ovn", "subnet1")`. A name that equals the suffix has an empty prefix.
pub fn annotation_suffix(suffix: impl Into<String>) -> AnnotationSuffix {
    AnnotationSuffix(suffix.into())
}

/// An index by the uid of each owner in `metadata.ownerReferences`.
pub fn owner_uid() -> OwnerUid {
    OwnerUid
}

impl Equivalent<AnnotationKey> for (&str, &str) {
    fn equivalent(&self, key: &AnnotationKey) -> bool {
        self.0 == key.prefix && self.1 == key.value
    }
}

impl<T> IndexBy<T> for Namespace {
    type Key = String;

    fn index(&self, key: Key<'_>, _: &T, emit: &mut dyn FnMut(String)) {
        emit(key.namespace.to_owned());
    }
}

impl<T: Resource> IndexBy<T> for Label {
    type Key = String;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(String)) {
        let value = object.meta().labels.as_ref().and_then(|labels| labels.get(&self.0));
        value.cloned().into_iter().for_each(emit);
    }
}

impl<T: Resource> IndexBy<T> for Annotation {
    type Key = String;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(String)) {
        let value = object.meta().annotations.as_ref().and_then(|annotations| annotations.get(&self.0));
        value.cloned().into_iter().for_each(emit);
    }
}

impl<T: Resource> IndexBy<T> for AnnotationSuffix {
    type Key = AnnotationKey;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(AnnotationKey)) {
        for (name, value) in object.meta().annotations.iter().flatten() {
            if let Some(prefix) = name.strip_suffix(&self.0) {
                emit(AnnotationKey { prefix: prefix.to_owned(), value: value.clone() });
            }
        }
    }
}

impl<T: Resource> IndexBy<T> for OwnerUid {
    type Key = String;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(String)) {
        let owners = object.meta().owner_references.iter().flatten();
        owners.map(|owner| owner.uid.clone()).for_each(emit);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_borrowed_pair_hashes_like_the_key_it_stands_for() {
        let hasher = foldhash::fast::FixedState::default();
        let key = AnnotationKey { prefix: "net1.default.ovn".into(), value: "subnet1".into() };
        assert_eq!(hasher.hash_one(&key), hasher.hash_one(("net1.default.ovn", "subnet1")));
        assert!(("net1.default.ovn", "subnet1").equivalent(&key));
        assert!(!("net1.default.ov", "nsubnet1").equivalent(&key));
    }
}
