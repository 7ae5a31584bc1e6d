//! Random histories with old versions that are kept and used again, and postings that cross every limit
//! between forms.

use super::super::node::Node;
use super::item::{Item, Random, looks};
use super::sharing::allocations;
use super::{Form, Model, Ordered, Posting, check_content, filled};

/// Random changes among `keys` keys, half of which exist at the start. Checks everything each `pause` steps.
fn run(seed: u64, keys: u32, steps: u32, pause: u32) {
    println!("seed {seed}, keys {keys}");
    let mut random = Random::new(seed);
    let (mut posting, mut model) = filled((0..keys).filter(|key| key % 2 == 0));
    let mut held: Vec<(Posting<Item>, Model)> = Vec::new();
    let mut growth = 50;
    for step in 0..steps {
        if step % 97 == 0 {
            growth = [5, 30, 50, 70, 95][random.below(5) as usize];
        }
        // Sometimes consecutive keys, so that whole chunks fill and empty.
        let key = if step / 100 % 2 == 0 { random.below(keys) } else { step % keys };
        let before = posting.clone();
        if random.below(100) < growth {
            let item = Item::new(key, step);
            let replaced = posting.insert(item.clone());
            let expected = model.insert(key, item);
            assert_eq!(replaced.map(|item| item.address()), expected.map(|item| item.address()));
        } else {
            let removed = posting.remove_key(key);
            let expected = model.remove(&key);
            assert_eq!(same(&posting, &before), expected.is_none(), "a miss must copy nothing");
            assert_eq!(removed.map(|item| item.address()), expected.map(|item| item.address()));
        }
        let any = |random: &mut Random| random.below(held.len().max(1) as u32) as usize;
        match random.below(40) {
            0 => held.push((posting.clone(), model.clone())),
            1 if !held.is_empty() => drop(held.swap_remove(any(&mut random))),
            2 if !held.is_empty() => (posting, model) = held[any(&mut random)].clone(),
            _ => {}
        }
        if held.len() > 4 {
            held.remove(0);
        }
        if step % 10 == 0 || keys < 500 {
            posting.validate(Item::cmp_key);
        }
        if step % pause == pause - 1 {
            held.push((posting.clone(), model.clone()));
            for (old, old_model) in &held {
                check_content(old, old_model);
            }
            held.pop();
        }
    }
    // No element is leaked or counted twice.
    drop(held);
    assert!(model.values().all(|item| item.count() == 2));
    drop(posting);
    assert!(model.values().all(|item| item.count() == 1));
}

#[test]
fn agrees_with_a_map() {
    for (seed, keys) in [3, 12, 100, 140, 200, 260, 500].into_iter().enumerate() {
        run(seed as u64, keys, 3000, 50);
    }
    run(100, 9000, 6000, 500);
}

#[test]
fn agrees_with_a_map_when_three_levels_high() {
    let (mut posting, mut model) = filled((0..150_000).map(|key| key * 2));
    check_content(&posting, &model);
    assert!(matches!(&posting.0, Form::Tree(root) if root.height() == 3));
    let (old, old_model) = (posting.clone(), model.clone());
    let mut random = Random::new(7);
    for step in 0..20_000 {
        let key = random.below(300_000);
        if step % 2 == 0 {
            let item = Item::new(key, step);
            posting.insert(item.clone());
            model.insert(key, item);
        } else {
            posting.remove_key(key);
            model.remove(&key);
        }
    }
    check_content(&posting, &model);
    check_content(&old, &old_model);

    for key in 0..299_000 {
        posting.remove_key(key);
        model.remove(&key);
        if key % 29_900 == 0 {
            check_content(&posting, &model);
        }
    }
    check_content(&posting, &model);
}

/// Whether both are the same version.
fn same(a: &Posting<Item>, b: &Posting<Item>) -> bool {
    allocations(a) == allocations(b) && a.len() == b.len()
}

/// Inserts keys in one order and removes them in another, validating at every size near a limit.
fn grow_and_shrink(keys: &[u32], gone: &[u32]) {
    let limits = [0, 64, 96, 128, 4096];
    let near = |len: usize| limits.iter().any(|limit| len.abs_diff(*limit) <= 3) || len.is_multiple_of(500);
    let mut posting = Posting::default();
    let mut model = Model::new();
    for key in keys {
        let item = Item::new(*key, 0);
        assert!(posting.insert(item.clone()).is_none());
        model.insert(*key, item);
        if near(model.len()) {
            check_content(&posting, &model);
            let built = Posting::from_sorted(model.values().cloned().collect());
            check_content(&built, &model);
        }
        if model.len().is_multiple_of(16) {
            posting.validate(Item::cmp_key);
        }
    }
    for key in gone {
        assert!(posting.remove_key(*key).is_some());
        model.remove(key);
        if near(model.len()) {
            check_content(&posting, &model);
        }
    }
    assert!(posting.is_empty() && matches!(posting.0, Form::Few(None)));
}

#[test]
fn every_size_is_crossed_both_ways() {
    let ascending: Vec<u32> = (0..4500).collect();
    let descending: Vec<u32> = (0..4500).rev().collect();
    // A permutation, since 7 does not divide 4500.
    let scattered: Vec<u32> = (0..4500).map(|key| key * 1847 % 4500).collect();
    grow_and_shrink(&ascending, &ascending);
    grow_and_shrink(&descending, &scattered);
    grow_and_shrink(&scattered, &descending);
    grow_and_shrink(&scattered, &scattered);
}

#[test]
fn sparse_siblings_of_full_ones_are_evened_out() {
    // 96 chunks of 48 under two nodes of 48.
    let (mut posting, mut model) = filled((0..96 * 48).map(|key| key * 10));
    let children = |posting: &Posting<Item>| match &posting.0 {
        Form::Tree(root) => root.children().iter().map(Node::width).collect(),
        _ => Vec::new(),
    };
    assert_eq!(children(&posting), [48, 48]);
    // Twice the elements in a part of the second node: ten more chunks.
    for key in (3000..3500).map(|key| key * 10 + 1) {
        let item = Item::new(key, 1);
        posting.insert(item.clone());
        model.insert(key, item);
    }
    assert!(children(&posting)[1] > 55, "{:?}", children(&posting));
    // Empties the first node from its end, so that its last chunk becomes sparse next to each of the others.
    for (step, key) in (0..48 * 48).rev().map(|key| key * 10).enumerate() {
        posting.remove_key(key);
        model.remove(&key);
        if step % 4 == 0 {
            posting.validate(Item::cmp_key);
        }
    }
    check_content(&posting, &model);

    // A chunk of 64 beside one that becomes empty.
    let (mut posting, mut model) = filled((0..480).map(|key| key * 10));
    for key in (48..48 + 16).map(|key| key * 10 + 1) {
        let item = Item::new(key, 1);
        posting.insert(item.clone());
        model.insert(key, item);
    }
    for key in (0..48).map(|key| key * 10) {
        posting.remove_key(key);
        model.remove(&key);
        check_content(&posting, &model);
    }
}

#[test]
fn a_form_is_kept_around_its_limit() {
    let (mut posting, _) = filled(0..128);
    assert!(matches!(posting.0, Form::Chunk(_)));
    posting.insert(Item::new(128, 0));
    assert!(matches!(posting.0, Form::Tree(_)));
    for key in 96..129 {
        posting.remove_key(key);
        assert!(matches!(posting.0, Form::Tree(_)), "chunk again at {}", posting.len());
    }
    assert_eq!(posting.len(), 96);
    posting.remove_key(0);
    assert!(matches!(posting.0, Form::Chunk(_)));
    for key in 200..233 {
        assert!(matches!(posting.0, Form::Chunk(_)), "tree again at {}", posting.len());
        posting.insert(Item::new(key, 0));
    }
    posting.validate(Item::cmp_key);
}

#[test]
fn elements_that_arrive_in_order_are_placed_at_once_and_fill_their_chunks() {
    let mut posting = Posting::one(Item::new(0, 0));
    for key in 1..2000 {
        let (looks, old) = looks(|| posting.insert(Item::new(key, 0)));
        assert!(old.is_none() && looks <= 3, "{looks} keys were read for {key}");
    }
    let Form::Tree(root) = &posting.0 else { panic!("it is large") };
    assert!(root.children().len() <= 2000 / 40, "{} chunks", root.children().len());
    posting.validate(Item::cmp_key);
}

#[test]
fn one_element_takes_no_allocation_of_its_own() {
    assert_eq!(size_of::<Posting<Item>>(), 16);
    let item = Item::new(1, 0);
    let mut posting = Posting::one(item.clone());
    assert!(matches!(posting.0, Form::Few(_)));
    assert_eq!(posting.first().map(Item::address), Some(item.address()));
    let same = Item::new(1, 5);
    assert!(posting.insert(same.clone()).is_some_and(|old| old.ptr_eq(&item)));
    assert_eq!(posting.last().map(Item::value), Some(5));
    assert_eq!(posting.first().map(Item::address), Some(same.address()));
    posting.insert(Item::new(0, 0));
    assert_eq!(posting.iter().map(Item::key).collect::<Vec<_>>(), [0, 1]);
    posting.remove_key(0);
    assert!(matches!(posting.0, Form::Few(Some(_))));
}

#[test]
fn fuzz_postings() {
    crate::fuzz::fuzz_seeds(|seed| run(seed, 100 + (seed % 400) as u32, 2000, 100));
}
