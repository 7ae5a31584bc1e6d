//! Random histories, with old versions that are kept and used again, compared with a `HashMap`.

use super::diff::check_diff;
use super::item::{Item, Random, mix};
use super::shape::same_shape;
use super::{Model, Trie, check_content};

struct World<const B: u32, const N: usize> {
    trie: Trie<Item, B, N>,
    model: Model,
}

impl<const B: u32, const N: usize> Clone for World<B, N> {
    fn clone(&self) -> Self {
        Self { trie: self.trie.clone(), model: self.model.clone() }
    }
}

impl<const B: u32, const N: usize> World<B, N> {
    fn check(&self) {
        check_content(&self.trie, &self.model);
    }

    /// One random operation; `growth` is the chance of an insertion in percent.
    fn step(&mut self, random: &mut Random, keys: u64, growth: u64, spoil: fn(u64) -> u64, value: u64) {
        let key = random.below(keys);
        let hash = spoil(mix(key));
        let is = |item: &Item| item.key() == key;
        let before = self.trie.clone();
        let known = self.model.contains_key(&key);
        if random.below(100) < growth {
            let item = Item::new(hash, key, value);
            let replaced = self.trie.insert(item.clone());
            let expected = self.model.insert(key, item);
            assert_eq!(replaced.map(|item| item.address()), expected.map(|item| item.address()));
            assert!(!self.trie.ptr_eq(&before));
        } else if random.below(4) == 0 {
            let updated = self.trie.update(hash, is, |item| {
                item.set_value(value);
                item.clone()
            });
            assert_eq!(updated.is_some(), known);
            assert_eq!(self.trie.ptr_eq(&before), !known, "a miss must copy nothing, a hit the path");
            if let Some(item) = updated {
                self.model.insert(key, item);
            }
        } else {
            let removed = self.trie.remove(hash, is);
            let expected = self.model.remove(&key);
            assert_eq!(removed.map(|item| item.address()), expected.map(|item| item.address()));
            assert_eq!(self.trie.ptr_eq(&before), !known, "a miss must copy nothing, a hit the path");
        }
        assert!(self.trie.get(hash, |_| false).is_none());
        self.trie.validate();
    }
}

fn run<const B: u32, const N: usize>(seed: u64, keys: u64, steps: u64, spoil: fn(u64) -> u64) {
    println!("B {B}, N {N}, seed {seed}, keys {keys}");
    let mut random = Random::new(seed);
    let mut now = World { trie: Trie::<Item, B, N>::new(), model: Model::new() };
    let mut held: Vec<World<B, N>> = Vec::new();
    let mut growth = 50;
    for step in 0..steps {
        if step % 97 == 0 {
            growth = [10, 35, 50, 65, 90][random.below(5) as usize];
        }
        now.step(&mut random, keys, growth, spoil, step);
        let any = |random: &mut Random, held: &[World<B, N>]| random.below(held.len() as u64) as usize;
        match random.below(40) {
            0 => held.push(now.clone()),
            1 if !held.is_empty() => drop(held.swap_remove(any(&mut random, &held))),
            2 if !held.is_empty() => now = held[any(&mut random, &held)].clone(),
            _ => {}
        }
        if held.len() > 5 {
            held.remove(0);
        }
        if step % 150 == 149 {
            let built = Trie::<Item, B, N>::from_elements(now.model.values().cloned().collect());
            built.validate();
            assert!(same_shape(&built, &now.trie), "shape depends on history");
            held.push(now.clone());
            for old in &held {
                old.check();
                for new in &held {
                    check_diff(&old.trie, &old.model, &new.trie, &new.model);
                }
            }
            held.pop();
        }
    }
    // No element is leaked or counted twice.
    drop(held);
    assert!(now.model.values().all(|item| item.count() == 2));
    drop(now.trie);
    assert!(now.model.values().all(|item| item.count() == 1));
}

/// Well-mixed hashes in maps of three sizes, and hashes degraded in ways that each stress another part.
fn all<const B: u32, const N: usize>() {
    let hash: fn(u64) -> u64 = |hash| hash;
    run::<B, N>(1, 40, 1200, hash);
    run::<B, N>(2, 400, 1200, hash);
    run::<B, N>(3, 3000, 1500, hash);
    let spoilers: [fn(u64) -> u64; 10] = [
        |_| 0,                                      // all keys collide
        |hash| hash & 0xf,                          // one leaf beyond its limit, sixteen tags
        |hash| hash & 0xff,                         // one range, distinguished by tags
        |hash| hash & (7 << 61),                    // eight hashes of one tag
        |hash| hash >> 50,                          // long one-sided chains of nodes
        |hash| (hash & (3 << 62)) | (hash & 0x3ff), // four such chains
        |hash| hash & 0xf0f0_0000_0000_0010,        // gaps between the bits that differ
        |hash| hash | !0xf3,                        // the last ranges of all nodes, and collisions
        |hash| hash & !0xff,                        // good shape, useless tags
        |hash| (hash & (0x3f << 54)) | 0x55,        // collisions a few levels down
    ];
    for (seed, spoil) in (4..).zip(spoilers) {
        run::<B, N>(seed, 200, 1050, spoil);
    }
}

#[test]
fn agrees_with_a_map_in_the_default_shape() {
    all::<5, 16>();
}

#[test]
fn agrees_with_a_map_in_the_deepest_shape() {
    all::<5, 2>();
}

#[test]
fn agrees_with_a_map_in_narrower_shapes() {
    all::<4, 16>();
    all::<4, 8>();
    all::<3, 8>();
    all::<3, 1>();
}

#[test]
fn agrees_with_a_map_of_a_hundred_thousand() {
    let keys = 100_000;
    let model: Model = (0..keys).map(|key| (key, Item::mixed(key, 0))).collect();
    let built = Trie::<Item>::from_elements(model.values().cloned().collect());
    check_content(&built, &model);

    let mut grown = Trie::<Item>::new();
    for item in model.values() {
        assert!(grown.insert(item.clone()).is_none());
    }
    assert!(same_shape(&built, &grown));

    let mut shrunk = grown.clone();
    let gone = |key: &u64| !key.is_multiple_of(100);
    for key in (0..keys).filter(gone) {
        assert!(shrunk.remove(mix(key), |item| item.key() == key).is_some());
    }
    let rest: Model =
        model.iter().filter(|(key, _)| !gone(key)).map(|(k, item)| (*k, item.clone())).collect();
    check_content(&shrunk, &rest);
    assert!(same_shape(&shrunk, &Trie::from_elements(rest.values().cloned().collect())));
    check_content(&grown, &model);
    check_diff(&grown, &model, &shrunk, &rest);
    check_diff(&shrunk, &rest, &grown, &model);
    // Built separately, the two share no nodes but all elements.
    assert!(!built.ptr_eq(&grown));
    assert_eq!(Trie::diff(&built, &grown).count(), 0);
}

#[test]
fn fuzz_trie() {
    crate::fuzz::fuzz_seeds(|seed| {
        run::<5, 16>(seed, 300, 600, |hash| hash);
        run::<5, 2>(seed, 100, 600, |hash| hash & 0xff);
    });
}
