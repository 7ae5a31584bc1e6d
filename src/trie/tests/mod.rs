//! Compares the trie with a plain map: random histories, old versions that are kept, and degraded hashes.

mod diff;
mod item;
mod model;
mod panics;
mod shape;
mod sharing;

use std::collections::HashMap;

use super::{Element, Trie};
use item::Item;

/// What a trie should contain, by key.
type Model = HashMap<u64, Item>;

/// Reads the trie in every way and compares with the model.
fn check_content<const B: u32, const N: usize>(trie: &Trie<Item, B, N>, model: &Model) {
    trie.validate();
    assert_eq!(trie.len(), model.len());
    assert_eq!(trie.is_empty(), model.is_empty());
    for (key, item) in model {
        let found = trie.get(item.hash(), |other| other.key() == *key);
        assert!(found.is_some_and(|found| found.ptr_eq(item)), "key {key} not found");
    }

    let mut iter = trie.iter();
    let mut last = 0;
    let mut seen = 0;
    while let Some(item) = iter.next() {
        seen += 1;
        assert_eq!(iter.len(), model.len() - seen);
        assert!(last <= item.hash(), "not in hash order");
        last = item.hash();
        assert!(model[&item.key()].ptr_eq(item));
    }
    assert_eq!(seen, model.len());
    assert!(iter.next().is_none(), "iterator not fused");

    let half = seen / 2;
    let mut iter = trie.iter();
    iter.by_ref().take(half).for_each(drop);
    assert_eq!(iter.fold(half, |count, _| count + 1), seen, "fold loses elements");
}
