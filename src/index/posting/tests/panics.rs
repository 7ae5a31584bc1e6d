//! A panic of an element affects neither other versions nor memory safety.

use super::item::{Item, panic_after};
use super::{Posting, check_content, filled};

/// Runs `change` on copies of a posting, with a panic in the first, second, .. call that the posting makes,
/// until no call is left; returns the number of calls. `shared`: whether the copies share everything with the
/// posting.
fn at_every_call(len: u32, shared: bool, change: impl Fn(&mut Posting<Item>)) -> usize {
    let (held, model) = filled((0..len).map(|key| key * 2));
    for calls in 0.. {
        let mut posting = if shared { held.clone() } else { filled((0..len).map(|key| key * 2)).0 };
        let result = panic_after(calls, || change(&mut posting));
        // The content is unspecified, but safe to read and drop.
        assert!(posting.iter().chain(posting.iter().rev()).all(|item| item.key() <= 2 * len));
        drop(posting);
        check_content(&held, &model);
        if result.is_ok() {
            return calls;
        }
    }
    unreachable!("calls end with the first that does not panic")
}

#[test]
fn a_panic_while_changing_leaves_other_versions_intact() {
    for len in [1, 2, 30, 96, 128, 129] {
        for shared in [true, false] {
            for key in [0, len / 2 * 2, len / 2 * 2 + 1] {
                let insert = |posting: &mut Posting<Item>| drop(posting.insert(Item::new(key, 1)));
                assert!(at_every_call(len, shared, insert) > 0);
                let remove = |posting: &mut Posting<Item>| {
                    drop(posting.remove_key(key));
                };
                assert!(key % 2 == 1 || at_every_call(len, shared, remove) > 0);
            }
        }
    }
}
