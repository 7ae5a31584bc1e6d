//! Compares selectors with the Kubernetes documentation, a simple oracle, and the in-process server.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_core::{Expression, ObjectMeta, SelectorExt};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn parsed(text: &str) -> Selector {
    text.parse().unwrap_or_else(|err| panic!("{text:?}: {err}"))
}

#[test]
fn every_operator_selects_what_the_docs_say() {
    // Expected for `a=1`, for `a=`, and without labels.
    for (selector, expected) in [
        ("", [true, true, true]),
        ("a", [true, true, false]),
        ("!a", [false, false, true]),
        ("a=1", [true, false, false]),
        ("a==1", [true, false, false]),
        ("a!=1", [false, true, true]),
        ("a=", [false, true, false]),
        ("a!=", [true, false, true]),
        ("a in (1, 2)", [true, false, false]),
        ("a in (2,)", [false, true, false]),
        ("a in ()", [false, true, false]),
        ("a notin (1,2)", [false, true, true]),
        ("a notin ()", [true, false, true]),
        ("a>0", [true, false, false]),
        ("a>1", [false, false, false]),
        ("a<2", [true, false, false]),
        ("a<1", [false, false, false]),
        ("a,!b", [true, true, false]),
        ("a,b", [false, false, false]),
        ("a!=2,a!=1", [false, true, true]),
    ] {
        let on = [labels(&[("a", "1")]), labels(&[("a", "")]), labels(&[])];
        assert_eq!(on.map(|labels| parsed(selector).matches(&labels)), expected, "{selector:?}");
    }
    for (value, above, below) in
        [("9", false, true), ("11", true, false), ("10", false, false), ("x", false, false)]
    {
        let labels = labels(&[("a", value)]);
        assert_eq!(
            (parsed("a>10").matches(&labels), parsed("a<10").matches(&labels)),
            (above, below),
            "{value}"
        );
    }
}

#[test]
fn white_space_and_words_of_the_grammar_are_taken_as_the_server_takes_them() {
    for (text, same_as) in [
        (" \t\r\n", ""),
        ("a  in\t( x ,y )", "a in (x,y)"),
        ("a in(x)", "a=x"),
        ("a notin\n (x,x)", "a!=x"),
        ("in in (in, notin)", "in in (in,notin)"),
        ("notin,!in", "notin,!in"),
        ("! a ,b = c", "!a,b=c"),
        ("example.com/a.b_c-d==1.0_x-y", "example.com/a.b_c-d=1.0_x-y"),
        ("a in (,x)", "a in (,x)"),
        ("a> 007", "a>7"),
    ] {
        assert_eq!(parsed(text).to_string(), same_as, "{text:?}");
    }
}

#[test]
fn what_the_server_refuses_is_refused() {
    let long = "x".repeat(64);
    for text in [
        ",",
        "a,",
        "a,,b",
        ",a",
        "!",
        "!!a",
        "!a=1",
        "=",
        "=1",
        "a===",
        "a=!b",
        "a b",
        "a b c",
        "a in",
        "a in x",
        "a in (",
        "a in (x",
        "a in (x y)",
        "a in (x))",
        "a notin(",
        "a nott in (y)",
        "a in (x)b",
        "(",
        "a (",
        "a>",
        "a>x",
        "a>1.5",
        "a>-1",
        "a<99999999999999999999",
        "a>(1)",
        "-a",
        "a-",
        "a/b/c",
        "/a",
        "a/",
        "A.b/c",
        "a..b/c",
        "é=1",
        "a=é",
        "a=-b",
        "a=b-",
        "a=b/c",
        "a in (b,c/d)",
        "a||b",
        "a=b;c",
        &long,
        &format!("a={long}"),
        &format!("{}/a", vec!["x"; 128].join(".")),
    ] {
        let refused = text.parse::<Selector>();
        assert!(refused.is_err(), "{text:?} gave {:?}", refused.unwrap().to_string());
    }
    assert_eq!(
        "a in (x".parse::<Selector>().unwrap_err().to_string(),
        "invalid label selector: it ends where ',' or ')' should be"
    );
    for text in [&long[1..], &format!("{}/a={}", vec!["x"; 127].join("."), &long[1..])] {
        parsed(text);
    }
}

#[test]
fn selectors_of_specs_are_taken_over() {
    let spec = |json| serde_json::from_value::<LabelSelector>(json).unwrap();
    let selector = Selector::try_from(spec(json!({
        "matchLabels": { "app": "web" },
        "matchExpressions": [
            { "key": "tier", "operator": "In", "values": ["b", "a"] },
            { "key": "zone", "operator": "NotIn", "values": ["x"] },
            { "key": "owner", "operator": "Exists" },
            { "key": "canary", "operator": "DoesNotExist", "values": [] },
        ],
    })));
    assert_eq!(selector.unwrap().to_string(), "app=web,tier in (a,b),zone!=x,owner,!canary");
    assert!(Selector::try_from(spec(json!({}))).unwrap().selects_all());
    for wrong in [
        json!({ "key": "a", "operator": "In" }),
        json!({ "key": "a", "operator": "NotIn", "values": [] }),
        json!({ "key": "a", "operator": "Exists", "values": ["x"] }),
        json!({ "key": "a", "operator": "in", "values": ["x"] }),
        json!({ "key": "", "operator": "Exists" }),
        json!({ "key": "a", "operator": "In", "values": ["-"] }),
    ] {
        let refused = Selector::try_from(spec(json!({ "matchExpressions": [wrong] })));
        assert!(refused.is_err(), "{wrong}");
    }
}

#[test]
fn an_object_without_labels_is_one_with_none() {
    let pod = k8s_openapi::api::core::v1::Pod::default();
    assert!(parsed("!a").selects(&pod) && parsed("a!=1").selects(&pod) && !parsed("a").selects(&pod));
}

/// Few names and values, so that they often coincide.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "7", "12", "x.y"]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![4 => word(), 1 => Just(String::new())]
}

fn expression() -> impl Strategy<Value = Expression> {
    let values = || prop::collection::btree_set(value(), 1..4);
    prop_oneof![
        (word(), values()).prop_map(|(key, values)| Expression::In(key, values)),
        (word(), values()).prop_map(|(key, values)| Expression::NotIn(key, values)),
        (word(), value()).prop_map(|(key, value)| Expression::Equal(key, value)),
        (word(), value()).prop_map(|(key, value)| Expression::NotEqual(key, value)),
        word().prop_map(Expression::Exists),
        word().prop_map(Expression::DoesNotExist),
    ]
}

proptest! {
    /// The oracle is kube-core's evaluation. It has no parser and no numeric operators.
    #[test]
    fn kubes_selectors_match_what_they_matched(
        expressions in prop::collection::vec(expression(), 0..5),
        labels in prop::collection::btree_map(word(), value(), 0..5),
    ) {
        let kubes: kube_core::Selector = expressions.into_iter().collect();
        let ours = Selector::try_from(kubes.clone()).unwrap();
        prop_assert_eq!(ours.matches(&labels), kubes.matches(&labels), "{}", ours);
        // Both texts parse to the same selector.
        prop_assert_eq!(&parsed(&kubes.to_string()), &ours);
        prop_assert_eq!(&parsed(&ours.to_string()), &ours);
    }

    #[test]
    fn any_text_is_parsed_or_refused_and_prints_as_it_means(text in "[ab7!=<>(), /.-]{0,12}|[ab]( not)?in \\([ab7, ]{0,5}\\)") {
        if let Ok(selector) = text.parse::<Selector>() {
            prop_assert_eq!(parsed(&selector.to_string()), selector);
        }
    }

    #[test]
    fn numbers_compare_as_numbers(bound in 0..20_i64, value in "[0-9]{1,3}|x") {
        let labels = labels(&[("n", &value)]);
        let number = value.parse::<i64>().ok();
        prop_assert_eq!(parsed(&format!("n>{bound}")).matches(&labels), number.is_some_and(|n| n > bound));
        prop_assert_eq!(parsed(&format!("n<{bound}")).matches(&labels), number.is_some_and(|n| n < bound));
    }
}

/// Compares with the independent parser and evaluation of the in-process server.
#[cfg(feature = "testing")]
mod beside_the_server {
    use super::*;
    use crate::testing::ApiServer;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_in_process_server_lists_the_same(
            texts in prop::collection::vec("((!?[abc])|([abc](=|==|!=|>|<)[ab12]?)|([abc] (not)?in \\([ab12]?(,[ab12]?){0,2}\\)))(,(!?[abc]|[abc]!=[ab12]))?|[abc][ =!(),]{1,3}[ab]", 1..20),
            objects in prop::collection::vec(prop::collection::btree_map("[abc]", "[ab12]?", 0..3), 0..12),
        ) {
            let server = ApiServer::new();
            for (at, labels) in objects.iter().enumerate() {
                let metadata = json!({ "name": format!("m{at}"), "namespace": "default", "labels": labels });
                server.create(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap();
            }
            for text in texts {
                let listed = listed(&server, &text);
                let ours = text.parse::<Selector>().ok();
                let ours = ours.map(|selector| {
                    let selected = objects.iter().enumerate().filter(|(_, labels)| selector.matches(labels));
                    selected.map(|(at, _)| format!("m{at}")).collect::<BTreeSet<_>>()
                });
                prop_assert_eq!(ours, listed, "{}", text);
            }
        }
    }

    /// The names that a list request returns; `None` if it is rejected.
    fn listed(server: &ApiServer, selector: &str) -> Option<BTreeSet<String>> {
        use futures_util::FutureExt;
        use k8s_openapi::api::core::v1::ConfigMap;
        use kube_client::{Api, Client, api::ListParams};

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let list = runtime.block_on(async {
            let client = Client::new(server.service(), "default");
            let parameters = ListParams::default().labels(selector);
            Api::<ConfigMap>::all(client).list(&parameters).map(Result::ok).await
        });
        let names = |meta: ObjectMeta| meta.name.unwrap();
        Some(list?.items.into_iter().map(|map| names(map.metadata)).collect())
    }
}
