//! One test for each rule of the store.

use std::future::poll_fn;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::*;

fn synced(objects: &[(&ObjectKey, u64, u64, Served)]) -> Harness {
    let mut harness = harness();
    let mut list = harness.intake.begin_list(Reuse::Unchanged);
    for (key, uid, version, served) in objects {
        harness.intake.upsert(&mut list, Ok(item(key, *uid, *version, served.clone())));
    }
    now(harness.intake.commit(list, Some(ResourceVersion::from_number(100)))).unwrap();
    harness
}

#[test]
fn an_unchanged_object_keeps_its_allocation_through_a_relist_and_is_not_projected_again() {
    let key = ObjectKey::new("ns", "a");
    let mut harness = synced(&[(&key, 1, 50, good(7))]);
    let before = harness.intake.lock().shared().snapshot();
    let mut list = harness.intake.begin_list(Reuse::Unchanged);
    // It would be invalid if it were decoded.
    harness
        .intake
        .upsert(&mut list, Ok(item(&key, 1, 50, Served { manner: Manner::Undecodable, ..good(7) })));
    now(harness.intake.commit(list, Some(ResourceVersion::from_number(200)))).unwrap();
    let after = harness.intake.lock().shared().snapshot();
    assert!(Obj::ptr_eq(before.get(&key).unwrap(), after.get(&key).unwrap()));
    assert_eq!(after.revision(), before.revision(), "nothing changed");
    assert_eq!(after.resource_version(), Some(&"200".into()));
    assert_eq!(after.invalid_len(), 0);
}

#[test]
fn an_update_with_the_same_keys_copies_nothing_of_an_index() {
    let [a, b] = ["a", "b"].map(|name| ObjectKey::new("ns", name));
    let mut harness = synced(&[(&a, 1, 50, good(30)), (&b, 2, 51, good(60))]);
    harness.add_late(|value| value.number % 3);
    let mut version = 100;
    let mut update = |number| {
        version += 1;
        let before = harness.intake.lock().shared().snapshot();
        now(harness.intake.apply(&mut vec![applied(item(&a, 1, version, good(number)))])).unwrap();
        let after = harness.intake.lock().shared().snapshot();
        harness.intake.lock().validate();
        let found: Vec<u64> = after.by_index(&harness.late[0], &0).map(|value| value.number).collect();
        assert!(number % 3 != 0 || found == [number, 60], "the index has the new version");
        before.tables.iter().zip(&after.tables).map(|(old, new)| Arc::ptr_eq(old, new)).collect::<Vec<_>>()
    };
    // By group, by tag, by namespace, and an index that was added later: 30 and 90 have the same keys in all of them.
    assert_eq!(update(90), [true; 4]);
    assert_eq!(update(60), [true; 4], "and those of a version that was stored after the index was added");
    assert_eq!(update(91), [false, false, true, false]);
}

#[test]
fn an_event_below_its_streams_version_is_a_regression_and_changes_nothing() {
    let (a, b) = (ObjectKey::new("ns", "a"), ObjectKey::new("ns", "b"));
    let mut harness = synced(&[]);
    let mut events = vec![applied(item(&a, 1, 110, good(1))), applied(item(&b, 2, 109, good(2)))];
    let regression = now(harness.intake.apply(&mut events)).unwrap_err();
    assert_eq!((regression.held, regression.received), ("110".into(), "109".into()));
    let view = harness.intake.lock().shared().snapshot();
    assert!(view.get(&a).is_some() && view.get(&b).is_none());
    assert_eq!(view.resource_version(), Some(&"110".into()));
}

#[test]
fn an_undecodable_delete_still_deletes_by_key() {
    let key = ObjectKey::new("ns", "a");
    let mut harness = synced(&[(&key, 1, 50, good(7))]);
    let meta = item(&key, 1, 101, good(7)).meta;
    now(harness.intake.apply(&mut vec![WatchEvent::Deleted(Err(DecodeError::of(&meta, "broken")))])).unwrap();
    let view = harness.intake.lock().shared().snapshot();
    assert!(view.is_empty());
    assert_eq!(view.invalid_len(), 0);
}

#[test]
fn an_invalid_version_leaves_the_last_good_one_marked_and_found() {
    quiet_panics();
    for manner in [Manner::Undecodable, Manner::ProjectionPanics, Manner::IndexPanics] {
        let key = ObjectKey::new("ns", "a");
        let mut harness = synced(&[(&key, 1, 50, good(7))]);
        now(harness.intake.apply(&mut vec![applied(item(&key, 1, 101, Served { manner, ..good(8) }))]))
            .unwrap();
        let view = harness.intake.lock().shared().snapshot();
        assert_eq!(view.get(&key).unwrap().number, 7, "{manner:?}");
        assert_eq!(view.by_index(&harness.by_group, "g1").len(), 1);
        let invalid: Vec<_> = view.invalid().collect();
        assert_eq!(
            (invalid.len(), invalid[0].key(), invalid[0].resource_version()),
            (1, Some(&key), Some(&"101".into()))
        );
        // The next valid version makes it valid again.
        now(harness.intake.apply(&mut vec![applied(item(&key, 1, 102, good(9)))])).unwrap();
        let view = harness.intake.lock().shared().snapshot();
        assert_eq!((view.get(&key).unwrap().number, view.invalid_len()), (9, 0));
    }
}

#[test]
fn an_invalid_object_is_looked_at_once_per_version() {
    let key = ObjectKey::new("ns", "a");
    let mut harness = synced(&[(&key, 1, 50, Served { manner: Manner::Undecodable, ..good(7) })]);
    assert_eq!(harness.intake.lock().shared().snapshot().invalid_len(), 1);
    let mut list = harness.intake.begin_list(Reuse::Unchanged);
    // Valid now, but with the version that was invalid: not decoded.
    harness.intake.upsert(&mut list, Ok(item(&key, 1, 50, good(7))));
    now(harness.intake.commit(list, Some(ResourceVersion::from_number(200)))).unwrap();
    let view = harness.intake.lock().shared().snapshot();
    assert_eq!((view.len(), view.invalid_len()), (0, 1));
    let list = harness.intake.begin_list(Reuse::Unchanged);
    now(harness.intake.commit(list, Some(ResourceVersion::from_number(300)))).unwrap();
    assert_eq!(harness.intake.lock().shared().snapshot().invalid_len(), 0, "gone from the server");
}

#[test]
fn nameless_objects_are_counted_and_forgotten_at_the_next_list() {
    let mut harness = synced(&[]);
    let nameless = DecodeError {
        key: None,
        ..DecodeError::of(&item(&ObjectKey::cluster("x"), 1, 101, good(1)).meta, "no name")
    };
    now(harness.intake.apply(&mut vec![WatchEvent::Applied(Err(nameless))])).unwrap();
    let view = harness.intake.lock().shared().snapshot();
    assert_eq!((view.invalid_len(), view.invalid().len()), (1, 0));
    let list = harness.intake.begin_list(Reuse::Unchanged);
    now(harness.intake.commit(list, Some(ResourceVersion::from_number(200)))).unwrap();
    assert_eq!(harness.intake.lock().shared().snapshot().invalid_len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_wakes_who_waits_for_a_version_and_not_who_waits_for_changes() {
    let soon = Duration::from_secs(1);
    let mut harness = synced(&[]);
    let shared = harness.intake.lock().shared().clone();
    let asked = Arc::new(AtomicU64::new(0));
    let (counter, mut changes) = (asked.clone(), shared.changes());
    let subscriber = tokio::spawn(poll_fn(move |context| {
        changes.poll_found(context, || {
            counter.fetch_add(1, atomic::Ordering::Relaxed);
            None::<()>
        })
    }));
    let waiting = shared.clone();
    let waiter = tokio::spawn(async move {
        let reached = waiting.wait_until(|view| view.resource_version == Some("150".into())).await;
        assert!(reached.is_some());
    });
    tokio::time::sleep(soon).await;
    let before = asked.load(atomic::Ordering::Relaxed);
    let bookmark = WatchEvent::Bookmark { resource_version: "150".into(), initial_events_end: false };
    now(harness.intake.apply(&mut vec![bookmark])).unwrap();
    assert_eq!(shared.snapshot().resource_version(), Some(&"150".into()));
    tokio::time::timeout(soon, waiter).await.expect("woken").unwrap();
    assert_eq!(asked.load(atomic::Ordering::Relaxed), before);
    now(harness.intake.apply(&mut vec![applied(item(&ObjectKey::new("ns", "a"), 1, 151, good(1)))])).unwrap();
    tokio::time::sleep(soon).await;
    assert!(asked.load(atomic::Ordering::Relaxed) > before);
    drop(harness);
    tokio::time::timeout(soon, subscriber).await.expect("ends with the writer").unwrap();
}

#[test]
fn an_index_closure_may_name_a_key_twice() {
    let key = ObjectKey::new("ns", "a");
    let mut served = good(7);
    served.value.tags = vec![3, 1, 3, 3, 1];
    let harness = synced(&[(&key, 1, 50, served)]);
    let view = harness.intake.lock().shared().snapshot();
    assert_eq!(view.by_index(&harness.by_tag, &3).len(), 1);
    assert_eq!(view.index_keys(&harness.by_tag).count(), 2);
}

#[test]
fn a_handle_of_another_informer_is_refused() {
    let (one, other) = (synced(&[]), synced(&[]));
    let view = one.intake.lock().shared().snapshot();
    assert!(view.try_by_index(&other.by_group, "g1").is_err());
    let found = std::panic::catch_unwind(AssertUnwindSafe(|| view.by_index(&other.by_group, "g1").len()));
    assert!(found.is_err());
}

#[test]
fn an_object_whose_metadata_does_not_read_is_still_there() {
    let key = ObjectKey::new("ns", "a");
    let mut harness = synced(&[(&key, 1, 50, good(7))]);
    let before = harness.intake.lock().shared().snapshot();
    let meta = item(&key, 1, 60, good(7)).meta;
    let mut list = harness.intake.begin_list(Reuse::Unchanged);
    harness
        .intake
        .upsert(&mut list, Err(DecodeError { resource_version: None, ..DecodeError::of(&meta, "broken") }));
    now(harness.intake.commit(list, Some(ResourceVersion::from_number(200)))).unwrap();
    let after = harness.intake.lock().shared().snapshot();
    assert!(after.get(&key).is_some_and(|object| Obj::ptr_eq(object, before.get(&key).unwrap())));
    assert_eq!(after.invalid_len(), 1);
}

/// The uids of the stored object and of the invalid one, if there are any.
fn lives(harness: &Harness, key: &ObjectKey) -> (Option<String>, Option<String>) {
    let view = harness.intake.lock().shared().snapshot();
    let invalid = view.invalid().next().map(|invalid| invalid.uid().unwrap_or_default().to_owned());
    (view.get(key).map(|object| Obj::uid(object).into_owned()), invalid)
}

/// Events of other objects with the same name. The stored object has uid 2 and version 20.
#[test]
fn an_event_of_an_earlier_life_harms_no_later_one() {
    quiet_panics();
    let key = ObjectKey::new("ns", "a");
    let undecodable = Served { manner: Manner::Undecodable, ..good(1) };
    let error = |uid, version| DecodeError::of(&item(&key, uid, version, good(1)).meta, "broken");
    let unknown = |version| DecodeError { uid: None, ..error(0, version) };
    let meta = |uid, version| item(&key, uid, version, good(1)).meta;
    let (held, gone) = (Some("uid-2".to_owned()), None);
    let invalid = |uid: &str| Some(uid.to_owned());
    // The list had version 10, but already contained a later state.
    let table: Vec<(WatchEvent<Box<Served>>, _)> = vec![
        (WatchEvent::Deleted(Ok(meta(1, 15))), (held.clone(), None)),
        (WatchEvent::Deleted(Err(error(1, 15))), (held.clone(), None)),
        (applied(item(&key, 1, 15, good(1))), (held.clone(), None)),
        (applied(item(&key, 1, 15, undecodable.clone())), (held.clone(), None)),
        (WatchEvent::Applied(Err(error(1, 15))), (held.clone(), None)),
        (WatchEvent::Applied(Err(error(2, 15))), (held.clone(), None)),
        // Its own deletion, with an older version than the stored object: it is removed.
        (WatchEvent::Deleted(Ok(meta(2, 15))), (gone.clone(), None)),
        // An event of a later object means that this one was deleted.
        (WatchEvent::Deleted(Ok(meta(3, 25))), (gone.clone(), None)),
        (WatchEvent::Applied(Err(error(3, 25))), (gone.clone(), invalid("uid-3"))),
        (applied(item(&key, 3, 25, undecodable)), (gone.clone(), invalid("uid-3"))),
        // The usual rules apply if there is no uid, and for the same uid.
        (WatchEvent::Deleted(Err(unknown(15))), (gone, None)),
        (WatchEvent::Applied(Err(unknown(25))), (held.clone(), invalid(""))),
        (WatchEvent::Applied(Err(error(2, 25))), (held, invalid("uid-2"))),
    ];
    for streamed in [false, true] {
        for (at, (event, expected)) in table.iter().enumerate() {
            let mut harness = harness();
            let mut list = harness.intake.begin_list(Reuse::Unchanged);
            harness.intake.upsert(&mut list, Ok(item(&key, 2, 20, good(7))));
            let event = clone_of(event);
            if streamed {
                match event {
                    WatchEvent::Applied(item) => harness.intake.upsert(&mut list, item),
                    WatchEvent::Deleted(deleted) => harness.intake.delete(&mut list, deleted),
                    WatchEvent::Bookmark { .. } => {}
                }
                now(harness.intake.commit(list, Some(ResourceVersion::from_number(10)))).unwrap();
            } else {
                now(harness.intake.commit(list, Some(ResourceVersion::from_number(10)))).unwrap();
                now(harness.intake.apply(&mut vec![event])).unwrap();
            }
            harness.intake.lock().validate();
            assert_eq!(lives(&harness, &key), *expected, "row {at}, streamed: {streamed}");
        }
    }
}

fn clone_of(event: &WatchEvent<Box<Served>>) -> WatchEvent<Box<Served>> {
    match event {
        WatchEvent::Applied(Ok(Item { meta, payload: served })) => {
            WatchEvent::Applied(Ok(Item { meta: meta.clone(), payload: served.clone() }))
        }
        WatchEvent::Applied(Err(error)) => WatchEvent::Applied(Err(error.clone())),
        WatchEvent::Deleted(deleted) => WatchEvent::Deleted(deleted.clone()),
        _ => unreachable!("not in the table"),
    }
}

#[test]
fn an_invalid_object_of_another_uid_that_a_list_shows_ends_the_one_held() {
    quiet_panics();
    let key = ObjectKey::new("ns", "a");
    for manner in [Manner::Undecodable, Manner::ProjectionPanics, Manner::IndexPanics] {
        let mut harness = synced(&[(&key, 1, 50, good(7))]);
        let before = harness.intake.lock().shared().snapshot();
        let mut list = harness.intake.begin_list(Reuse::Unchanged);
        harness.intake.upsert(&mut list, Ok(item(&key, 2, 150, Served { manner, ..good(8) })));
        now(harness.intake.commit(list, Some(ResourceVersion::from_number(200)))).unwrap();
        assert_eq!(lives(&harness, &key), (None, Some("uid-2".to_owned())), "{manner:?}");
        let after = harness.intake.lock().shared().snapshot();
        let changes: Vec<_> = crate::subscribe::differences(&before, &after).collect();
        assert!(matches!(changes[..], [crate::subscribe::Change::Deleted(_)]));
    }
}

#[test]
fn what_a_list_of_a_stream_says_is_so_whatever_its_version() {
    let (a, b) = (ObjectKey::new("ns", "a"), ObjectKey::new("ns", "b"));
    let mut harness = synced(&[(&a, 1, 10, good(7)), (&b, 2, 10, good(8))]);
    let before = harness.intake.lock().shared().snapshot();
    let mut list = harness.intake.begin_list(Reuse::Same);
    harness.intake.upsert(&mut list, Ok(item(&a, 1, 5, good(9))));
    harness.intake.upsert(&mut list, Ok(item(&b, 2, 10, good(1))));
    now(harness.intake.commit(list, None)).unwrap();
    let after = harness.intake.lock().shared().snapshot();
    assert_eq!((after.get(&a).unwrap().number, after.resource_version()), (9, None));
    assert!(
        Obj::ptr_eq(before.get(&b).unwrap(), after.get(&b).unwrap()),
        "the very same version is not read"
    );
    // The same holds for events of a stream that goes back.
    now(harness.intake.apply_unordered(&mut vec![applied(item(&b, 2, 4, good(2)))]));
    assert_eq!(harness.intake.lock().shared().snapshot().get(&b).unwrap().number, 2);
    // From the API server, an older version is ignored.
    let mut list = harness.intake.begin_list(Reuse::Unchanged);
    harness.intake.upsert(&mut list, Ok(item(&a, 1, 3, good(3))));
    now(harness.intake.commit(list, Some(ResourceVersion::from_number(20)))).unwrap();
    assert_eq!(harness.intake.lock().shared().snapshot().get(&a).unwrap().number, 9);
}

#[test]
fn versions_made_of_content_tell_the_same_from_the_changed() {
    let [a, b, c] = ["a", "b", "c"].map(|name| ObjectKey::new("ns", name));
    let content = |key: &ObjectKey, version: &str, number| {
        let mut item = item(key, 1, 0, good(number));
        item.meta.resource_version = version.into();
        item.meta.uid = "".into();
        Ok(item)
    };
    let mut harness = harness();
    let mut list = |objects: Vec<_>| {
        let mut list = harness.intake.begin_list(Reuse::Unchanged);
        objects.into_iter().for_each(|object| harness.intake.upsert(&mut list, object));
        now(harness.intake.commit(list, None)).unwrap();
        harness.intake.lock().validate();
        harness.intake.lock().shared().snapshot()
    };
    let before =
        list(vec![content(&a, "content-f0", 1), content(&b, "content-0f", 2), content(&c, "content-1", 3)]);
    let after = list(vec![content(&a, "content-f0", 8), content(&b, "content-00", 9)]);
    assert!(Obj::ptr_eq(before.get(&a).unwrap(), after.get(&a).unwrap()), "unchanged");
    assert_eq!(after.get(&b).unwrap().number, 9);
    assert_eq!((after.len(), after.resource_version()), (2, None));
}

/// An index key that panics on drop while the flag is set.
#[derive(Clone)]
struct Spite(u64, Arc<AtomicBool>);

impl PartialEq for Spite {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Spite {}

impl std::hash::Hash for Spite {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Drop for Spite {
    fn drop(&mut self) {
        assert!(!self.1.load(atomic::Ordering::Relaxed) || thread::panicking(), "asked for by a test");
    }
}

#[test]
fn an_index_key_that_panics_when_it_is_dropped_harms_no_index() {
    quiet_panics();
    let armed = Arc::new(AtomicBool::new(false));
    for late in [false, true] {
        let key = ObjectKey::new("ns", "a");
        let mut harness = synced(&[(&key, 1, 50, good(7))]);
        if late {
            let spite = armed.clone();
            now(harness
                .intake
                .lock()
                .add_index(Box::new(move |value: &Value| [Spite(value.number, spite.clone())])));
            now(harness.intake.apply(&mut vec![applied(item(&ObjectKey::new("ns", "b"), 2, 101, good(7)))]))
                .unwrap();
        }
        armed.store(true, atomic::Ordering::Relaxed);
        for version in 102..110 {
            let mut events = vec![
                applied(item(&key, 1, version, good(version))),
                applied(item(&key, 1, version, good(version + 1))),
            ];
            now(harness.intake.apply(&mut events)).unwrap();
            harness.intake.lock().validate();
        }
        now(harness.intake.apply(&mut vec![WatchEvent::Deleted(Ok(item(&key, 1, 120, good(1)).meta))]))
            .unwrap();
        harness.intake.lock().validate();
        armed.store(false, atomic::Ordering::Relaxed);
        assert!(harness.intake.lock().shared().snapshot().get(&key).is_none());
    }
}
