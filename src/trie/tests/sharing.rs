//! Versions share unchanged parts, and an unshared trie is changed in place.

use std::collections::HashSet;
use std::ptr::from_ref;

use super::super::node::Child;
use super::Trie;
use super::item::{Item, mix};

/// The addresses of all leaves and nodes.
fn allocations(trie: &Trie<Item>) -> HashSet<usize> {
    fn visit(child: &Child<Item>, out: &mut HashSet<usize>) {
        match child {
            Child::Empty => {}
            Child::Leaf(leaf) => drop(out.insert(from_ref(leaf.tags()) as usize)),
            Child::Node(_, node) => {
                out.insert(from_ref(&node.children()[0]) as usize);
                node.children().iter().for_each(|child| visit(child, out));
            }
        }
    }
    let mut out = HashSet::new();
    visit(&trie.root, &mut out);
    out
}

fn large() -> Trie<Item> {
    Trie::from_elements((0..20_000).map(|key| Item::mixed(key, 0)).collect())
}

#[test]
fn a_change_copies_one_path() {
    let old = large();
    let before = allocations(&old);
    let key = 1234;
    let changes: [fn(&mut Trie<Item>); 4] = [
        |trie| drop(trie.insert(Item::mixed(1234, 1))),
        |trie| drop(trie.insert(Item::mixed(1_000_000, 1))),
        |trie| drop(trie.remove(mix(1234), |item| item.key() == 1234)),
        |trie| {
            trie.update(mix(1234), |item| item.key() == 1234, |item| item.set_value(1)).unwrap_or_default()
        },
    ];
    for change in changes {
        let mut new = old.clone();
        assert_eq!(allocations(&new), before);
        change(&mut new);
        let copied = allocations(&new).difference(&before).count();
        // At most three nodes, and one leaf or the two leaves of a split.
        assert!((2..=5).contains(&copied), "{copied} allocations copied");
        assert_eq!(allocations(&old), before);
        assert_eq!(old.get(mix(key), |item| item.key() == key).map(Item::value), Some(0));
    }
}

#[test]
fn what_is_unshared_is_changed_in_place() {
    let mut trie = large();
    let before = allocations(&trie);
    for key in 0..100 {
        trie.insert(Item::mixed(key, 1));
        trie.update(mix(key), |item| item.key() == key, |item| item.set_value(2));
    }
    assert_eq!(allocations(&trie), before);

    let item = trie.get(mix(5), |item| item.key() == 5).map(Item::address);
    trie.update(mix(5), |item| item.key() == 5, |item| item.set_value(3));
    assert_eq!(trie.get(mix(5), |item| item.key() == 5).map(Item::address), item, "element was copied");
}

#[test]
fn an_update_leaves_held_versions_alone() {
    let mut trie = large();
    let held = trie.clone();
    let result = trie.update(
        mix(7),
        |item| item.key() == 7,
        |item| {
            item.set_value(9);
            "done"
        },
    );
    assert_eq!(result, Some("done"));
    let value = |trie: &Trie<Item>| trie.get(mix(7), |item| item.key() == 7).map(Item::value);
    assert_eq!((value(&held), value(&trie)), (Some(0), Some(9)));
    assert_eq!(Trie::diff(&held, &trie).count(), 1);
}

#[test]
fn a_miss_copies_nothing() {
    let held = large();
    let mut trie = held.clone();
    assert!(trie.remove(mix(99_999), |_| true).is_none());
    assert!(trie.remove(mix(7), |_| false).is_none());
    assert!(trie.update(mix(99_999), |_| true, |_| ()).is_none());
    assert!(trie.update(mix(7), |_| false, |_| ()).is_none());
    assert!(trie.ptr_eq(&held));
}
