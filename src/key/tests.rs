use std::collections::BTreeMap;
use std::hash::BuildHasher;

use equivalent::Equivalent;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube_runtime::reflector::ObjectRef;

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
    for found in [nodes.get("n"), nodes.get(&node), nodes.get(node.within("ns")), nodes.get(("ns", "n"))] {
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

/// What a program may do with one form of key it may do with the other.
macro_rules! surface {
    ($test:ident, $key:ident) => {
        #[test]
        fn $test() {
            let (key, cluster) = ($key::new("ns", "n"), $key::cluster("n"));
            assert_eq!((key.namespace(), key.name()), ("ns", "n"));
            assert_eq!((cluster.namespace(), cluster.name()), ("", "n"));
            assert_eq!([key.to_string(), cluster.to_string()], ["ns/n", "n"]);
            assert!(format!("{key:?}").starts_with(stringify!($key)));

            let owned: ObjectKey = key.to_owned();
            let borrowed: Key<'_> = key.as_key();
            assert!(key == owned && owned == key && key == borrowed && borrowed == key);
            assert!(cluster < owned && owned > cluster && cluster < borrowed && borrowed > cluster);
            assert_eq!(key.cmp(&cluster), std::cmp::Ordering::Greater);
            let hasher = foldhash::fast::FixedState::default();
            assert_eq!(hasher.hash_one(&key), hasher.hash_one(("ns", "n")));

            let strings = (String::from("ns"), String::from("n"));
            let of_kube = ObjectRef::<Pod>::new("n").within("ns");
            let all = [
                $key::from(("ns", "n")),
                $key::from(&strings),
                $key::from(&owned),
                $key::from(&borrowed),
                $key::from(borrowed),
                $key::from(&of_kube),
                key.clone(),
            ];
            assert!(all.iter().all(|one| *one == key));
            assert_eq!($key::from("n"), cluster);
            assert_eq!(ObjectRef::<Pod>::from(key.as_key()), of_kube);
            assert_eq!(ObjectRef::<Node>::from(&cluster.to_owned()), ObjectRef::new("n"));

            let pods = Snapshot::from_objects(IndexSet::new(), [(key.clone(), 1)]);
            assert!(pods.get(&key).is_some() && pods.get(key.clone()).is_some());
            assert_eq!(BTreeMap::from([(key, 1)]).len(), 1);
        }
    };
}

surface!(a_borrowed_key_has_the_surface_of_both, Key);
surface!(an_owned_key_has_the_surface_of_both, ObjectKey);

#[test]
fn an_owned_key_is_found_by_borrowed_strings() {
    let key = ObjectKey::new("ab", "c");
    assert!(("ab", "c").equivalent(&key) && Key::new("ab", "c").equivalent(&key) && key.equivalent(&key));
    assert!(!("other", "c").equivalent(&key) && !Key::new("other", "c").equivalent(&key));
    assert!(!("a", "bc").equivalent(&key) && !Key::new("a", "bc").equivalent(&key));
}
