//! A panic from an element never reaches another version, nor memory.

use super::item::{Item, panic_after};
use super::{Posting, check_content, filled};

/// Runs `change` on copies of a posting, panicking at the first, second, .. call the posting makes, until none
/// is left to panic at; returns how many there were. `shared` says whether the copies share all with it.
fn at_every_call(len: u32, shared: bool, change: impl Fn(&mut Posting<Item>)) -> usize {
    let (held, model) = filled((0..len).map(|key| key * 2));
    for calls in 0.. {
        let mut posting = if shared { held.clone() } else { filled((0..len).map(|key| key * 2)).0 };
        let result = panic_after(calls, || change(&mut posting));
        // Unspecified, but not to be feared: all of it can be read and dropped.
        assert!(posting.iter().chain(posting.iter().rev()).all(|item| item.key() <= 2 * len));
        assert!(Posting::diff(&held, &posting).all(|difference| difference.old.or(difference.new).is_some()));
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
                    drop(posting.remove(|item| item.key().cmp(&key)));
                };
                assert!(key % 2 == 1 || at_every_call(len, shared, remove) > 0);
            }
        }
    }
}
