//! Compares skips and intersections with plain sets, for postings of every form.

use std::collections::BTreeSet;

use super::super::{Ordered, Posting, Seek, meet};
use super::filled;
use super::item::{Item, Random, looks};

/// Lengths around every change of form, and much larger ones.
const LENGTHS: [usize; 12] = [0, 1, 2, 63, 64, 65, 127, 128, 129, 130, 1000, 9000];

/// The keys that are in both postings.
fn common(a: &Posting<Item>, b: &Posting<Item>) -> Vec<u32> {
    let (mut a, mut b) = (a.iter(), b.iter());
    let mut found = Vec::new();
    while let Some(item) = a.next().and_then(|candidate| meet(&mut a, &mut b, candidate)) {
        found.push(item.key());
    }
    assert!(a.next().and_then(|candidate| meet(&mut a, &mut b, candidate)).is_none(), "not fused");
    found
}

/// `len` different keys below `bound`.
fn keys(random: &mut Random, len: usize, bound: u32) -> BTreeSet<u32> {
    let mut keys = BTreeSet::new();
    while keys.len() < len {
        keys.insert(random.below(bound));
    }
    keys
}

#[test]
fn a_seek_finds_the_first_that_does_not_come_before() {
    let mut random = Random::new(1);
    for len in LENGTHS {
        let bound = len as u32 * 3 + 10;
        let keys = keys(&mut random, len, bound);
        let (posting, _) = filled(keys.iter().copied());
        for far in [2, 20, 500, bound] {
            let (mut iter, mut expected) = (posting.iter(), keys.iter().copied().peekable());
            // Also seeks to the present position, and backwards.
            let mut to = 0;
            loop {
                while expected.next_if(|key| *key < to).is_some() {}
                assert_eq!(iter.seek(&Item::new(to, 0)).map(Item::key), expected.next(), "{len}, to {to}");
                if random.below(3) == 0 {
                    assert_eq!(iter.next().map(Item::key), expected.next(), "{len}, behind {to}");
                }
                let Some(next) = expected.peek() else { break };
                to = (next + random.below(far)).saturating_sub(random.below(3));
            }
            assert!(iter.next().is_none() && iter.seek(&Item::new(0, 0)).is_none());
        }
    }
}

#[test]
fn what_two_postings_have_in_common_is_what_two_sets_have() {
    let mut random = Random::new(2);
    for a_len in LENGTHS {
        for b_len in LENGTHS {
            for spread in [1, 2, 50] {
                let bound = (a_len.max(b_len) * spread + 1) as u32;
                let (a, b) = (keys(&mut random, a_len, bound), keys(&mut random, b_len, bound));
                let (a_posting, b_posting) = (filled(a.iter().copied()).0, filled(b.iter().copied()).0);
                let expected: Vec<u32> = a.intersection(&b).copied().collect();
                assert_eq!(common(&a_posting, &b_posting), expected, "{a_len} with {b_len} below {bound}");
            }
        }
    }
}

#[test]
fn the_version_found_is_that_of_the_first() {
    let (a, model) = filled((0..300).map(|key| key * 2));
    let (b, _) = filled((0..300).map(|key| key * 3));
    let (mut a, mut b) = (a.iter(), b.iter());
    let mut met = 0;
    while let Some(item) = a.next().and_then(|candidate| meet(&mut a, &mut b, candidate)) {
        assert!(item.ptr_eq(&model[&item.key()]));
        met += 1;
    }
    assert_eq!(met, 100);
}

#[test]
fn what_was_built_by_changes_is_skipped_as_well() {
    let (mut posting, mut model) = filled(0..5000);
    let mut random = Random::new(3);
    for _ in 0..4500 {
        let key = random.below(5000);
        posting.remove_key(key);
        model.remove(&key);
    }
    let (thirds, _) = filled((0..5000).filter(|key| key % 3 == 0));
    let expected: Vec<u32> = model.keys().copied().filter(|key| key % 3 == 0).collect();
    assert_eq!(common(&posting, &thirds), expected);
    assert_eq!(common(&thirds, &posting), expected);
}

#[test]
fn a_short_list_meets_a_long_one_in_few_steps() {
    let (long, model) = filled(0..100_000);
    for len in [1, 16, 64, 300] {
        // Shared elements, as postings of one version have them, spread over the long posting.
        let step = 100_000 / len;
        let short: Vec<Item> = (0..len).map(|at| model[&((at * step + step / 2) as u32)].clone()).collect();
        let short = Posting::from_sorted(short);
        for (a, b) in [(&short, &long), (&long, &short)] {
            let (looked, found) = looks(|| common(a, b).len());
            assert_eq!(found, len);
            assert!(looked <= 60 + len * 60, "{looked} comparisons for {len} of 100000");
        }
        // Elements that are not in the long posting.
        let (odd, _) = filled((0..len as u32).map(|at| at * 300 + 1));
        let (even, _) = filled((0..50_000).map(|key| key * 2));
        let (looked, found) = looks(|| common(&odd, &even).len());
        assert_eq!(found, 0);
        assert!(looked <= 60 + len * 60, "{looked} comparisons to miss {len}");
    }
}

#[test]
fn equal_lists_meet_without_searching() {
    let (all, _) = filled(0..10_000);
    let (looked, found) = looks(|| common(&all, &all.clone()).len());
    assert_eq!(found, 10_000);
    // One comparison to find an element, one to see that the keys are equal, and those at the end of a chunk.
    assert!(looked <= 10_000 * 5 / 2, "{looked} comparisons");
}
