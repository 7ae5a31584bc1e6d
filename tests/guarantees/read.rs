//! Promises 1 to 3: readers see complete states that do not change, and no read blocks.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use kube_informer::{Config, Informer, View};
use rand::RngExt;
use tokio::task;

use crate::support::*;

/// Threads that only read, one for each way to read.
struct Readers {
    stop: Arc<AtomicBool>,
    /// The number of different revisions that each has seen.
    seen: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    fn start(indexed: &Indexed, check: impl Fn(&Indexed, &View<Kept>) + Clone + Send + 'static) -> Self {
        let mut readers = Self { stop: Arc::default(), seen: Vec::new(), threads: Vec::new() };
        for way in 0..2 {
            let (stop, seen) = (readers.stop.clone(), Arc::new(AtomicU64::new(0)));
            readers.seen.push(seen.clone());
            let (indexed, check) = (indexed.clone(), check.clone());
            readers.threads.push(thread::spawn(move || {
                let mut last = u64::MAX;
                let mut look = |view: &View<Kept>| {
                    check(&indexed, view);
                    if view.revision() != last {
                        assert!(last == u64::MAX || view.revision() > last, "a reader went back in time");
                        last = view.revision();
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                };
                while !stop.load(Ordering::Relaxed) {
                    match way {
                        0 => look(&indexed.informer.snapshot()),
                        _ => indexed.informer.read(&mut look),
                    }
                }
            }));
        }
        readers
    }

    /// Whether each reader has seen at least this many revisions, so that the check is meaningful. Also true
    /// once a reader has failed.
    fn have_seen(&self, revisions: u64) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
            || self.seen.iter().all(|seen| seen.load(Ordering::Relaxed) >= revisions)
    }

    fn join(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p01_a_relist_is_seen_whole_or_not_at_all_when_streamed() {
    let server = server();
    relists_are_seen_whole(&server, start(kept(&server)), 0).await;
}

#[tokio::test(start_paused = true)]
async fn p01_a_relist_is_seen_whole_or_not_at_all_when_paged() {
    let server = server();
    let lists = relists_are_seen_whole(
        &server,
        start(kept(&server).config(Config::new().page_size(50).streaming_lists(false))),
        1,
    )
    .await;
    assert!(server.requests().count("list", WIDGETS) as usize >= 3 * lists, "it was not listed in pages");
}

/// In every relist, every object changes, one is deleted and one is new. Returns the number of lists.
async fn relists_are_seen_whole(
    server: &kube_informer::testing::ApiServer,
    indexed: Indexed,
    first: usize,
) -> usize {
    const OBJECTS: usize = 120;
    let readers = Readers::start(&indexed, |indexed, view| {
        if !view.is_synced() {
            assert!(
                view.is_empty() && view.index_keys(&indexed.by_number).len() == 0,
                "seen before it was synced"
            );
            return;
        }
        assert_eq!(view.len(), OBJECTS);
        let (number, count) = view.index_keys(&indexed.by_number).next().expect("all have a number");
        assert_eq!((count, view.index_keys(&indexed.by_number).len()), (OBJECTS, 1), "a mix of two lists");
        assert!(view.iter().all(|object| object.number == *number), "objects of another list");
        assert!(view.by_index(&indexed.by_number, number).all(|object| object.number == *number));
        let group = format!("g{}", number % 3);
        assert_eq!(view.by_index(&indexed.by_group, group.as_str()).len(), OBJECTS);
        assert_eq!(view.by_index(&indexed.by_group, "all").len(), OBJECTS);
        assert_eq!(view.by_index(&indexed.by_namespace, "a").len(), OBJECTS);
    });
    populate(server, OBJECTS, 0);
    agree(&indexed, server).await;
    let mut round = 0;
    while !readers.have_seen(20) {
        settle().await;
        round += 1;
        for at in 0..OBJECTS {
            let at = name(at + round - 1);
            set(server, "a", &at, round as u64);
        }
        server.delete(WIDGETS, "a", &name(round - 1)).unwrap();
        server.create(widget("a", &name(round + OBJECTS - 1), round as u64)).unwrap();
        force_relist(server);
        agree(&indexed, server).await;
    }
    readers.join();
    let lists = indexed.informer.stats().lists as usize;
    assert_eq!(lists, round + 1, "{first}: each round is one list");
    lists
}

#[tokio::test(start_paused = true)]
async fn p01_objects_and_every_index_agree_under_churn() {
    let (_, mut random) = seeded();
    let server = server();
    populate(&server, 40, 1);
    let indexed = start(kept(&server));
    indexed.informer.synced().await.unwrap();
    // All readers of a revision see the same content.
    let contents: Arc<Mutex<HashMap<u64, Content>>> = Arc::default();
    let readers = Readers::start(&indexed, move |indexed, view| {
        indexed.assert_consistent(view);
        let content = content(view);
        let mut contents = contents.lock().unwrap();
        let known = contents.entry(view.revision()).or_insert_with(|| content.clone());
        assert!(*known == content, "two readers saw revision {} differently", view.revision());
    });
    while !readers.have_seen(100) {
        for _ in 0..random.random_range(1..20) {
            churn(&server, &mut random);
        }
        agree(&indexed, &server).await;
    }
    readers.join();
}

/// One random write to one of 60 names.
fn churn(server: &kube_informer::testing::ApiServer, random: &mut rand::rngs::StdRng) {
    let at = name(random.random_range(0..60));
    let exists = server.get(WIDGETS, "a", &at).is_ok();
    match random.random_range(0..10) {
        _ if !exists => drop(server.create(widget("a", &at, random.random_range(0..9))).unwrap()),
        0..2 => drop(server.delete(WIDGETS, "a", &at).unwrap()),
        _ => set(server, "a", &at, random.random_range(0..9)),
    }
}

#[tokio::test(start_paused = true)]
async fn p02_a_held_snapshot_never_changes() {
    let (_, mut random) = seeded();
    let server = server();
    populate(&server, 40, 1);
    let indexed = start(kept(&server));
    let mut held = vec![(indexed.informer.snapshot(), Content::new())];
    for round in 0..30 {
        let snapshot = agree(&indexed, &server).await;
        held.push((snapshot, truth(&server)));
        settle().await;
        for _ in 0..10 {
            churn(&server, &mut random);
        }
        if round % 5 == 0 {
            force_relist(&server);
        }
    }
    assert!(indexed.informer.stats().lists > 5, "there were relists");
    let check = || {
        for (snapshot, then) in &held {
            assert_eq!(content(snapshot), *then);
            assert_eq!(snapshot.len(), then.len());
            indexed.assert_consistent(snapshot);
            for key in then.keys() {
                let (namespace, name) = key.split_once('/').unwrap();
                assert_eq!(entry(snapshot.get((namespace, name)).unwrap()).1, then[key]);
            }
        }
    };
    check();
    indexed.informer.shutdown().await;
    check();
}

#[tokio::test(start_paused = true)]
async fn p02_snapshots_and_objects_outlive_their_informer() {
    let server = server();
    populate(&server, 3, 7);
    let informer = kept(&server).start();
    informer.synced().await.unwrap();
    let (snapshot, object) = (informer.snapshot(), informer.get(("a", "w001")).unwrap());
    drop(informer);
    settle().await;
    assert_eq!(task_count(), 0, "the informer is gone");
    assert_eq!(content(&snapshot), truth(&server));
    assert_eq!(object.number, 7);
}

fn task_count() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn p03_readers_and_subscribers_that_are_stuck_delay_no_one() {
    let server = server();
    populate(&server, 20, 1);
    let indexed = start(kept(&server));
    indexed.informer.synced().await.unwrap();

    // Many readers block inside `read`, more than any pool of slots has room for.
    let (let_go, stuck) = mpsc::channel::<()>();
    let stuck = Arc::new(Mutex::new(stuck));
    let (inside, entered) = mpsc::channel();
    let readers: Vec<_> = (0..40)
        .map(|_| {
            let (informer, inside, stuck) = (indexed.informer.clone(), inside.clone(), stuck.clone());
            thread::spawn(move || {
                informer.read(|view| {
                    let before = content(view);
                    inside.send(()).unwrap();
                    let _ = stuck.lock().unwrap().recv();
                    assert_eq!(content(view), before, "the view moved on under its reader");
                });
            })
        })
        .collect();
    for _ in &readers {
        entered.recv().unwrap();
    }
    // Subscriptions: never polled, polled once, and dropped in the middle of a batch.
    let never = indexed.informer.subscribe();
    let mut left = indexed.informer.subscribe();
    let batch = next(&mut left).await;
    let mut dropped = indexed.informer.subscribe();
    drop(next(&mut dropped).await);
    drop(dropped);
    let mut changes = batch.changes();
    changes.next().unwrap();

    let mut healthy = indexed.informer.subscribe();
    next(&mut healthy).await;
    for round in 2..200 {
        set(&server, "a", "w001", round);
        let batch = next(&mut healthy).await;
        assert_eq!(batch.snapshot().get(("a", "w001")).unwrap().number, round);
    }
    settle().await;
    set(&server, "a", "w002", 500);
    force_relist(&server);
    agree(&indexed, &server).await;
    assert_eq!(changes.count(), 19, "the batch is as it was");
    drop((never, left, let_go));
    for reader in readers {
        reader.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn p03_no_closure_runs_on_a_reader() {
    let server = server();
    populate(&server, 30, 1);
    let ran: Arc<Mutex<Vec<Where>>> = Arc::default();
    let note = |ran: &Arc<Mutex<Vec<_>>>| ran.lock().unwrap().push((thread::current().id(), task::try_id()));
    let (in_projection, in_index) = (ran.clone(), ran.clone());
    let mut builder = Informer::builder(api(&server)).project(move |widget| {
        note(&in_projection);
        Kept::from(widget)
    });
    let by_number = builder.index(move |kept: &Kept| {
        note(&in_index);
        kept.number
    });
    let informer = builder.start();
    informer.synced().await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (informer, stop) = (informer.clone(), stop.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(informer.snapshot().len(), 30);
                    informer.read(|view| view.by_index(&by_number, &2).count());
                }
            })
        })
        .collect();
    let mut changes = informer.subscribe();
    next(&mut changes).await;
    for round in 2..60 {
        for at in 0..30 {
            set(&server, "a", &name(at), round);
        }
        while informer.read(|view| view.by_index(&by_number, &round).len()) < 30 {
            for change in next(&mut changes).await.changes() {
                std::hint::black_box(change);
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let readers: Vec<ThreadId> = readers
        .into_iter()
        .map(|reader| {
            let id = reader.thread().id();
            reader.join().unwrap();
            id
        })
        .collect();
    let ran = ran.lock().unwrap();
    assert!(ran.len() >= 2 * 30, "they ran");
    let task = ran[0].1.expect("closures run in a task");
    assert_ne!(Some(task), task::try_id(), "not in this one");
    assert!(ran.iter().all(|(thread, id)| *id == Some(task) && !readers.contains(thread)));
}

/// The thread and task in which something ran.
type Where = (ThreadId, Option<task::Id>);

/// A value that reports where it was dropped.
struct Traced {
    number: u64,
    dropped: mpsc::Sender<(u64, ThreadId, Option<task::Id>)>,
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.dropped.send((self.number, thread::current().id(), task::try_id()));
    }
}

#[tokio::test(start_paused = true)]
async fn p03_old_versions_are_freed_within_a_second_off_the_readers_threads() {
    let server = server();
    populate(&server, 50, 0);
    let (dropped, drops) = mpsc::channel();
    let informer = Informer::builder(api(&server))
        .project(move |widget| Traced { number: widget.spec.number, dropped: dropped.clone() })
        .start();
    informer.synced().await.unwrap();
    for round in 1..20 {
        // A thread holds the old state in every way, and is the last to drop it.
        let (snapshot, object) = (informer.snapshot(), informer.get(("a", "w001")).unwrap());
        for at in 0..50 {
            set(&server, "a", &name(at), round);
        }
        if round % 4 == 0 {
            settle().await;
            force_relist(&server);
        }
        until(&informer, "all are new", |view| view.iter().all(|object| object.number == round)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(drops.try_recv().map(|(number, ..)| number), Err(mpsc::TryRecvError::Empty), "still held");
        let on = thread::spawn(move || {
            assert_eq!(snapshot.iter().filter(|object| object.number == round - 1).count(), 50);
            drop(snapshot);
            drop(object);
            thread::current().id()
        });
        let on = on.join().unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let freed: Vec<_> = drops.try_iter().collect();
        assert_eq!(freed.len(), 50, "freed within a second, no more and no less");
        for (number, thread, task) in freed {
            assert_eq!(number, round - 1);
            assert!(thread != on && task.is_some(), "freed by a reader");
        }
    }
}
