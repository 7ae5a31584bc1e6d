//! Compares a slab with a map: random histories, and old versions that are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::node::{LEAF, TOP};
use super::{Slab, Slot};
use crate::free::Remains as _;

type Item = Arc<u32>;
type Model = BTreeMap<usize, Item>;

/// `len` objects in the first slots.
fn filled(len: usize) -> (Slab<Item>, Model) {
    let (mut slab, mut model) = (Slab::new(), Model::new());
    for at in 0..len {
        let item = Arc::new(at as u32);
        let slot = slab.vacant();
        assert_eq!((slot.index(), slab.set(slot, item.clone(), None)), (at, None));
        model.insert(at, item);
    }
    (slab, model)
}

fn check(slab: &Slab<Item>, model: &Model) {
    slab.validate();
    assert!(slab.iter().map(Arc::as_ptr).eq(model.values().map(Arc::as_ptr)));
    let first = (0..).find(|at| !model.contains_key(at));
    assert_eq!(Some(slab.clone().vacant().index()), first, "the lowest vacant slot");
    assert_eq!(slab.root.is_none(), model.is_empty());
    let end = model.keys().next_back().map_or(0, |last| last + 1);
    for at in (0..end.min(3000)).chain(end.saturating_sub(20)..end + 20) {
        assert_eq!(slab.get(Slot::of(at)).map(Arc::as_ptr), model.get(&at).map(Arc::as_ptr), "{at}");
    }
}

#[test]
fn agrees_with_a_map() {
    for (seed, len) in [0, 3, LEAF, 40, 300, TOP - 3, TOP + 5, 2 * TOP + 400].into_iter().enumerate() {
        println!("seed {seed}, {len} objects");
        let mut random = StdRng::seed_from_u64(seed as u64);
        let (mut slab, mut model) = filled(len);
        check(&slab, &model);
        let mut held = vec![(slab.clone(), model.clone())];
        let mut growth = 50;
        for step in 0..2000 {
            if step % 100 == 0 {
                growth = [3, 30, 50, 70, 97][random.random_range(0..5)];
                check(&slab, &model);
            }
            // Also the last ones, so that the root becomes shorter.
            let end = model.keys().next_back().map_or(0, |last| last + 1);
            let at = if step % 3 == 0 { end.saturating_sub(1) } else { random.random_range(0..end + 1) };
            let item = Arc::new(step);
            match random.random_range(0..100) {
                add if add < growth => {
                    let slot = slab.vacant();
                    assert_eq!(slab.set(slot, item.clone(), None), None);
                    assert!(model.insert(slot.index(), item).is_none());
                }
                replace if replace % 2 == 0 && model.contains_key(&at) => {
                    assert_eq!(slab.set(Slot::of(at), item.clone(), None), model.insert(at, item));
                }
                _ => assert_eq!(slab.remove(Slot::of(at)), model.remove(&at)),
            }
            match random.random_range(0..60) {
                0 => held.push((slab.clone(), model.clone())),
                1 => drop(held.pop()),
                2 if !held.is_empty() => (slab, model) = held[random.random_range(0..held.len())].clone(),
                _ => {}
            }
            held.truncate(5);
        }
        for (slab, model) in &held {
            check(slab, model);
        }
        held.clear();
        assert!(model.values().all(|item| Arc::strong_count(item) == 2), "an object is leaked");
        for at in model.keys() {
            assert!(slab.remove(Slot::of(*at)).is_some());
        }
        check(&slab, &Model::new());
        assert!(model.values().all(|item| Arc::strong_count(item) == 1));
    }
}

#[test]
fn a_change_copies_the_neighbours_in_one_leaf_only() {
    let (old, model) = filled(3 * TOP / 2);
    let at = TOP + 7 * LEAF + 3;
    let mut new = old.clone();
    assert_eq!(new.set(Slot::of(at), Arc::new(0), None).as_ref(), model.get(&at));
    let shared: Vec<usize> =
        model.iter().filter(|(_, item)| Arc::strong_count(item) > 2).map(|(at, _)| *at).collect();
    let leaf = at / LEAF * LEAF;
    assert_eq!(shared, (leaf..leaf + LEAF).filter(|other| *other != at).collect::<Vec<_>>());
    // In place: nothing shares the new path.
    new.set(Slot::of(at), Arc::new(1), None);
    new.remove(Slot::of(at - 1));
    assert!(model.values().all(|item| Arc::strong_count(item) <= 3));
    check(&old, &model);
    // A vacant slot copies nothing.
    let same = new.clone();
    assert_eq!(new.remove(Slot::of(at - 1)), None);
    assert!(std::ptr::eq(new.tops(), same.tops()));
}

#[test]
fn a_slab_is_freed_in_parts_without_what_others_share() {
    let (old, model) = filled(TOP + 100);
    let mut new = old.clone();
    let added: Vec<Item> = (0..100).map(Arc::new).collect();
    for item in &added {
        let slot = new.vacant();
        new.set(slot, item.clone(), None);
    }
    let mut pieces = new.into_pieces();
    while pieces.free_some() {}
    assert!(added.iter().all(|item| Arc::strong_count(item) == 1));
    check(&old, &model);
    let (mut pieces, mut parts) = (old.into_pieces(), 0);
    while pieces.free_some() {
        parts += 1;
        let freed = model.values().filter(|item| Arc::strong_count(item) == 1).count();
        assert!(parts > 40 || freed <= parts * LEAF, "{freed} objects in {parts} parts");
    }
    assert!(model.values().all(|item| Arc::strong_count(item) == 1));
}
