//! An index by selectors agrees with a scan of all selectors, under random histories, with held versions.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::index::{self, IndexSet, SelectorKey, Selects};
use crate::snapshot::{Snapshot, View};
use crate::store::List;

/// The selectors of a stored object, each with the namespaces it applies in.
type Policy = Vec<(Reach, LabelSelector)>;
type Labels = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug)]
enum Reach {
    Own,
    Other,
    All,
}

const NAMESPACES: [&str; 3] = ["", "a", "b"];
const OTHER: &str = "b";
const LABELS: [&str; 4] = ["app", "tier", "zone", "example.com/x"];
const VALUES: [&str; 4] = ["web", "db", "", "n-1"];

fn keys(policy: &Policy) -> Vec<Selects> {
    let selects = policy.iter().map(|(reach, selector)| {
        let selects = Selects::from(selector.clone());
        match reach {
            Reach::Own => selects,
            Reach::Other => selects.in_namespace(OTHER),
            Reach::All => selects.in_all_namespaces(),
        }
    });
    selects.collect()
}

// === The oracle: the rules of the Kubernetes documentation, one by one ===

fn is_valid(selector: &LabelSelector) -> bool {
    selector.match_expressions.iter().flatten().all(|term| {
        let values = term.values.as_ref().map_or(0, Vec::len);
        match term.operator.as_str() {
            "In" | "NotIn" => values > 0,
            "Exists" | "DoesNotExist" => values == 0,
            _ => false,
        }
    })
}

fn selects(policy: &Policy, own: &str, namespace: &str, labels: &Labels) -> bool {
    policy.iter().any(|(reach, selector)| {
        let reaches = match reach {
            Reach::Own => own.is_empty() || own == namespace,
            Reach::Other => namespace == OTHER,
            Reach::All => true,
        };
        let mut equal = selector.match_labels.iter().flatten();
        let mut terms = selector.match_expressions.iter().flatten();
        reaches
            && is_valid(selector)
            && equal.all(|(name, value)| labels.get(name) == Some(value))
            && terms.all(|term| {
                let listed = |value: &String| term.values.iter().flatten().any(|one| one == value);
                match (term.operator.as_str(), labels.get(&term.key)) {
                    ("In", Some(value)) => listed(value),
                    ("NotIn", Some(value)) => !listed(value),
                    ("Exists", value) => value.is_some(),
                    ("DoesNotExist", value) => value.is_none(),
                    (operator, _) => operator == "NotIn",
                }
            })
    })
}

// === Random input ===

fn pick(random: &mut StdRng, from: &[&str]) -> String {
    (*from.choose(random).expect("not empty")).to_owned()
}

fn labels(random: &mut StdRng) -> Labels {
    let count = random.random_range(0..LABELS.len());
    (0..count).map(|_| (pick(random, &LABELS), pick(random, &VALUES))).collect()
}

fn selector(random: &mut StdRng) -> LabelSelector {
    let terms = (0..random.random_range(0..3)).map(|_| {
        let operator = pick(random, &["In", "In", "NotIn", "Exists", "DoesNotExist", "Like"]);
        // Sometimes values where there must be none, and none where there must be some.
        let takes_values = operator.ends_with("In") != random.random_bool(0.03);
        let values = (0..random.random_range(1..4)).map(|_| pick(random, &VALUES));
        let values = takes_values.then(|| values.collect());
        LabelSelectorRequirement { key: pick(random, &LABELS), operator, values }
    });
    let match_expressions = Some(terms.collect());
    LabelSelector { match_labels: random.random_bool(0.7).then(|| labels(random)), match_expressions }
}

fn policy(random: &mut StdRng) -> Policy {
    let count = *[0, 1, 1, 1, 1, 3].choose(random).expect("not empty");
    let reach = [Reach::Own, Reach::Own, Reach::Other, Reach::All];
    (0..count).map(|_| (*reach.choose(random).expect("not empty"), selector(random))).collect()
}

// === The test ===

type Model = BTreeMap<ObjectKey, (u64, Policy)>;

#[test]
fn an_index_by_selectors_agrees_with_a_scan_whatever_happens() {
    let mut hits = 0;
    for seed in 0..8 {
        hits += run(seed);
    }
    assert!(hits > 4_000, "only {hits} hits in all");
}

fn run(seed: u64) -> usize {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut indexes = IndexSet::new();
    let by_selector = indexes.index(index::selector(keys));
    let (store, indexers) = indexes.into_parts();
    let mut intake =
        Intake::new(Writer::new(store, indexers), Box::new(|_, policy: Policy| Ok(Some(policy))));
    let mut added_late = None;
    let mut model = Model::new();
    let mut held: Vec<(Snapshot<Policy>, Model)> = Vec::new();
    let mut hits = 0;
    for version in 1..100 {
        if version == 40 {
            let slot = now(intake.lock().add_index(Box::new(index::selector(keys))));
            added_late = Some(Index::<Policy, SelectorKey>::new(slot, store));
        }
        let before = model.clone();
        for _ in 0..random.random_range(1..12) {
            let key =
                ObjectKey::new(&pick(&mut random, &NAMESPACES), &random.random_range(0..30).to_string());
            // A change may leave the selector as it was.
            let same = model.get(&key).map(|(_, policy)| policy.clone()).filter(|_| random.random_bool(0.2));
            match random.random_bool(0.3) {
                true => drop(model.remove(&key)),
                false => drop(model.insert(key, (version, same.unwrap_or_else(|| policy(&mut random))))),
            }
        }
        let list = list(&mut intake, &model);
        if random.random_bool(0.1) {
            // What a list that breaks off has changed is forgotten.
            drop(list);
            model = before;
        } else {
            now(intake.commit(list, Some(ResourceVersion::from_number(version)))).unwrap();
        }
        intake.lock().validate();
        let view = intake.lock().shared().snapshot();
        assert_eq!(view.changed_selectors(&view, by_selector.slot).map(Iterator::count), Some(0));
        held.push((view.clone(), model.clone()));
        if held.len() > 4 {
            held.remove(random.random_range(0..4));
        }
        check_invalid(&view, &model, &by_selector);
        for (older, older_model) in &held {
            for _ in 0..3 {
                let (namespace, labels) = (pick(&mut random, &NAMESPACES), labels(&mut random));
                let was = check(older, older_model, &by_selector, &namespace, &labels);
                hits += was.len();
                let is = check(&view, &model, &by_selector, &namespace, &labels);
                if let Some(late) = &added_late {
                    assert_eq!(check(&view, &model, late, &namespace, &labels), is);
                }
                let changed = view.changed_selectors(older, by_selector.slot).expect("both have the index");
                let value = |name: &str| labels.get(name).map(String::as_str);
                let is_known = changed.into_iter().any(|key| key.matches(&namespace, value));
                assert!(is_known || is == was, "what is read changed, and none of its selectors");
            }
        }
    }
    hits
}

fn list(intake: &mut Intake<Policy, Policy>, model: &Model) -> List<Policy> {
    let mut list = intake.begin_list(Reuse::Unchanged);
    for (key, (stored, policy)) in model {
        let meta = item(key, 1, *stored, good(0)).meta;
        intake.upsert(&mut list, Ok(Item { meta, payload: policy.clone() }));
    }
    list
}

/// Checks one query, and returns the objects it finds.
fn check(
    view: &View<Policy>,
    model: &Model,
    index: &Index<Policy, SelectorKey>,
    namespace: &str,
    labels: &Labels,
) -> Vec<usize> {
    let expected =
        model.iter().filter(|(key, (_, policy))| selects(policy, key.namespace(), namespace, labels));
    let expected: Vec<&ObjectKey> = expected.map(|(key, _)| key).collect();
    let found = view.selecting(index, namespace, labels);
    assert_eq!(found.len(), expected.len());
    // In the order of the keys, as the map is sorted.
    assert!(found.map(ObjectKey::from).eq(expected.into_iter().cloned()), "{labels:?} in {namespace:?}");
    view.selecting(index, namespace, labels).map(Obj::address).collect()
}

/// Checks which objects count as having an invalid selector.
fn check_invalid(view: &View<Policy>, model: &Model, index: &Index<Policy, SelectorKey>) {
    let invalid = view.by_index(index, &SelectorKey::INVALID).map(ObjectKey::from).collect::<BTreeSet<_>>();
    let has_invalid = |policy: &Policy| policy.iter().any(|(_, selector)| !is_valid(selector));
    let expected = model.iter().filter(|(_, (_, policy))| has_invalid(policy)).map(|(key, _)| key.clone());
    assert_eq!(invalid, expected.collect());
}
