//! Versions share unchanged parts.

use std::collections::HashSet;
use std::ptr::from_ref;

use super::super::node::{Inner, Node};
use super::item::Item;
use super::{Form, Posting, filled};

/// The addresses of all chunks and nodes.
pub(super) fn allocations(posting: &Posting<Item>) -> HashSet<usize> {
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
        |posting| drop(posting.remove_key(5000)),
    ];
    for change in changes {
        let mut new = old.clone();
        change(&mut new);
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
