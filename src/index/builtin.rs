//! Indexes that many controllers need.

use super::{IndexBy, Pair};
use crate::key::Key;
use crate::metadata::{Annotations, Labels, Owners};

/// An index by namespace. See [`namespace`].
#[derive(Clone, Copy, Debug)]
pub struct Namespace;

/// An index by the value of a label. See [`label`].
#[derive(Clone, Debug)]
pub struct Label(String);

/// An index by the value of an annotation. See [`annotation`].
#[derive(Clone, Debug)]
pub struct Annotation(String);

/// An index by the annotations whose names have the same suffix. See [`annotation_suffix`].
#[derive(Clone, Debug)]
pub struct AnnotationSuffix(String);

/// An index by the uids of the owners. See [`owner_uid`].
#[derive(Clone, Copy, Debug)]
pub struct OwnerUid;

/// An index by namespace. Cluster-scoped objects are under the empty namespace.
///
/// For any `T`, since the namespace is part of the key of the object.
pub fn namespace() -> Namespace {
    Namespace
}

/// An index by the value of the label `name`. Objects without the label are not in it.
///
/// For kube types and every other type that stores [`Labels`].
pub fn label(name: impl Into<String>) -> Label {
    Label(name.into())
}

/// An index by the value of the annotation `name`. Objects without the annotation are not in it.
///
/// For kube types and every other type that stores [`Annotations`].
pub fn annotation(name: impl Into<String>) -> Annotation {
    Annotation(name.into())
}

/// An index by the annotations whose names end in `suffix`: a key is the rest of the name, and the value.
///
/// For example, Kube-OVN records the subnet of a pod's interface in the annotation
/// `net1.default.ovn.kubernetes.io/logical_switch: subnet1`. With the suffix `.kubernetes.io/logical_switch`, its key
/// is `Pair("net1.default.ovn", "subnet1")`, and look-ups take `&("net1.default.ovn", "subnet1")`. An annotation whose
/// name equals the suffix has an empty first part.
///
/// For kube types and every other type that stores [`Annotations`].
pub fn annotation_suffix(suffix: impl Into<String>) -> AnnotationSuffix {
    AnnotationSuffix(suffix.into())
}

/// An index by the uid of each owner in `metadata.ownerReferences`.
///
/// For kube types and every other type that stores [`Owners`].
pub fn owner_uid() -> OwnerUid {
    OwnerUid
}

impl<T> IndexBy<T> for Namespace {
    type Key = String;

    fn index(&self, key: Key<'_>, _: &T, emit: &mut dyn FnMut(String)) {
        emit(key.namespace.to_owned());
    }
}

impl<T: Labels> IndexBy<T> for Label {
    type Key = String;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(String)) {
        object.label(&self.0).map(str::to_owned).into_iter().for_each(emit);
    }
}

impl<T: Annotations> IndexBy<T> for Annotation {
    type Key = String;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(String)) {
        object.annotation(&self.0).map(str::to_owned).into_iter().for_each(emit);
    }
}

impl<T: Annotations> IndexBy<T> for AnnotationSuffix {
    type Key = Pair<String, String>;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(Self::Key)) {
        for (name, value) in object.all_annotations() {
            if let Some(prefix) = name.strip_suffix(&self.0) {
                emit(Pair(prefix.to_owned(), value.to_owned()));
            }
        }
    }
}

impl<T: Owners> IndexBy<T> for OwnerUid {
    type Key = String;

    fn index(&self, _: Key<'_>, object: &T, emit: &mut dyn FnMut(String)) {
        object.owner_uids().map(str::to_owned).for_each(emit);
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::index::IndexSet;
    use crate::snapshot::Snapshot;

    /// A projection: one label, the annotations and the owner.
    struct Row {
        app: String,
        annotations: BTreeMap<String, String>,
        owner: String,
    }

    impl Labels for Row {
        fn label(&self, name: &str) -> Option<&str> {
            (name == "app").then_some(&self.app)
        }
    }

    impl Annotations for Row {
        fn all_annotations(&self) -> impl Iterator<Item = (&str, &str)> {
            self.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str()))
        }
    }

    impl Owners for Row {
        fn owner_uids(&self) -> impl Iterator<Item = &str> {
            [self.owner.as_str()].into_iter()
        }
    }

    #[test]
    fn a_projection_is_indexed_and_selected_by_the_metadata_it_stores() {
        let mut indexes = IndexSet::new();
        let by_app = indexes.index(label("app"));
        let by_tier = indexes.index(label("tier"));
        let by_note = indexes.index(annotation("note"));
        let by_switch = indexes.index(annotation_suffix("/switch"));
        let by_owner = indexes.index(owner_uid());
        let annotations = [("note", "x"), ("net1/switch", "s")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let web = Row { app: "web".to_owned(), annotations: annotations.into(), owner: "u1".to_owned() };
        let db = Row { app: "db".to_owned(), annotations: BTreeMap::new(), owner: "u2".to_owned() };
        let rows = Snapshot::from_objects(indexes, [(("ns", "a"), web), (("ns", "b"), db)]);

        assert_eq!(rows.by_index(&by_app, "web").len(), 1);
        assert_eq!(rows.index_keys(&by_tier).len(), 0, "it is not stored");
        assert_eq!(rows.by_index(&by_note, "x").len(), 1);
        assert_eq!(rows.by_index(&by_switch, &("net1", "s")).len(), 1);
        assert_eq!(rows.by_index(&by_owner, "u2").len(), 1);
        let selected = |text: &str| rows.select(&text.parse().unwrap()).count();
        assert_eq!(["app=web", "app notin (web)", "!tier", "tier", ""].map(selected), [1, 1, 2, 0, 2]);
    }
}
