//! What objects select, by kind, operator and scope.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::index::{IndexSet, Selects};
use crate::{Obj, Selector, Snapshot};

/// Whether an object of namespace `own` with this spec selects an object of this namespace with these labels.
fn selects<K: DeserializeOwned + Send + Sync + 'static, R: IntoSelects + 'static>(
    closure: fn(&K) -> R,
    (own, spec): (&str, Value),
    namespace: &str,
    labels: &[(&str, &str)],
) -> bool {
    let object: K = serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
    let mut indexes = IndexSet::new();
    let by_selector = indexes.index(selector(closure));
    let snapshot = Snapshot::from_objects(indexes, [((own, "x"), object)]);
    snapshot.selecting(&by_selector, namespace, labels.iter().copied()).len() == 1
}

const WEB: [(&str, &str); 2] = [("app", "web"), ("tier", "front")];

/// What each kind selects: specs, and whether they select the labels [`WEB`], and an object without labels.
fn check<K: DeserializeOwned + Send + Sync + 'static, R: IntoSelects + 'static>(
    closure: fn(&K) -> R,
    specs: &[(Value, bool, bool)],
) {
    for (spec, web, unlabelled) in specs {
        let selects = |namespace, labels| selects(closure, ("shop", spec.clone()), namespace, labels);
        assert_eq!(selects("shop", &WEB), *web, "{spec}");
        assert_eq!(selects("shop", &[]), *unlabelled, "{spec}");
        assert!(!selects("blog", &WEB) && !selects("", &WEB), "another namespace: {spec}");
    }
}

#[test]
fn no_selector_and_an_empty_one_mean_what_they_mean_for_the_kind() {
    let labels = [
        (json!({ "selector": { "app": "web" } }), true, false),
        (json!({ "selector": { "app": "web", "tier": "front" } }), true, false),
        (json!({ "selector": { "app": "web", "tier": "back" } }), false, false),
        (json!({ "selector": {} }), false, false),
        (json!({}), false, false),
        (json!(null), false, false),
    ];
    check(|service: &Service| service.spec.as_ref()?.selector.clone(), &labels);

    let budgets = [
        (json!({ "selector": { "matchLabels": { "app": "web" } } }), true, false),
        (json!({ "selector": { "matchLabels": { "app": "db" } } }), false, false),
        (json!({ "selector": {} }), true, true),
        (json!({ "selector": { "matchLabels": {}, "matchExpressions": [] } }), true, true),
        (json!({}), false, false),
        (json!(null), false, false),
    ];
    check(|budget: &PodDisruptionBudget| budget.spec.as_ref()?.selector.clone(), &budgets);

    let policies = [
        (json!({ "podSelector": { "matchLabels": { "app": "web" } } }), true, false),
        (json!({ "podSelector": {} }), true, true),
        (json!({}), true, true),
        (json!(null), false, false),
    ];
    let of_policy = |policy: &NetworkPolicy| {
        policy.spec.as_ref().map(|spec| spec.pod_selector.clone().unwrap_or_default())
    };
    check(of_policy, &policies);
}

#[test]
fn each_operator_selects_and_an_invalid_one_selects_nothing() {
    let term = |operator: &str, values: Value| {
        let term = json!({ "key": "app", "operator": operator, "values": values });
        json!({ "selector": { "matchExpressions": [term] } })
    };
    let specs = [
        (term("In", json!(["db", "web"])), true, false),
        (term("In", json!(["db"])), false, false),
        (term("NotIn", json!(["db"])), true, true),
        (term("NotIn", json!(["db", "web"])), false, true),
        (term("Exists", json!([])), true, false),
        (term("Exists", json!(null)), true, false),
        (term("DoesNotExist", json!(null)), false, true),
        (term("In", json!([])), false, false),
        (term("NotIn", json!(null)), false, false),
        (term("Exists", json!(["web"])), false, false),
        (term("Like", json!(["web"])), false, false),
        (json!({ "selector": { "matchLabels": { "app": "no value!" } } }), false, false),
    ];
    check(|budget: &PodDisruptionBudget| budget.spec.as_ref()?.selector.clone(), &specs);
}

/// Selectors as text, as a projection may have them: an array, each with the namespaces it applies in.
type Row = Vec<(Option<&'static str>, &'static str)>;

fn rows(rows: &[(&str, Row)]) -> (Snapshot<Row>, crate::Index<Row, SelectorKey>) {
    let mut indexes = IndexSet::new();
    let by_selector = indexes.index(selector(|row: &Row| {
        let selects = row.iter().map(|(scope, text)| {
            let selects = Selects::from(text.parse::<Selector>());
            match scope {
                None => selects,
                Some("*") => selects.in_all_namespaces(),
                Some(namespace) => selects.in_namespace(*namespace),
            }
        });
        selects.collect::<Vec<_>>()
    }));
    let objects = rows.iter().enumerate().map(|(at, (own, row))| ((*own, format!("{at}")), row.clone()));
    (Snapshot::from_objects(indexes, objects), by_selector)
}

#[test]
fn a_selector_applies_in_its_own_namespace_in_another_or_in_all() {
    let web = |scope| vec![(scope, "app=web")];
    let (view, by) = rows(&[
        ("shop", web(None)),
        ("shop", web(Some("blog"))),
        ("shop", web(Some("*"))),
        ("", web(None)),
        ("", web(Some("shop"))),
    ]);
    let found = |namespace| view.selecting(&by, namespace, WEB).map(Obj::name).collect::<Vec<_>>();
    assert_eq!(found("shop"), ["3", "4", "0", "2"], "ordered by namespace and name");
    assert_eq!(found("blog"), ["3", "1", "2"]);
    assert_eq!(found(""), ["3", "2"], "an object without a namespace");
    assert_eq!(view.index_keys(&by).len(), 3, "one key for each different selector");
}

#[test]
fn an_object_with_several_selectors_is_found_once() {
    let several = vec![(None, "app=web"), (None, "tier"), (Some("*"), "app"), (None, "app=db")];
    let (view, by) = rows(&[("shop", several), ("shop", vec![(None, "tier")]), ("shop", vec![])]);
    let found = view.selecting(&by, "shop", WEB);
    assert_eq!((found.len(), found.map(Obj::name).collect::<Vec<_>>()), (2, vec!["0", "1"]));
    assert!(view.selecting(&by, "blog", WEB).map(Obj::name).eq(["0"]));
    assert!(view.selecting(&by, "shop", [("app", "db")]).map(Obj::name).eq(["0"]));
}

#[test]
fn selectors_that_say_the_same_share_a_key() {
    let texts = ["a=1,b in (x,y)", "b in (y,x),a=1", "a in (1),b in (x,y),a=1", "a==1, b in (x,y,x)"];
    let (view, by) = rows(&texts.map(|text| ("shop", vec![(None, text)])));
    let keys: Vec<_> = view.index_keys(&by).map(|(key, count)| (key.to_string(), count)).collect();
    assert_eq!(keys, [("a=1,b in (x,y) in shop".to_owned(), 4)]);
}

#[test]
fn objects_with_an_invalid_selector_can_be_listed() {
    let (view, by) = rows(&[("shop", vec![(None, "app=web"), (None, "a b")]), ("", vec![(None, "(")])]);
    assert_eq!(view.by_index(&by, &SelectorKey::INVALID).len(), 2);
    assert!(view.selecting(&by, "shop", WEB).map(Obj::name).eq(["0"]), "the valid one still counts");
    assert_eq!(view.invalid_len(), 0);
}

#[test]
fn hits_can_be_intersected_and_labels_come_in_any_order() {
    let mut indexes = IndexSet::new();
    let by_selector = indexes.index(selector(|text: &String| text.parse::<Selector>()));
    let by_length = indexes.index(|text: &String| text.len());
    let texts = ["a", "a=1", "b=2", "!c", "a=2", "", "b", "a=1,b=2"];
    let objects = texts.iter().enumerate().map(|(at, text)| (("n", at.to_string()), (*text).to_owned()));
    let view = Snapshot::from_objects(indexes, objects);
    let selecting = |labels: [(&str, &str); 2]| view.selecting(&by_selector, "n", labels);
    assert!(selecting([("b", "2"), ("a", "1")]).map(Obj::name).eq(["0", "1", "2", "3", "5", "6", "7"]));
    let of_three = view.by_index(&by_length, &3).and(selecting([("b", "2"), ("a", "1")]));
    assert!(of_three.map(Obj::name).eq(["1", "2"]));
    let of_one = view.by_index(&by_length, &1).and(view.selecting(&by_selector, "n", [("c", "")]));
    assert_eq!(of_one.count(), 0, "a single selector matches");
    let other = IndexSet::new().index(selector(|text: &String| text.parse::<Selector>()));
    assert!(view.try_selecting(&other, "n", [("a", "1")]).is_err(), "an index of another informer");
}
/// The rest of an index alone, freed step by step.
fn parts<K>(by: impl FnOnce(&mut IndexSet<String>) -> K) -> usize {
    let mut indexes = IndexSet::new();
    by(&mut indexes);
    let objects = (0..2000).map(|at| (("n", at.to_string()), format!("app=web-{at}")));
    let view = std::sync::Arc::into_inner(Snapshot::from_objects(indexes, objects).0).unwrap();
    let [table] = view.tables.into_iter().collect::<Vec<_>>().try_into().ok().unwrap();
    let mut remains = table.into_remains().unwrap();
    std::iter::from_fn(|| remains.free_some().then_some(())).count()
}

#[test]
fn an_index_of_selectors_is_freed_in_parts_with_its_directory() {
    let plain = parts(|indexes| indexes.index(|text: &String| text.clone()));
    let selectors = parts(|indexes| indexes.index(selector(|text: &String| text.parse::<Selector>())));
    assert!(plain > 100 && selectors > plain * 3 / 2, "{plain} parts, and {selectors} with a directory");
}
