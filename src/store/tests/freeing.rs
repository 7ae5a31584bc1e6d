//! When, where and in which parts memory is freed.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::*;
use crate::store::intake::Take;

/// Sends the id of the thread that drops it.
struct Traced(mpsc::Sender<ThreadId>);

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

#[test]
fn a_version_that_no_reader_has_is_freed_when_another_is_published() {
    let (sender, dropped) = mpsc::channel();
    let take: Take<(), Traced> = Box::new(move |_, ()| Ok(Some(Traced(sender.clone()))));
    let mut intake = Intake::new(Writer::new(next_store(), Vec::new()), take);
    let list = intake.begin_list(Reuse::Unchanged);
    now(intake.commit(list, Some(ResourceVersion::from_number(1)))).unwrap();
    let shared = intake.lock().shared().clone();
    let key = ObjectKey::cluster("a");
    let mut update = |version| {
        let meta = item(&key, 1, version, good(1)).meta;
        now(intake.apply(&mut vec![WatchEvent::Applied(Ok(Item { meta, payload: () }))])).unwrap();
        dropped.try_iter().count()
    };
    let freed: Vec<usize> = (2..8).map(&mut update).collect();
    assert_eq!(freed, [0, 0, 1, 1, 1, 1], "no sweep has run");
    let held = shared.snapshot();
    let freed: Vec<usize> = (8..14).map(&mut update).collect();
    assert_eq!(freed, [1, 0, 1, 1, 1, 1], "what a reader has stays, and its successors do not");
    assert!(held.get(&key).is_some());
}

#[tokio::test(start_paused = true)]
async fn t_drop_never_runs_on_a_thread_that_only_reads() {
    let (sender, dropped) = mpsc::channel();
    let take: Take<(), Traced> = Box::new(move |_, ()| Ok(Some(Traced(sender.clone()))));
    let mut intake = Intake::new(Writer::new(next_store(), Vec::new()), take);
    let shared = intake.lock().shared().clone();
    let retired = intake.lock().retired().clone();
    let key = ObjectKey::cluster("a");
    let event = |version| {
        let meta = item(&key, 1, version, good(1)).meta;
        WatchEvent::Applied(Ok(Item { meta, payload: () }))
    };
    let list = intake.begin_list(Reuse::Unchanged);
    now(intake.commit(list, Some(ResourceVersion::from_number(1)))).unwrap();
    now(intake.apply(&mut vec![event(2)])).unwrap();
    // A reader holds a snapshot and an object, and is the last to drop them.
    let (snapshot, object) = (shared.snapshot(), shared.load().get(&key).cloned().unwrap());
    now(intake.apply(&mut vec![event(3)])).unwrap();
    let reader = thread::spawn(move || {
        drop(snapshot);
        drop(object);
        thread::current().id()
    })
    .join()
    .unwrap();
    assert!(dropped.try_recv().is_err(), "kept until the writer's side has looked");
    let sweep = tokio::time::timeout(Duration::from_secs(1), retired.sweep_forever());
    assert!(sweep.await.is_err(), "it sweeps on");
    let thread = dropped.try_recv().expect("freed within 1 s");
    assert_eq!(thread, thread::current().id());
    assert_ne!(thread, reader);
    assert_eq!(retired.pinned().versions(u64::MAX), 0);
}

#[tokio::test(start_paused = true)]
async fn an_old_world_is_freed_in_many_turns_and_no_task_waits_for_all_of_it() {
    /// A value that takes long to free.
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            let began = std::time::Instant::now();
            while began.elapsed() < Duration::from_micros(50) {}
        }
    }
    const OBJECTS: u64 = 400;
    let take: Take<(), Slow> = Box::new(move |_, ()| Ok(Some(Slow)));
    let indexes: Vec<Box<dyn Indexer<Slow>>> = vec![Box::new(|_: &Slow| 7)];
    let mut intake = Intake::new(Writer::new(next_store(), indexes), take);
    let shared = intake.lock().shared().clone();
    let retired = intake.lock().retired().clone();
    let mut list = intake.begin_list(Reuse::Unchanged);
    for number in 0..OBJECTS {
        let meta = item(&ObjectKey::cluster(&number.to_string()), 1, 1, good(1)).meta;
        intake.upsert(&mut list, Ok(Item { meta, payload: () }));
    }
    // Both unpublished and published state.
    drop(list);
    drop(intake);
    let mut finish = pin!(retired.finish(shared));
    let mut polls = 0;
    while futures_util::poll!(finish.as_mut()).is_pending() {
        polls += 1;
    }
    // One step may exceed 0.2 ms by at most a leaf of 16 objects.
    assert!(polls > 10, "freed in {polls} turns");
}

/// Panics on drop while the flag is set.
struct Grudge(Arc<AtomicBool>);

impl Drop for Grudge {
    fn drop(&mut self) {
        assert!(!self.0.load(atomic::Ordering::Relaxed), "asked for by a test");
    }
}

#[test]
fn a_list_that_breaks_off_is_forgotten_whatever_t_drop_does() {
    quiet_panics();
    let armed = Arc::new(AtomicBool::new(false));
    let grudge = armed.clone();
    let take: Take<(), Grudge> = Box::new(move |_, ()| Ok(Some(Grudge(grudge.clone()))));
    let indexes: Vec<Box<dyn Indexer<Grudge>>> = vec![Box::new(|_: &Grudge| 7)];
    let mut intake = Intake::new(Writer::new(next_store(), indexes), take);
    let list = |intake: &mut Intake<(), Grudge>, mut version: u64| {
        let mut list = intake.begin_list(Reuse::Unchanged);
        for name in ["a", "b", "c", "c", "d"] {
            let meta = item(&ObjectKey::cluster(name), 1, version, good(1)).meta;
            intake.upsert(&mut list, Ok(Item { meta, payload: () }));
            version += 1;
        }
        list
    };
    let first = list(&mut intake, 1);
    now(intake.commit(first, Some(ResourceVersion::from_number(10)))).unwrap();
    let broken = list(&mut intake, 11);
    armed.store(true, atomic::Ordering::Relaxed);
    drop(broken);
    intake.lock().validate();
    let shared = intake.lock().shared().clone();
    assert_eq!(shared.snapshot().resource_version(), Some(&"10".into()));
    let second = list(&mut intake, 11);
    now(intake.commit(second, Some(ResourceVersion::from_number(20)))).unwrap();
    intake.lock().validate();
    assert_eq!(
        shared.snapshot().iter().map(Obj::resource_version).filter(|held| *held > "10".into()).count(),
        4
    );
    armed.store(false, atomic::Ordering::Relaxed);
}
