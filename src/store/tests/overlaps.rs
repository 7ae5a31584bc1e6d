//! What happens to an object of two parts, step by step.

use std::collections::HashSet;

use futures_util::future::join;

use super::*;
use crate::store::intake::Store;

type Part = Intake<Box<Served>, Value>;

/// Two parts of all namespaces, both listed.
struct Two {
    store: Arc<Store<Box<Served>, Value>>,
    parts: [Part; 2],
}

impl Two {
    fn new() -> Self {
        let store = harness().intake.store.clone();
        now(store.writer()).set_parts([(1, None), (2, None)]);
        let mut two = Self { parts: [1, 2].map(|id| Intake::of(&store, id)), store };
        two.parts.iter_mut().for_each(|part| list(part, 10, []));
        two
    }

    fn view(&self) -> crate::Snapshot<Value> {
        now(self.store.writer()).validate();
        now(self.store.writer()).shared().snapshot()
    }

    fn shows(&self) -> Option<u64> {
        let view = self.view();
        let object = view.get(("ns", "a"))?;
        Obj::resource_version(object).as_number()
    }
}

fn list(part: &mut Part, version: u64, items: impl IntoIterator<Item = Item<Box<Served>>>) {
    list_as(part, Reuse::Unchanged, version, items);
}

fn list_as(part: &mut Part, reuse: Reuse, version: u64, items: impl IntoIterator<Item = Item<Box<Served>>>) {
    let mut list = part.begin_list(reuse);
    items.into_iter().for_each(|item| part.upsert(&mut list, Ok(item)));
    now(commit(part, list, version));
}

fn at(version: u64, manner: Manner) -> Item<Box<Served>> {
    item(&ObjectKey::new("ns", "a"), 1, version, Served { manner, ..good(version) })
}

fn apply(part: &mut Part, event: WatchEvent<Box<Served>>) {
    now(part.apply(&mut vec![event])).expect("it is new");
}

fn deleted(version: u64) -> WatchEvent<Box<Served>> {
    WatchEvent::Deleted(Ok(at(version, Manner::Good).meta))
}

#[test]
fn an_object_that_the_projection_skips_is_of_no_part() {
    let mut two = Two::new();
    for part in &mut two.parts {
        apply(part, applied(at(11, Manner::Good)));
    }
    let [all, some] = &mut two.parts;
    apply(all, applied(at(12, Manner::LeftOut)));
    apply(some, deleted(12));
    assert_eq!(two.shows(), None);
}

#[test]
fn what_leaves_after_a_restore_does_not_hold_back_older_versions() {
    let mut two = Two::new();
    for part in &mut two.parts {
        apply(part, applied(at(26, Manner::Good)));
    }
    let [all, some] = &mut two.parts;
    list_as(all, Reuse::NewEpoch, 12, []);
    list(some, 12, []);
    assert_eq!(two.shows(), None);
    let another = item(&ObjectKey::new("ns", "a"), 2, 16, good(16));
    apply(&mut two.parts[0], applied(another));
    assert_eq!(two.shows(), Some(16));
}

#[test]
fn a_refresh_of_a_part_that_is_behind_changes_nothing_that_is_newer() {
    for (older, newer) in [(Manner::Undecodable, Manner::Good), (Manner::Good, Manner::Undecodable)] {
        let mut two = Two::new();
        for part in &mut two.parts {
            apply(part, applied(at(11, older)));
        }
        let [all, some] = &mut two.parts;
        let mut refreshed = all.begin_list(Reuse::Nothing);
        all.upsert(&mut refreshed, Ok(at(11, older)));
        apply(some, applied(at(12, newer)));
        now(all.commit(refreshed, Some(ResourceVersion::from_number(11)))).expect("it is new");
        let (shown, invalid) = (two.shows(), two.view().invalid_len());
        let expected = if newer == Manner::Good { (Some(12), 0) } else { (Some(11), 1) };
        assert_eq!((shown, invalid), expected, "{newer:?}");
    }
}

/// A streaming list may begin with an older state, and then have the changes since.
fn list_that_deletes(part: &mut Part, reuse: Reuse, version: u64) {
    let mut list = part.begin_list(reuse);
    part.upsert(&mut list, Ok(at(9, Manner::Good)));
    part.delete(&mut list, Ok(at(10, Manner::Good).meta));
    now(part.commit(list, Some(ResourceVersion::from_number(version)))).expect("it is new");
}

fn another(version: u64) -> Item<Box<Served>> {
    item(&ObjectKey::new("ns", "a"), 2, version, good(version))
}

#[test]
fn a_list_that_deletes_an_earlier_object_of_the_name_does_not_have_the_later_one() {
    let mut two = Two::new();
    let [all, some] = &mut two.parts;
    apply(all, applied(another(12)));
    list_that_deletes(some, Reuse::Unchanged, 12);
    assert_eq!(two.shows(), Some(12));
    apply(&mut two.parts[0], WatchEvent::Deleted(Ok(another(13).meta)));
    assert_eq!(two.shows(), None);
}

#[test]
fn a_list_of_a_new_epoch_that_deletes_an_object_ends_the_one_of_the_old_epoch() {
    let mut two = Two::new();
    now(two.store.writer()).set_parts([(1, None)]);
    list(&mut two.parts[0], 20, [another(12)]);
    list_that_deletes(&mut two.parts[0], Reuse::NewEpoch, 10);
    assert_eq!(two.shows(), None);
}

#[test]
fn a_list_that_has_an_earlier_object_of_the_name_does_not_have_the_later_one() {
    let mut two = Two::new();
    let [all, some] = &mut two.parts;
    apply(all, applied(another(12)));
    list(some, 11, [at(9, Manner::Good)]);
    assert_eq!(two.shows(), Some(12));
    apply(&mut two.parts[0], WatchEvent::Deleted(Ok(another(13).meta)));
    assert_eq!(two.shows(), None);
}

fn commit(part: &mut Part, list: List<Value>, version: u64) -> impl Future<Output = ()> {
    let committed = part.commit(list, Some(ResourceVersion::from_number(version)));
    async { committed.await.expect("it is new") }
}

#[test]
fn an_object_that_came_back_in_another_slot_is_of_the_part_that_listed_it_before() {
    let mut two = Two::new();
    let [all, some] = &mut two.parts;
    apply(some, applied(at(11, Manner::Good)));
    let mut listed = all.begin_list(Reuse::Unchanged);
    all.upsert(&mut listed, Ok(at(11, Manner::Good)));
    apply(some, deleted(12));
    apply(some, applied(item(&ObjectKey::new("ns", "b"), 3, 13, good(13))));
    apply(some, applied(at(14, Manner::Good)));
    now(commit(all, listed, 11));
    apply(some, deleted(15));
    assert_eq!(two.shows(), Some(14));
}

#[test]
fn an_object_that_one_new_part_brings_back_is_also_of_another_that_listed_it_before() {
    let mut two = Two::new();
    let [all, _] = &mut two.parts;
    apply(all, applied(at(11, Manner::Good)));
    now(two.store.writer()).begin_change(HashSet::new(), [(3, Some("ns")), (4, Some("ns"))]);
    let new = Intake::beside(&two.store, [3, 4], &now(two.store.writer()));
    let Ok([mut late, mut early]) = <[Part; 2]>::try_from(new) else { panic!("two") };
    let mut before = early.begin_list(Reuse::Unchanged);
    early.upsert(&mut before, Ok(at(11, Manner::Good)));
    apply(all, deleted(12));
    let mut after = late.begin_list(Reuse::Unchanged);
    late.upsert(&mut after, Ok(at(13, Manner::Good)));
    now(join(commit(&mut late, after, 13), commit(&mut early, before, 11)));
    assert_eq!(two.shows(), Some(13));
    apply(&mut late, deleted(14));
    assert_eq!(two.shows(), Some(13));
}

#[test]
fn the_slot_of_an_object_is_known_while_its_namespace_has_it() {
    let store = harness().intake.store.clone();
    now(store.writer()).set_parts([(1, Some("ns")), (2, Some("other"))]);
    let [mut part, mut other] = [1, 2].map(|id| Intake::of(&store, id));
    let slots = || now(store.writer()).namespaces.slots("ns").count();
    list(&mut other, 10, []);
    list(&mut part, 10, [at(9, Manner::Good)]);
    assert_eq!(slots(), 1);
    apply(&mut part, applied(at(11, Manner::Good)));
    assert_eq!(slots(), 1);
    apply(&mut part, deleted(12));
    assert_eq!(slots(), 0);
    apply(&mut part, applied(at(13, Manner::Good)));
    list(&mut part, 14, []);
    assert_eq!((slots(), now(store.writer()).shared().snapshot().len()), (1, 0), "until the next list");
    list(&mut part, 15, []);
    assert_eq!(slots(), 0);
}

#[test]
fn a_restored_server_is_followed_although_later_objects_were_forgotten() {
    for is_new in [false, true] {
        let mut two = Two::new();
        let [all, some] = &mut two.parts;
        for number in 0..9_000 {
            let key = ObjectKey::new("ns", &format!("b{number}"));
            let brief = |version| item(&key, 100 + number, version, good(version));
            apply(all, applied(brief(100 + 2 * number)));
            apply(all, WatchEvent::Deleted(Ok(brief(101 + 2 * number).meta)));
        }
        let list = some.begin_list(Reuse::Unchanged);
        let old = now(some.commit(list, Some(ResourceVersion::from_number(50))));
        assert!(old.is_err(), "it may have an object that was forgotten");
        if is_new {
            now(two.store.writer()).begin_change(HashSet::from([1]), [(3, None)]);
            let mut new = Intake::beside(&two.store, [3], &now(two.store.writer())).remove(0);
            list_as(&mut new, Reuse::NewEpoch, 12, [another(5)]);
        } else {
            list_as(all, Reuse::NewEpoch, 12, [another(5)]);
        }
        assert_eq!((two.shows(), two.view().epoch), (Some(5), 1));
    }
}
