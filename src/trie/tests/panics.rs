//! A panic of an element or a closure affects neither other versions nor memory safety.

use super::item::{Item, mix, panic_after, scripted_panic};
use super::{Model, Trie, check_content};

/// Runs `change` on copies of a trie, with a panic in the first, second, .. call that the trie makes, until
/// no call is left; returns the number of calls. `shared`: whether the copies share everything with the trie.
fn at_every_call(shared: bool, change: impl Fn(&mut Trie<Item, 3, 2>)) -> usize {
    let model: Model = (0..60).map(|key| (key, Item::mixed(key, 0))).collect();
    let held = Trie::from_elements(model.values().cloned().collect());
    for calls in 0.. {
        let mut trie = match shared {
            true => held.clone(),
            false => Trie::from_elements(model.values().cloned().collect()),
        };
        let result = panic_after(calls, || change(&mut trie));
        // The content is unspecified, but safe to read and drop.
        assert!(trie.iter().all(|item| item.key() <= 1000));
        assert!(Trie::diff(&held, &trie).all(|difference| difference.old.or(difference.new).is_some()));
        drop(trie);
        check_content(&held, &model);
        if result.is_ok() {
            return calls;
        }
    }
    unreachable!("calls end with the first that does not panic")
}

#[test]
fn a_panic_while_changing_leaves_other_versions_intact() {
    let mut panics = 0;
    for shared in [true, false] {
        for key in 0..60 {
            panics += at_every_call(shared, |trie| drop(trie.insert(Item::mixed(key, 1))));
            panics += at_every_call(shared, |trie| drop(trie.insert(Item::mixed(key + 900, 1))));
            panics += at_every_call(shared, |trie| drop(trie.remove(mix(key), |item| item.key() == key)));
            panics += at_every_call(shared, |trie| {
                trie.update(mix(key), |item| item.key() == key, |item| *item = item.clone());
            });
        }
    }
    assert!(panics > 500, "only {panics} calls could panic");
}

#[test]
fn a_panicking_comparison_changes_nothing() {
    let model: Model = (0..60).map(|key| (key, Item::mixed(key, 0))).collect();
    let mut trie = Trie::<Item>::from_elements(model.values().cloned().collect());
    let held = trie.clone();
    let mut fails = |f: &mut dyn FnMut(&mut Trie<Item>)| {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&mut trie))).is_err());
        assert!(trie.ptr_eq(&held));
        check_content(&trie, &model);
    };
    fails(&mut |trie| assert!(trie.get(mix(3), |_| scripted_panic()).is_none()));
    fails(&mut |trie| drop(trie.remove(mix(3), |_| scripted_panic())));
    fails(&mut |trie| assert!(trie.update(mix(3), |_| scripted_panic(), |_| ()).is_none()));
}
