//! Where selectors are, what finds them, and what a change copies.

use std::sync::Weak;

use equivalent::Equivalent as _;

use super::*;
use crate::free::Remains as _;

/// A key as the table has it.
fn key(namespace: Option<&str>, selector: &str) -> SharedKey {
    let key = SelectorKey::new(namespace, selector.parse().unwrap());
    Arc::new(HashedKey { hash: 0, place: None, key })
}

fn directory(keys: &[SharedKey]) -> Directory {
    let mut directory = Directory::new();
    keys.iter().for_each(|key| directory.add(key));
    directory.validate(keys);
    directory
}

/// The selectors that may match, in the order of their text.
fn visited(directory: &Directory, namespace: &str, labels: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    directory.visit(namespace, labels.iter().copied(), &mut |key| found.push(key.key.to_string()));
    found.sort();
    found
}

#[test]
fn a_bucket_is_found_by_borrowed_texts() {
    let hasher = KeyHasher::new();
    let some = [None, Some("a"), Some("b"), Some("")];
    let all = (0..64).map(|at| {
        let [namespace, label, value] = [at / 16, at / 4 % 4, at % 4].map(|at| some[at]);
        BucketRef::new(namespace, label, value)
    });
    let all: Vec<_> = all.collect();
    for bucket in &all {
        let owned = bucket.to_bucket();
        assert_eq!(hasher.index_key(bucket), hasher.index_key(&owned), "{bucket:?}");
        assert_eq!(all.iter().filter(|other| (**other).equivalent(&owned)).collect::<Vec<_>>(), [bucket]);
    }
}

#[test]
fn only_selectors_that_require_a_label_of_the_object_are_visited() {
    let everywhere = ["app=web", "app in (web,proxy)", "app", "size>3", "!app", "app!=web", ""];
    let mut keys: Vec<_> = everywhere.iter().map(|text| key(None, text)).collect();
    keys.extend([key(Some("shop"), "app=web"), key(Some("blog"), "app=web"), key(Some("shop"), "")]);
    keys.push(Arc::new(HashedKey { hash: 0, place: None, key: SelectorKey::INVALID }));
    let directory = directory(&keys);
    // These require no label.
    let always = ["!app in all namespaces", "app!=web in all namespaces", "everything in all namespaces"];
    let expect = |namespace: &str, labels: &[(&str, &str)], more: &[&str]| {
        let mut expected: Vec<_> = always.iter().chain(more).map(|text| (*text).to_owned()).collect();
        expected.sort();
        assert_eq!(visited(&directory, namespace, labels), expected, "{labels:?} in {namespace}");
    };
    expect("", &[], &[]);
    expect("other", &[("tier", "web")], &[]);
    expect("shop", &[("tier", "app")], &["everything in shop"]);
    expect("other", &[("app", "proxy")], &["app in all namespaces", "app in (proxy,web) in all namespaces"]);
    let web = [
        "app in all namespaces",
        "app in (proxy,web) in all namespaces",
        "app=web in all namespaces",
        "app=web in blog",
    ];
    expect("blog", &[("app", "web")], &web);
    expect("other", &[("size", "1")], &["size>3 in all namespaces"]);
}

#[test]
fn a_label_that_all_selectors_have_in_common_fills_no_bucket() {
    // Both orders: the common label is the first of some selectors, and the last of others.
    for common in ["a", "z"] {
        let texts = (0..1000).map(|at| format!("{common}=same,app=web-{at},name"));
        let keys: Vec<_> = texts.map(|text| key(None, &text)).collect();
        let directory = directory(&keys);
        let labels = [(common, "same"), ("app", "web-7"), ("name", "x")];
        assert!(visited(&directory, "", &labels).len() <= 2);
    }
}

#[test]
fn a_selector_of_many_values_is_in_all_their_buckets_and_leaves_them() {
    let many = key(None, "app in (a,b,c),app in (b,c,d)");
    let texts = ["app=a", "app=b", "app in (c,d)", "app in (a,b),app in (b)"];
    let mut keys: Vec<_> = texts.iter().map(|text| key(None, text)).collect();
    keys.push(many.clone());
    let mut directory = directory(&keys);
    directory.remove(&many);
    keys.pop();
    directory.validate(&keys);
    // In another order than they came.
    while let Some(key) = keys.pop() {
        directory.remove(&key);
        directory.validate(&keys);
    }
    assert_eq!(directory.buckets.iter().len(), 0);
}

#[test]
fn versions_share_the_buckets_that_did_not_change() {
    let keys: Vec<_> = (0..1000).map(|at| key(None, &format!("app=web-{}", at % 500))).collect();
    let old = directory(&keys);
    let mut new = old.clone();
    let differ = |old: &Directory, new: &Directory| Multimap::diff(&old.buckets, &new.buckets).count();
    assert_eq!(differ(&old, &new), 0);
    new.remove(&keys[7]);
    assert_eq!(differ(&old, &new), 1);
    let added = key(Some("shop"), "app in (web-8,web-9,new)");
    new.add(&added);
    assert_eq!(differ(&old, &new), 4, "one bucket of the removed key, three of the added");
    // The old version has its content still.
    old.validate(&keys);
    new.remove(&added);
    new.add(&keys[7]);
    new.validate(&keys);
}

#[test]
fn it_is_freed_in_parts_and_completely() {
    let keys: Vec<_> = (0..2000).map(|at| key(None, &format!("app=web-{at},x in (a,b)"))).collect();
    let one = key(None, "app=other");
    let mut directory = directory(&keys);
    directory.add(&one);
    directory.remove(&one);
    assert_eq!(Arc::strong_count(&one), 1, "a removed selector is not kept");
    let weak: Vec<Weak<_>> = keys.iter().map(Arc::downgrade).collect();
    drop(keys);
    assert!(weak.iter().all(|key| key.strong_count() == 1), "one bucket has it");
    let mut remains = directory.into_remains();
    let mut parts = 0;
    while remains.free_some() {
        parts += 1;
    }
    assert!(parts > 50, "freed in {parts} parts");
    assert!(weak.iter().all(|key| key.strong_count() == 0));
}
