//! Compares differences with a brute-force result, and checks their cost.

use std::collections::HashMap;

use super::item::{Item, hashes_read, mix};
use super::{Element, Model, Trie};

type Addresses = (Option<usize>, Option<usize>);

/// Compares the differences of two versions with those of their models.
pub(super) fn check_diff<const B: u32, const N: usize>(
    old: &Trie<Item, B, N>,
    old_model: &Model,
    new: &Trie<Item, B, N>,
    new_model: &Model,
) {
    let address = |item: Option<&Item>| item.map(Item::address);
    let mut found: HashMap<u64, Addresses> = HashMap::new();
    let mut last = 0;
    let mut diff = Trie::diff(old, new);
    for difference in diff.by_ref() {
        if let (Some(old), Some(new)) = (difference.old, difference.new) {
            assert!(old.key() == new.key() && !old.ptr_eq(new), "not a difference");
        }
        let item = difference.old.or(difference.new).expect("a difference of nothing");
        assert!(last <= item.hash(), "not in hash order");
        last = item.hash();
        let sides = (address(difference.old), address(difference.new));
        assert!(found.insert(item.key(), sides).is_none(), "key reported twice");
    }
    assert!(diff.next().is_none(), "iterator not fused");

    let mut expected: HashMap<u64, Addresses> = HashMap::new();
    for key in old_model.keys().chain(new_model.keys()) {
        let sides = (address(old_model.get(key)), address(new_model.get(key)));
        if sides.0 != sides.1 {
            expected.insert(*key, sides);
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn a_diff_looks_only_at_what_changed() {
    let old = Trie::<Item>::from_elements((0..50_000).map(|key| Item::mixed(key, 0)).collect());
    for changes in [0, 1, 10, 100] {
        let mut new = old.clone();
        for key in 0..changes {
            match key % 3 {
                0 => drop(new.insert(Item::mixed(key, 1))),
                1 => drop(new.remove(mix(key), |item| item.key() == key)),
                _ => drop(new.insert(Item::mixed(key + 1_000_000, 1))),
            }
        }
        let (read, found) = hashes_read(|| Trie::diff(&old, &new).count());
        assert_eq!(found as u64, changes);
        // Each changed leaf costs all elements of both versions; two such leaves if ranges were merged.
        assert!(read <= changes as usize * 128, "{read} hashes read for {changes} changes");
    }
}

#[test]
fn a_diff_is_lazy() {
    let old = Trie::<Item>::new();
    let new = Trie::<Item>::from_elements((0..50_000).map(|key| Item::mixed(key, 0)).collect());
    let (read, first) = hashes_read(|| Trie::diff(&old, &new).next().is_some());
    assert!(first);
    assert!(read <= 64, "{read} hashes read for the first difference");
}
