//! The predicates, as a table.

use crate::Snapshot;
use crate::controller::changed::{self, Predicate};
use crate::index::IndexSet;
use crate::object::Obj;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

fn deployment(metadata: &Value, replicas: i32) -> Obj<Deployment> {
    let object =
        json!({ "metadata": metadata, "spec": { "replicas": replicas, "selector": {}, "template": {} } });
    let object = serde_json::from_value::<Deployment>(object).unwrap();
    let snapshot = Snapshot::from_objects(IndexSet::new(), [(("d", "d"), object)]);
    snapshot.get(("d", "d")).unwrap().clone()
}

#[test]
fn each_predicate_passes_exactly_its_changes() {
    let plain = json!({ "generation": 1 });
    let others = [
        ("generation", json!({ "generation": 2 })),
        ("labels", json!({ "generation": 1, "labels": { "a": "b" } })),
        ("annotations", json!({ "generation": 1, "annotations": { "a": "b" } })),
        ("finalizers", json!({ "generation": 1, "finalizers": ["example.dev/x"] })),
        ("deletion", json!({ "generation": 1, "deletionTimestamp": "2026-01-01T00:00:00Z" })),
        ("nothing", plain.clone()),
    ];
    let predicates: [(&str, &dyn Predicate<Deployment>, &[&str]); 9] = [
        ("generation", &changed::generation(), &["generation", "deletion"]),
        ("labels", &changed::labels(), &["labels"]),
        ("annotations", &changed::annotations(), &["annotations"]),
        ("finalizers", &changed::finalizers(), &["finalizers", "deletion"]),
        (
            "not labels",
            &!changed::labels(),
            &["generation", "annotations", "finalizers", "deletion", "nothing"],
        ),
        ("or", &changed::labels().or(changed::annotations()), &["labels", "annotations"]),
        ("and", &changed::generation().and(changed::finalizers()), &["deletion"]),
        (
            "not and",
            &(!changed::generation()).and(!changed::finalizers()),
            &["labels", "annotations", "nothing"],
        ),
        (
            "closure",
            &|old: &Obj<Deployment>, new: &Obj<Deployment>| old.metadata.labels != new.metadata.labels,
            &["labels"],
        ),
    ];
    for (name, predicate, passing) in predicates {
        for (change, new) in &others {
            let passes = predicate.passes(&deployment(&plain, 1), &deployment(new, 1));
            assert_eq!(passes, passing.contains(change), "{name} of {change}");
        }
    }
}

#[test]
fn a_projection_passes_if_it_differs() {
    let replicas = changed::by(|deployment: &Deployment| deployment.spec.as_ref()?.replicas);
    let object = |replicas| deployment(&json!({}), replicas);
    assert!(replicas.passes(&object(1), &object(2)));
    assert!(!replicas.passes(&object(2), &object(2)));
    assert!(replicas.or(changed::labels()).passes(&object(1), &object(2)));
}
