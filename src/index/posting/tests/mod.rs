//! Compares postings with a `BTreeMap`: random histories, old versions that are kept, and every change of
//! form.

mod item;
mod model;
mod panics;
mod seek;
mod sharing;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Form, Iter, Ordered, Posting, Seek};
use item::Item;

/// What a posting should contain, by key.
type Model = BTreeMap<u32, Item>;

impl Posting<Item> {
    fn insert(&mut self, item: Item) -> Option<Item> {
        let new = item.clone();
        self.put(item, |other| other.cmp_key(&new))
    }

    fn remove_key(&mut self, key: u32) -> Option<Item> {
        self.remove(&Item::new(key, 0), |item| item.key().cmp(&key))
    }
}

impl<'a> Seek<'a, Item> for Iter<'a, Item> {
    fn seek(&mut self, to: &Item) -> Option<&'a Item> {
        self.skip_before(|item| item.cmp_key(to) == Ordering::Less)
    }
}

/// The items of these keys, as a posting and as its model.
fn filled(keys: impl Iterator<Item = u32>) -> (Posting<Item>, Model) {
    let model: Model = keys.map(|key| (key, Item::new(key, 0))).collect();
    (Posting::from_sorted(model.values().cloned().collect()), model)
}

/// Reads the posting in every way and compares with the model.
fn check_content(posting: &Posting<Item>, model: &Model) {
    posting.validate(Item::cmp_key);
    assert_eq!(posting.len(), model.len());
    assert_eq!(posting.is_empty(), model.is_empty());
    let same = |found: Option<&Item>, expected: Option<&Item>| match (found, expected) {
        (Some(found), Some(expected)) => found.ptr_eq(expected),
        (found, expected) => found.is_none() && expected.is_none(),
    };
    assert!(same(posting.first(), model.values().next()));
    assert!(same(posting.last(), model.values().next_back()));
    for (key, item) in model {
        assert!(posting.contains(item, |other| other.key().cmp(key)));
        let absent = Item::new(key + 1, 0);
        let is_there = posting.contains(&absent, |other| other.cmp_key(&absent));
        assert_eq!(is_there, model.contains_key(&(key + 1)));
    }

    let mut iter = posting.iter();
    for (seen, expected) in (1..).zip(model.values()) {
        assert!(same(iter.next(), Some(expected)));
        assert_eq!(iter.len(), model.len() - seen);
    }
    assert!(iter.next().is_none() && iter.next_back().is_none());
    assert!(posting.iter().rev().zip(model.values().rev()).all(|(found, item)| found.ptr_eq(item)));

    // Both ends at once, three from the front for each from the back.
    let mut iter = posting.iter();
    let mut expected = model.values();
    for step in 0..=model.len() {
        match step % 4 {
            3 => assert!(same(iter.next_back(), expected.next_back())),
            _ => assert!(same(iter.next(), expected.next())),
        }
    }
    assert_eq!(iter.len(), 0);
}
