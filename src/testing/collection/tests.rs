//! Reads at old versions against full copies kept by the test.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::*;

fn version(version: u64, name: &str) -> Version {
    Version::new(version, json!({ "metadata": { "name": name, "resourceVersion": version.to_string() } }))
}

#[test]
fn a_read_at_any_remembered_version_is_the_copy_made_then() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let limit = random.random_range(5..60);
        let mut collection = Collection::new(Kind::namespaced("g", "v1", "K", "ks"), 0, limit);
        let mut now = BTreeMap::new();
        let mut copies = vec![(0, now.clone())];
        for at in 1..120_u64 {
            let key =
                format!("{}/{}", ["a", "a-b", "b"][random.random_range(0..3)], random.random_range(0..6));
            if random.random_bool(0.6) {
                collection.apply(&key, at, Some(version(at, &key)));
                now.insert(key, at);
            } else if now.remove(&key).is_some() {
                collection.apply(&key, at, None);
            }
            copies.push((at, now.clone()));
        }
        for (at, copy) in copies.iter().filter(|(at, _)| *at >= collection.list_floor()) {
            for (prefix, start) in [("", ""), ("a/", ""), ("a/", "a/3\0"), ("", "a-b/2"), ("b/", "b/9")] {
                let read: Vec<(&str, u64)> = collection
                    .at(*at, prefix, start)
                    .map(|object| (object.name(), object.version()))
                    .collect();
                let expected: Vec<(&str, u64)> = copy
                    .iter()
                    .filter(|(key, _)| key.starts_with(prefix) && key.as_str() >= start)
                    .map(|(key, version)| (key.as_str(), *version))
                    .collect();
                assert_eq!(read, expected, "seed {seed}, version {at}, prefix {prefix:?}, start {start:?}");
            }
        }
    }
}

#[test]
fn a_full_history_raises_the_floors() {
    let mut collection = Collection::new(Kind::cluster("g", "v1", "K", "ks"), 10, 3);
    assert_eq!((collection.watch_floor(), collection.list_floor()), (10, 0));
    for at in 11..=15 {
        collection.apply("a", at, Some(version(at, "a")));
    }
    assert_eq!((collection.watch_floor(), collection.list_floor()), (12, 12));
    let left: Vec<u64> = collection.changes_after(0).map(|change| change.version).collect();
    assert_eq!(left, [13, 14, 15]);
    assert_eq!(collection.changes_after(14).count(), 1);
    collection.compact(14);
    assert_eq!((collection.watch_floor(), collection.changes_after(0).count()), (14, 1));
}
