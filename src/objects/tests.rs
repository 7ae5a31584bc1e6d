//! Compares a map of objects with an oracle: random histories, old versions that are kept, and hashes that collide.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::ObjectMap;
use super::places::{Places, Prefix};
use crate::hash::KeyHasher;
use crate::index::IndexKeys;
use crate::key::Key;
use crate::object::{Identity, Obj};
use crate::slab::Slot;
use crate::version::ResourceVersion;

type Model = BTreeMap<String, Obj<u32>>;

fn object(name: &str, slot: Slot, value: u32) -> Obj<u32> {
    let identity =
        Identity { key: Key { namespace: "", name }, uid: "", version: &ResourceVersion::from_number(1) };
    let mut object = Obj::new(&identity, value).unwrap();
    Obj::set_place(&mut object, slot, IndexKeys::NONE);
    object
}

fn put(objects: &mut ObjectMap<u32>, model: &mut Model, name: &str, value: u32) -> Slot {
    let hash = objects.hasher.object(Key { namespace: "", name });
    let slot = model.get(name).and_then(Obj::slot).unwrap_or_else(|| objects.vacant(hash));
    let new = object(name, slot, value);
    let (old, expected) = (objects.insert(new.clone(), hash), model.insert(name.to_owned(), new));
    assert_eq!(old.as_ref().map(Obj::address), expected.as_ref().map(Obj::address));
    slot
}

fn remove(objects: &mut ObjectMap<u32>, model: &mut Model, name: &str) -> Option<Slot> {
    let old = model.remove(name)?;
    let slot = Obj::slot(&old).unwrap();
    assert!(Obj::ptr_eq(&objects.remove(slot).unwrap(), &old));
    Some(slot)
}

fn check(objects: &ObjectMap<u32>, model: &Model, names: u32) {
    objects.validate();
    assert_eq!((objects.len(), objects.is_empty()), (model.len(), model.is_empty()));
    let mut found: Vec<usize> = objects.iter().map(Obj::address).collect();
    let mut expected: Vec<usize> = model.values().map(Obj::address).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(objects.iter().len(), model.len());
    for number in 0..names {
        let name = format!("o{number}");
        let key = Key { namespace: "", name: &name };
        let hash = objects.hasher.object(key);
        let expected = model.get(&name).map(Obj::address);
        assert_eq!(objects.get(hash, key).map(Obj::address), expected);
        assert_eq!(objects.of_hash(hash).into_iter().map(Obj::address).next(), expected);
    }
}

type Pair = (Option<usize>, Option<usize>);

fn expected_differences(old: &Model, new: &Model) -> Vec<Pair> {
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let pair = |name| (old.get(name).map(Obj::address), new.get(name).map(Obj::address));
    let mut all: Vec<Pair> = names.map(pair).filter(|(old, new)| old != new).collect();
    all.sort_unstable();
    all
}

fn found<'a>(differences: impl Iterator<Item = super::Difference<'a, u32>>) -> Vec<Pair> {
    let address = |object: Option<&Obj<u32>>| object.map(Obj::address);
    let mut all: Vec<Pair> = differences.map(|(old, new)| (address(old), address(new))).collect();
    all.sort_unstable();
    all
}

#[test]
fn agrees_with_a_map_in_every_version() {
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let names = [6, 60, 2_000][seed as usize % 3];
        let (mut objects, mut model) = (ObjectMap::new(KeyHasher::new()), Model::new());
        if seed % 2 == 0 {
            objects.reserve(random.random_range(0..2_000));
        }
        let mut held = vec![(objects.clone(), model.clone())];
        for round in 0..60 {
            let (before, model_before) = (objects.clone(), model.clone());
            // Dropped: what it has added stays in the shared table, and must not be found.
            let (mut dropped, mut dropped_model) = (objects.clone(), model.clone());
            let mut touched = Vec::new();
            let most = if round % 2 == 0 { 10 } else { 300 };
            for _ in 0..random.random_range(0..most) {
                let name = format!("o{}", random.random_range(0..names));
                let value = random.random();
                put(&mut dropped, &mut dropped_model, &format!("o{}", random.random_range(0..names)), value);
                match random.random_bool(0.6) {
                    true => touched.push(put(&mut objects, &mut model, &name, value)),
                    false => touched.extend(remove(&mut objects, &mut model, &name)),
                }
            }
            check(&objects, &model, names);
            let expected = expected_differences(&model_before, &model);
            assert_eq!(found(ObjectMap::differences(&before, &objects)), expected);
            if let [slot] = *touched {
                assert_eq!(found(ObjectMap::difference_at(&before, &objects, Some(slot))), expected);
            }
            touched.sort_unstable();
            touched.dedup();
            assert_eq!(found(ObjectMap::differences_in(&before, &objects, &touched)), expected);
            for (old, old_model) in &held {
                let expected = expected_differences(old_model, &model);
                assert_eq!(found(ObjectMap::differences(old, &objects)), expected);
            }
            if random.random_bool(0.2) {
                held.push((objects.clone(), model.clone()));
            }
        }
        for (old, old_model) in &held {
            check(old, old_model, names);
        }
    }
}

/// The table alone, with hashes of few bits and slots that are used again.
#[test]
fn every_entry_is_found_however_hashes_collide() {
    for (seed, mask) in [u64::MAX, 0, 0b111, 0xFFF, 1 << 31, 0xF000_0000].into_iter().enumerate() {
        let mut random = StdRng::seed_from_u64(seed as u64);
        let mut places = Places::default();
        let mut current: BTreeMap<Slot, u32> = BTreeMap::new();
        let mut held = Vec::new();
        for step in 0..6_000_u64 {
            let slot = Slot::of(random.random_range(0..3_000));
            if random.random_bool(0.3) {
                current.remove(&slot);
                continue;
            }
            let hash = (random.random::<u32>() as u64 & mask) << 32 | step;
            current.insert(slot, (hash >> 32) as u32);
            places.insert(Prefix::of(hash), slot, |prefix, slot| {
                current.get(&slot).is_some_and(|hash| Prefix::of(u64::from(*hash) << 32) == prefix)
            });
            if step % 1_500 == 0 {
                held.push((places.clone(), current.clone()));
            }
        }
        held.push((places, current));
        for (places, current) in &held {
            places.validate();
            for (slot, hash) in current {
                let mut times = 0;
                places.find(Prefix::of(u64::from(*hash) << 32), |found| {
                    times += u32::from(found == *slot);
                    None::<()>
                });
                assert_eq!(times, 1);
            }
        }
    }
}

#[test]
fn an_update_and_a_removal_change_no_table() {
    let (mut objects, mut model) = (ObjectMap::new(KeyHasher::new()), Model::new());
    (0..100).for_each(|number| _ = put(&mut objects, &mut model, &format!("o{number}"), 0));
    let entries = objects.places.len();
    assert_eq!(entries, 100, "there are no homes");
    put(&mut objects, &mut model, "o7", 1);
    remove(&mut objects, &mut model, "o8");
    // The lowest slot is used again, so the same object finds its old entry.
    put(&mut objects, &mut model, "o8", 2);
    assert_eq!(objects.places.len(), entries);
    check(&objects, &model, 100);
}

#[test]
fn a_hundred_thousand_objects_are_found() {
    for reserved in [0, 100_000] {
        let (mut objects, mut model) = (ObjectMap::new(KeyHasher::new()), Model::new());
        objects.reserve(reserved);
        (0..100_000).for_each(|number| _ = put(&mut objects, &mut model, &format!("o{number}"), 0));
        check(&objects, &model, 100_001);
    }
}

/// All others at its home are gone, and with them the nodes of the array that only they were in.
#[test]
fn an_object_that_is_not_at_home_is_found_when_its_home_is_empty() {
    let (mut objects, mut model) = (ObjectMap::new(KeyHasher::new()), Model::new());
    objects.reserve(10_000);
    let home_of = |objects: &ObjectMap<u32>, name: &str| {
        objects.home(objects.hasher.object(Key { namespace: "", name })).expect("there are homes")
    };
    let home = home_of(&objects, "o0").max(200);
    let names: Vec<String> = (0..)
        .map(|number| format!("o{number}"))
        .filter(|name| home_of(&objects, name) == home)
        .take(17)
        .collect();
    let slots: Vec<Slot> = names.iter().map(|name| put(&mut objects, &mut model, name, 0)).collect();
    assert!(slots[..16].iter().all(|slot| slot.leaf() == home) && slots[16].leaf() != home);
    names[..16].iter().for_each(|name| _ = remove(&mut objects, &mut model, name));
    objects.validate();
    assert_eq!(objects.len(), 1);
}
