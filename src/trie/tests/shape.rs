//! The shape of a trie depends only on its content.

use super::super::node::Child;
use super::item::{Item, mix};
use super::{Element, Trie};

/// Whether both have the same ranges with the same elements; elements of equal hash may have any order.
pub(super) fn same_shape<const B: u32, const N: usize>(a: &Trie<Item, B, N>, b: &Trie<Item, B, N>) -> bool {
    a.len == b.len && same_child(&a.root, &b.root)
}

fn same_child(a: &Child<Item>, b: &Child<Item>) -> bool {
    let content = |slots: &[Option<Item>]| {
        let mut content: Vec<_> = slots.iter().flatten().map(|item| (item.hash(), item.address())).collect();
        content.sort_unstable();
        content
    };
    match (a, b) {
        (Child::Empty, Child::Empty) => true,
        (Child::Leaf(a), Child::Leaf(b)) => content(a.slots()) == content(b.slots()),
        (Child::Node(a_ranges, a), Child::Node(b_ranges, b)) => {
            let mut pairs = a.children().iter().zip(b.children());
            a_ranges == b_ranges && pairs.all(|(a, b)| same_child(a, b))
        }
        _ => false,
    }
}

#[test]
fn children_and_slots_are_no_larger_than_they_look() {
    assert_eq!(size_of::<Child<Item>>(), 16);
    assert_eq!(size_of::<Option<Item>>(), 8);
    assert_eq!(size_of::<Trie<Item>>(), 24);
}

#[test]
fn of_equal_keys_the_last_is_built() {
    let items: Vec<_> = (0..300).map(|i| Item::new(mix(i % 100) & !1, i % 100, i)).collect();
    let trie = Trie::<Item>::from_elements(items);
    trie.validate();
    assert_eq!(trie.len(), 100);
    for key in 0..100 {
        let found = trie.get(mix(key) & !1, |item| item.key() == key);
        assert_eq!(found.map(Item::value), Some(key + 200));
    }

    let colliding: Vec<_> = (0..90).map(|i| Item::new(7, i % 30, i)).collect();
    let trie = Trie::<Item>::from_elements(colliding);
    trie.validate();
    let mut values: Vec<_> = trie.iter().map(Item::value).collect();
    values.sort_unstable();
    assert_eq!(values, (60..90).collect::<Vec<_>>());
}

#[test]
fn full_hashes_are_compared_before_keys() {
    // Same tag and leaf but another hash: `is` must not be called for it.
    let trie = Trie::<Item>::from_elements(vec![Item::new(0x100, 1, 0), Item::new(0x200, 2, 0)]);
    let found = trie.get(0x200, |item| {
        assert_eq!(item.key(), 2);
        true
    });
    assert_eq!(found.map(Item::key), Some(2));
    assert!(trie.get(0x300, |_| true).is_none());
}

#[test]
fn an_empty_trie_answers() {
    let mut trie = Trie::<Item>::default();
    trie.validate();
    assert!(trie.get(1, |_| true).is_none());
    assert!(trie.remove(1, |_| true).is_none());
    assert!(trie.update(1, |_| true, |_| ()).is_none());
    assert!(trie.iter().next().is_none());
    assert!(trie.ptr_eq(&Trie::from_elements(Vec::new())));
    assert_eq!(Trie::diff(&trie, &trie.clone()).count(), 0);
    trie.insert(Item::mixed(1, 1));
    assert!(!trie.ptr_eq(&Trie::new()));
    trie.remove(mix(1), |_| true);
    assert!(trie.ptr_eq(&Trie::new()));
}
