//! Versions share unchanged parts, and differences cost O(changes).

use std::collections::HashSet;
use std::ptr::from_ref;

use super::super::node::{Inner, Node};
use super::item::{Item, looks};
use super::{Form, Posting, filled};

/// The addresses of all chunks and nodes.
fn allocations(posting: &Posting<Item>) -> HashSet<usize> {
    fn visit(inner: &Inner<Item>, out: &mut HashSet<usize>) {
        out.insert(from_ref(&inner.children()[0]) as usize);
        for child in inner.children() {
            match child {
                Node::Chunk(chunk) => drop(out.insert(from_ref(&chunk.slots()[0]) as usize)),
                Node::Inner(inner) => visit(inner, out),
            }
        }
    }
    let mut out = HashSet::new();
    match &posting.0 {
        Form::Few(_) => {}
        Form::Chunk(chunk) => drop(out.insert(from_ref(&chunk.slots()[0]) as usize)),
        Form::Tree(root) => visit(root, &mut out),
    }
    out
}

#[test]
fn a_change_copies_one_path() {
    let (old, _) = filled((0..20_000).map(|key| key * 2));
    let before = allocations(&old);
    let changes: [fn(&mut Posting<Item>); 3] = [
        |posting| drop(posting.insert(Item::new(5000, 1))),
        |posting| drop(posting.insert(Item::new(5001, 1))),
        |posting| drop(posting.remove(|item| item.key().cmp(&5000))),
    ];
    for change in changes {
        let mut new = old.clone();
        assert!(new.ptr_eq(&old));
        change(&mut new);
        assert!(!new.ptr_eq(&old));
        let copied = allocations(&new).difference(&before).count();
        assert_eq!(copied, 3, "root, node and chunk");
        assert_eq!(allocations(&old), before);
    }
}

#[test]
fn what_is_unshared_is_changed_in_place() {
    for len in [100, 5000] {
        let (mut posting, model) = filled(0..len);
        let before = allocations(&posting);
        for key in 0..len {
            assert!(posting.insert(Item::new(key, 1)).is_some());
        }
        assert_eq!(allocations(&posting), before);
        drop(model);
        assert!(posting.iter().all(|item| item.count() == 1 && item.value() == 1));
        let rebuilt = Item::new(len, 0);
        posting.insert(rebuilt.clone());
        assert!(posting.iter().take(len as usize).all(|item| item.count() == 1), "moved, not cloned");
        assert_eq!(rebuilt.count(), 2);
    }
}

#[test]
fn a_diff_looks_only_at_what_changed() {
    let (old, _) = filled((0..50_000).map(|key| key * 2));
    for changes in [0, 1, 10, 100] {
        let mut new = old.clone();
        for change in 0..changes {
            let key = change * 800;
            match change % 3 {
                0 => drop(new.insert(Item::new(key, 1))),
                1 => drop(new.remove(|item| item.key().cmp(&key))),
                _ => drop(new.insert(Item::new(key + 1, 1))),
            }
        }
        let (looked, found) = looks(|| Posting::diff(&old, &new).count());
        assert_eq!(found, changes as usize);
        assert!(looked <= 2 + found * 150, "{looked} comparisons for {changes} changes");
    }
}

#[test]
fn a_diff_meets_shared_chunks_behind_a_split_and_a_join() {
    let (old, _) = filled((0..50_000).map(|key| key * 2));
    let mut split = old.clone();
    (0..100).for_each(|key| drop(split.insert(Item::new(40_001 + key * 2, 1))));
    let mut joined = old.clone();
    (0..100).for_each(|key| drop(joined.remove(|item| item.key().cmp(&(60_000 + key * 2)))));
    for (a, b, changes) in [(&old, &split, 100), (&joined, &old, 100), (&split, &joined, 200)] {
        for (a, b) in [(a, b), (b, a)] {
            let (looked, found) = looks(|| Posting::diff(a, b).count());
            assert_eq!(found, changes);
            assert!(looked <= 2500, "{looked} comparisons for {changes} changes");
        }
    }
}

#[test]
fn a_diff_meets_shared_chunks_in_trees_of_different_heights() {
    let height = |posting: &Posting<Item>| match &posting.0 {
        Form::Tree(root) => root.height(),
        _ => 0,
    };
    let (mut new, _) = filled(0..2000);
    let mut old = new.clone();
    for key in 2000.. {
        new.insert(Item::new(key, 0));
        if height(&new) > height(&old) {
            break;
        }
        old = new.clone();
    }
    assert_eq!((height(&old), height(&new)), (1, 2));
    for (a, b) in [(&old, &new), (&new, &old)] {
        let (looked, found) = looks(|| Posting::diff(a, b).count());
        assert_eq!(found, 1);
        // Compares the chunk that was split once.
        assert!(looked <= 66, "{looked} comparisons");
    }
}

#[test]
fn a_diff_is_lazy() {
    let (new, _) = filled(0..50_000);
    let (looked, first) = looks(|| Posting::diff(&Posting::new(), &new).next().is_some());
    assert!(first);
    assert!(looked <= 4, "{looked} comparisons for the first difference");
}
