//! Compares the store with a model under random batches, lists and failures, with held snapshots and replayed
//! changes.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::index::MissingIndex;
use crate::reflector::Sink;
use crate::snapshot::{Snapshot, View};
use crate::subscribe::{Change, differences};

/// The object that the server has under a key.
#[derive(Clone)]
struct Object {
    uid: u64,
    version: u64,
    served: Served,
}

/// The expected content of the store.
#[derive(Clone, Default)]
struct Model {
    good: BTreeMap<ObjectKey, (u64, u64, Value)>,
    invalid: BTreeMap<ObjectKey, u64>,
    /// Whether there is an index that panics for some numbers (see [`is_odd_one`]).
    picky: bool,
}

/// Numbers for which the picky index panics.
fn is_odd_one(number: u64) -> bool {
    number % 50 == 49
}

impl Model {
    fn take_in(&mut self, key: &ObjectKey, object: &Object) {
        let Object { uid, version, served } = object;
        match served.manner {
            Manner::Good if !(self.picky && is_odd_one(served.value.number)) => {
                self.invalid.remove(key);
                self.good.insert(key.clone(), (*uid, *version, served.value.clone()));
            }
            Manner::LeftOut => {
                self.good.remove(key);
                self.invalid.remove(key);
            }
            _ => {
                // The stored version stays, unless it has another uid.
                if self.good.get(key).is_some_and(|(held, ..)| held != uid) {
                    self.good.remove(key);
                }
                self.invalid.insert(key.clone(), *version);
            }
        }
    }

    fn remove(&mut self, key: &ObjectKey) {
        self.good.remove(key);
        self.invalid.remove(key);
    }
}

#[test]
fn the_store_and_every_index_agree_with_a_model_whatever_happens() {
    quiet_panics();
    for seed in 0..24 {
        run(seed, if seed % 3 == 0 { 12 } else { 300 });
    }
}

fn run(seed: u64, keys: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut harness = harness();
    let shared = harness.intake.lock().shared().clone();
    let mut server: BTreeMap<ObjectKey, Object> = BTreeMap::new();
    let mut model = Model::default();
    let mut version = 10;
    let mut held: Vec<(Snapshot<Value>, Model)> = vec![(shared.snapshot(), Model::default())];
    let list = harness.intake.begin_list(Reuse::Unchanged);
    now(harness.intake.commit(list, Some(ResourceVersion::from_number(version)))).unwrap();
    for step in 0..250 {
        if step == 60 {
            let by_rest = |value: &Value| value.number % 7;
            harness.add_late(by_rest);
        }
        if step == 120 {
            let by_rest = |value: &Value| {
                assert!(!is_odd_one(value.number), "asked for by a test");
                value.number % 7
            };
            harness.add_late(by_rest);
            model.picky = true;
            for (key, (_, version, value)) in &model.good {
                if is_odd_one(value.number) {
                    // An object that is invalid in a newer version stays invalid.
                    model.invalid.entry(key.clone()).or_insert(*version);
                }
            }
        }
        let before = shared.snapshot();
        // The changes at the server...
        let mut events = Vec::new();
        let mut model_after = model.clone();
        for _ in 0..random.random_range(1..20) {
            version += 1;
            let key = key(random.random_range(0..keys));
            match (server.get(&key).cloned(), random.random_range(0..100)) {
                (Some(old), 0..30) => {
                    server.remove(&key);
                    model_after.remove(&key);
                    events.push(WatchEvent::Deleted(Ok(item(&key, old.uid, version, old.served).meta)));
                }
                (old, chance) => {
                    let manner = match random.random_range(0..40) {
                        0 => Manner::Undecodable,
                        1 => Manner::ProjectionPanics,
                        2 => Manner::IndexPanics,
                        3 | 4 => Manner::LeftOut,
                        _ => Manner::Good,
                    };
                    let served = Served { manner, ..good(random.random_range(0..1000)) };
                    // Sometimes a new object with the same name replaces it.
                    let uid = old.filter(|_| chance < 95).map_or(version, |old| old.uid);
                    let object = Object { uid, version, served };
                    model_after.take_in(&key, &object);
                    events.push(applied(item(&key, uid, version, object.served.clone())));
                    server.insert(key, object);
                }
            }
        }
        // ... and how they reach the store.
        match random.random_range(0..10) {
            0 => {
                relist(&mut harness, &server, version, usize::MAX);
                model = listed(&model, &server);
            }
            2 => {
                // A list that is newer than its version, as pages are while the server changes. The store
                // receives the events up to that state again, and none of them reverts the list.
                let reached = version - u64::try_from(events.len()).expect("a few");
                relist(&mut harness, &server, reached, usize::MAX);
                model = listed(&model, &server);
                for event in events {
                    now(harness.intake.apply(&mut vec![event])).expect("events come in order");
                    let view = shared.snapshot();
                    for (key, object) in &server {
                        let is_held = view.get(key).is_some_and(|held| {
                            Obj::resource_version(held) == ResourceVersion::from_number(object.version)
                        });
                        let is_invalid = view.invalid().any(|invalid| invalid.key() == Some(key));
                        match object.served.manner {
                            Manner::LeftOut => {}
                            Manner::Good if !(model.picky && is_odd_one(object.served.value.number)) => {
                                assert!(is_held && !is_invalid, "a later life was harmed");
                            }
                            _ => assert!(is_invalid, "good only because it was"),
                        }
                    }
                }
            }
            1 => {
                // An aborted list changes nothing; the next one starts from the committed state.
                relist(&mut harness, &server, version, random.random_range(0..server.len() + 1));
                check(&shared.snapshot(), &model, &harness);
                relist(&mut harness, &server, version, usize::MAX);
                model = listed(&model, &server);
            }
            _ => {
                now(harness.intake.apply(&mut events)).expect("events come in order");
                model = model_after;
            }
        }
        harness.intake.lock().validate();
        let now = shared.snapshot();
        check(&now, &model, &harness);
        check_differences(&before, &now);
        assert!(
            harness.late.iter().all(|index| now.try_by_index(index, &0).is_ok()),
            "a view of now lacks an index"
        );
        for (old, old_model) in &held {
            check(old, old_model, &harness);
            replay(old, &now);
        }
        if random.random_bool(0.1) {
            held.push((now, model.clone()));
        }
        if held.len() > 5 {
            held.remove(random.random_range(0..held.len()));
        }
    }
}

/// The differences of two views, also if the last change is known, are those of their contents.
fn check_differences(old: &Snapshot<Value>, new: &Snapshot<Value>) {
    let address = |object: Option<&Obj<Value>>| object.map(Obj::address);
    let mut found: Vec<_> = new.differences(old).map(|(old, new)| (address(old), address(new))).collect();
    let (before, after) = (contents(old), contents(new));
    let keys: BTreeSet<&ObjectKey> = before.keys().chain(after.keys()).collect();
    let pairs = keys.into_iter().map(|key| (address(before.get(key)), address(after.get(key))));
    let mut expected: Vec<_> = pairs.filter(|(old, new)| old != new).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "revision {} to {}", old.revision(), new.revision());
}

fn key(number: u64) -> ObjectKey {
    ObjectKey::new(&format!("ns{}", number % 4), &format!("name{number}"))
}

fn relist(harness: &mut Harness, server: &BTreeMap<ObjectKey, Object>, version: u64, at_most: usize) {
    let mut list = harness.intake.begin_list(Reuse::Unchanged);
    for (key, object) in server.iter().take(at_most) {
        let item = item(key, object.uid, object.version, object.served.clone());
        harness.intake.upsert(&mut list, Ok(item));
    }
    if at_most == usize::MAX {
        now(harness.intake.commit(list, Some(ResourceVersion::from_number(version)))).unwrap();
    }
}

/// A list contains every object of the server; the others are removed.
fn listed(before: &Model, server: &BTreeMap<ObjectKey, Object>) -> Model {
    let mut after = before.clone();
    after.good.retain(|key, _| server.contains_key(key));
    after.invalid.retain(|key, _| server.contains_key(key));
    for (key, object) in server {
        after.take_in(key, object);
    }
    after
}

/// Checks that every way to read a view agrees with the model.
fn check(view: &View<Value>, model: &Model, harness: &Harness) {
    assert_eq!(view.len(), model.good.len());
    let mut groups: BTreeMap<&str, BTreeSet<&ObjectKey>> = BTreeMap::new();
    let mut tags: BTreeMap<u8, BTreeSet<&ObjectKey>> = BTreeMap::new();
    let mut namespaces: BTreeMap<&str, BTreeSet<&ObjectKey>> = BTreeMap::new();
    for (key, (uid, version, value)) in &model.good {
        let object = view.get(key).expect("the model has it");
        assert_eq!(**object, *value);
        assert_eq!(Obj::uid(object), format!("uid-{uid}"));
        assert_eq!(Obj::resource_version(object), ResourceVersion::from_number(*version));
        groups.entry(&value.group).or_default().insert(key);
        value.tags.iter().for_each(|tag| _ = tags.entry(*tag).or_default().insert(key));
        namespaces.entry(key.namespace()).or_default().insert(key);
    }
    assert!(view.get(("ns0", "nobody")).is_none());
    assert_eq!(
        view.iter().map(ObjectKey::from).collect::<BTreeSet<_>>(),
        model.good.keys().cloned().collect()
    );
    check_index(view, &harness.by_group, &groups, |group| view.by_index(&harness.by_group, *group));
    check_index(view, &harness.by_tag, &tags, |tag| view.by_index(&harness.by_tag, tag));
    check_index(view, &harness.by_namespace, &namespaces, |name| view.by_index(&harness.by_namespace, *name));
    for (at, index) in harness.late.iter().enumerate() {
        let mut rests: BTreeMap<u64, BTreeSet<&ObjectKey>> = BTreeMap::new();
        for (key, (_, _, value)) in &model.good {
            if at == 0 || !is_odd_one(value.number) {
                rests.entry(value.number % 7).or_default().insert(key);
            }
        }
        match view.try_by_index(index, &0) {
            Ok(_) => check_index(view, index, &rests, |rest| view.by_index(index, rest)),
            Err(missing) => assert_eq!(missing, MissingIndex::Later),
        }
    }
    let invalid: BTreeMap<_, _> = view
        .invalid()
        .map(|error| (error.key().expect("named").clone(), error.resource_version().expect("read").clone()))
        .collect();
    let expected: BTreeMap<_, _> = model
        .invalid
        .iter()
        .map(|(key, version)| (key.clone(), ResourceVersion::from_number(*version)))
        .collect();
    assert_eq!(invalid, expected);
    assert_eq!(view.invalid_len(), expected.len());
}

fn check_index<'a, Q, K>(
    view: &'a View<Value>,
    index: &Index<Value, K>,
    expected: &BTreeMap<Q, BTreeSet<&ObjectKey>>,
    find: impl Fn(&Q) -> crate::snapshot::Hits<'a, Value>,
) where
    K: Send + Sync + 'static,
{
    for (key, objects) in expected {
        let hits = find(key);
        assert_eq!(hits.len(), objects.len());
        // In the order of the keys, as the set is sorted.
        assert!(hits.map(ObjectKey::from).eq(objects.iter().map(|key| (*key).clone())));
    }
    let keys: Vec<usize> = view.index_keys(index).map(|(_, count)| count).collect();
    assert_eq!(keys.len(), expected.len());
    assert_eq!(keys.iter().sum::<usize>(), expected.values().map(BTreeSet::len).sum::<usize>());
}

/// Checks that applying the changes between two versions to the older gives the newer, without duplicates.
fn replay(old: &Snapshot<Value>, new: &Snapshot<Value>) {
    let mut state: BTreeMap<ObjectKey, Obj<Value>> = contents(old);
    let mut touched = BTreeSet::new();
    for change in differences(old, new) {
        let key = change.key().to_owned();
        assert!(touched.insert(key.clone()), "one change per object");
        match change {
            Change::Added(object) => assert!(state.insert(key, object.clone()).is_none()),
            Change::Deleted(object) => assert!(Obj::ptr_eq(&state.remove(&key).expect("was there"), object)),
            Change::Modified { old, new } | Change::Replaced { old, new } => {
                assert_eq!(Obj::same_uid(old, new), matches!(change, Change::Modified { .. }));
                let before = state.insert(key, new.clone()).expect("was there");
                assert!(Obj::ptr_eq(&before, old) && !Obj::ptr_eq(old, new));
            }
        }
    }
    let expected = contents(new);
    assert_eq!(state.len(), expected.len());
    for (key, object) in &expected {
        assert!(Obj::ptr_eq(&state[key], object), "unchanged objects keep their allocation");
    }
}

fn contents(view: &View<Value>) -> BTreeMap<ObjectKey, Obj<Value>> {
    view.iter().map(|object| (ObjectKey::from(object), object.clone())).collect()
}
