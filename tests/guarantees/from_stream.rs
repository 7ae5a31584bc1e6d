//! The guarantees of an informer that is fed by a stream: promises 1 to 3, 5 to 7 and 10 to 12. The streams
//! are scripted, or kube-runtime's `watcher` on a server.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::time::Duration;

use futures_core::Stream;
use futures_util::{FutureExt, StreamExt, stream};
use kube_informer::testing::{Fault, FaultAction};
use kube_informer::{Batch, Change, End, Informer, Obj, Phase, builder::Builder, builder::FromStream, index};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event, watcher};
use rand::RngExt;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::support::*;

/// The sender of a test's events. The stream ends when it is dropped.
pub(crate) struct Script(mpsc::UnboundedSender<watcher::Result<Event<Widget>>>);

impl Script {
    pub(crate) fn new() -> (Self, impl Stream<Item = watcher::Result<Event<Widget>>> + Send + 'static) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let events = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|event| (event, receiver))
        });
        (Self(sender), events)
    }

    pub(crate) fn send(&self, event: Event<Widget>) {
        assert!(self.0.send(Ok(event)).is_ok(), "the informer has stopped");
    }

    pub(crate) fn fail(&self) {
        assert!(self.0.send(Err(watcher::Error::NoResourceVersion)).is_ok(), "the informer has stopped");
    }

    fn list(&self, widgets: impl IntoIterator<Item = Widget>) {
        self.send(Event::Init);
        widgets.into_iter().for_each(|widget| self.send(Event::InitApply(widget)));
        self.send(Event::InitDone);
    }
}

/// A widget as a watch returns it.
pub(crate) fn at(name: &str, version: u64, number: u64) -> Widget {
    let mut object = widget("a", name, number);
    object["metadata"]["uid"] = json!(format!("uid of {name}"));
    object["metadata"]["resourceVersion"] = json!(version.to_string());
    from_json(&object)
}

pub(crate) fn indexed<E>(events: E) -> Indexed
where
    E: Stream<Item = watcher::Result<Event<Widget>>> + Send + 'static,
{
    let mut builder: Builder<_, _, FromStream<E>> = Informer::from_stream(events).project(Kept::from);
    let by_number = builder.index(|kept: &Kept| kept.number);
    let by_group = builder.index(|kept: &Kept| [kept.group.clone(), "all".to_owned()]);
    let by_namespace = builder.index(index::namespace());
    Indexed { informer: builder.start(), by_number, by_group, by_namespace }
}

/// Applies a batch to `state`, and compares the result with the snapshot of the batch.
pub(crate) fn follow(batch: &Batch<Kept>, state: &mut BTreeMap<String, Obj<Kept>>) {
    for change in batch.changes() {
        let key = change.key().to_string();
        let known = match change {
            Change::Deleted(_) => state.remove(&key),
            Change::Added(new) | Change::Modified { new, .. } | Change::Replaced { new, .. } => {
                state.insert(key.clone(), new.clone())
            }
        };
        let same = match (&known, change.old()) {
            (Some(known), Some(old)) => Obj::ptr_eq(known, old),
            (known, old) => known.is_none() && old.is_none(),
        };
        assert!(same, "{change:?} is not of what was there");
    }
    assert_eq!(rebuilt(state), content(batch.snapshot()), "the changes do not add up to the snapshot");
}

pub(crate) fn rebuilt(state: &BTreeMap<String, Obj<Kept>>) -> Content {
    state.values().map(entry).collect()
}

#[tokio::test(start_paused = true)]
async fn p03_a_stuck_reader_and_subscriber_do_not_hold_up_a_stream() {
    let (script, events) = Script::new();
    let indexed = indexed(events);
    script.list([at("one", 1, 0)]);
    indexed.informer.synced().await.unwrap();
    let never_polled = indexed.informer.subscribe();
    let ((inside, entered), (let_go, stuck)) = (std_mpsc::channel(), std_mpsc::channel::<()>());
    let informer = indexed.informer.clone();
    let reader = std::thread::spawn(move || {
        informer.read(|view| {
            inside.send(()).unwrap();
            // Until the sender is dropped.
            assert!(stuck.recv().is_err());
            view.get(("a", "one")).unwrap().number
        })
    });
    entered.recv().unwrap();
    for round in 1..=5000 {
        match round % 100 {
            0 => script.list([at("one", round, round)]),
            _ => script.send(Event::Apply(at("one", round, round))),
        }
        if round % 7 == 0 {
            yield_now().await;
        }
    }
    until(&indexed.informer, "all of it is in", |view| view.get(("a", "one")).unwrap().number == 5000).await;
    drop(let_go);
    assert_eq!(reader.join().unwrap(), 0, "it reads on what it began with");
    drop(never_polled);
}

#[tokio::test(start_paused = true)]
async fn p05_what_a_list_of_a_stream_lacks_is_told_as_deleted() {
    let (script, events) = Script::new();
    let indexed = indexed(events);
    let mut changes = indexed.informer.subscribe();
    script.list([at("gone", 1, 1), at("stays", 2, 2), at("changes", 3, 3), at("another", 4, 4)]);
    assert_eq!(next(&mut changes).await.changes().count(), 4);
    script.fail();
    let mut another = at("another", 9, 9);
    another.metadata.uid = Some("of another".to_owned());
    script.list([at("stays", 2, 2), at("changes", 8, 8), another, at("new", 7, 7)]);
    let batch = next(&mut changes).await;
    let mut told: Vec<_> = batch
        .changes()
        .map(|change| {
            let name = change.key().name().to_owned();
            (name, change.old().map(|old| old.number), change.new().map(|new| new.number))
        })
        .collect();
    told.sort();
    let expected = [
        ("another", Some(4), Some(9)),
        ("changes", Some(3), Some(8)),
        ("gone", Some(1), None),
        ("new", None, Some(7)),
    ];
    assert_eq!(told, expected.map(|(name, old, new)| (name.to_owned(), old, new)));
    assert!(batch.changes().any(|change| matches!(change, Change::Replaced { .. })), "its uid is another");
}

#[tokio::test(start_paused = true)]
async fn p06_lists_of_a_stream_pin_one_old_world_for_each_that_idles() {
    let (script, events) = Script::new();
    let census = Arc::new(());
    let counting = census.clone();
    let informer = Informer::from_stream(events).project(move |_| counting.clone()).start();
    // The test and the projection have one reference each.
    let live = || Arc::strong_count(&census) - 2;
    script.list((0..50).map(|at_| at(&name(at_), 1, 0)));
    informer.synced().await.unwrap();
    let (mut changes, held) = (informer.subscribe(), informer.snapshot());
    next(&mut changes).await;
    for round in 2..500 {
        // Half of the objects change each time; some lists are aborted.
        script.send(Event::Init);
        (0..50).for_each(|at_| {
            script.send(Event::InitApply(at(&name(at_), if at_ < 25 { round } else { 1 }, 0)))
        });
        if round % 3 == 0 {
            script.fail();
            continue;
        }
        script.send(Event::InitDone);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(live() <= 50 + 25, "round {round}: {} values", live());
    }
    assert_eq!(live(), 50 + 25);
    drop((held, next(&mut changes).await));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(live(), 50);
}

#[tokio::test(start_paused = true)]
async fn p07_waits_on_a_stream_end_with_its_first_list_or_with_it() {
    for ends in [false, true] {
        let (script, events) = Script::new();
        let indexed = indexed(events);
        let waiters: Vec<_> = (0..30)
            .map(|_| {
                let indexed = indexed.clone();
                tokio::spawn(async move {
                    indexed.informer.synced().await?;
                    Ok::<_, kube_informer::Error>(indexed.informer.snapshot().len())
                })
            })
            .collect();
        script.send(Event::Init);
        script.send(Event::InitApply(at("one", 1, 1)));
        let mut nameless = at("invalid", 2, 2);
        nameless.metadata.name = None;
        script.send(Event::InitApply(nameless));
        script.fail();
        settle().await;
        assert!(waiters.iter().all(|waiter| !waiter.is_finished()) && indexed.informer.snapshot().is_empty());
        if !ends {
            script.list([at("one", 1, 1), at("two", 2, 2)]);
        }
        drop(script);
        for waiter in waiters {
            match waiter.await.unwrap() {
                Ok(len) => assert!(!ends && len == 2),
                Err(error) => assert!(ends && error.is_stopped()),
            }
        }
        // After the end, no wait blocks.
        let mut changes = indexed.informer.subscribe();
        assert_eq!(changes.next().await.is_some(), !ends);
        assert!(changes.next().await.is_none());
        assert_eq!(changes.end(), Some(End::Stopped));
        assert!(indexed.informer.wait_until(|_| false).await.unwrap_err().is_stopped());
        assert_eq!(indexed.informer.status().phase, Phase::Stopped);
        assert_eq!(
            indexed.informer.snapshot().len(),
            if ends { 0 } else { 2 },
            "what there was stays readable"
        );
        indexed.informer.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_informer_that_stops_drops_its_stream() {
    let (script, events) = Script::new();
    let indexed = indexed(events);
    script.list([]);
    indexed.informer.synced().await.unwrap();
    indexed.informer.shutdown().await;
    assert!(script.0.is_closed());
    let (script, events) = Script::new();
    drop(self::indexed(events));
    script.0.closed().await;
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_stream_are_in_the_status_until_it_goes_on() {
    let (script, events) = Script::new();
    let indexed = indexed(events);
    let status = async |what: &str, phase, failures| {
        eventually(what, || {
            Some(indexed.informer.status())
                .filter(|status| (status.phase, status.failures) == (phase, failures))
        })
        .await
    };
    script.fail();
    let blocked = status("it failed at once", Phase::BackingOff, 1).await;
    assert!(!blocked.synced && blocked.stale_since.is_some());
    script.list([at("one", 1, 1)]);
    let good = status("it has recovered", Phase::Watching, 0).await;
    assert!(good.synced && good.stale_since.is_none());
    let stats = indexed.informer.stats();
    assert_eq!((stats.objects, stats.lists), (1, 1));
    for recovery in [Event::Apply(at("one", 2, 2)), Event::Delete(at("none", 3, 3))] {
        script.fail();
        script.fail();
        let failed = status("it failed twice", Phase::BackingOff, 2).await;
        let since = failed.stale_since.expect("stale");
        let error = failed.last_error.expect("an error");
        assert!(error.is_stream() && error.source().is_some_and(|source| source.is::<watcher::Error>()));
        assert!(failed.synced && indexed.informer.snapshot().len() == 1, "the state is kept");
        // The beginning of a list is not a recovery yet.
        script.send(Event::Init);
        let listing = status("it lists", Phase::Listing, 2).await;
        assert_eq!(listing.stale_since, Some(since));
        script.send(recovery);
        let good = status("it has recovered", Phase::Watching, 0).await;
        assert!(good.stale_since.is_none() && good.last_error.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn p10_closures_that_panic_on_an_object_of_a_stream_harm_only_it() {
    quiet_panics();
    let (script, events) = Script::new();
    let mut builder = Informer::from_stream(events).project(|widget: Widget| {
        if widget.spec.number == 10 {
            std::panic::panic_any(EXPECTED);
        }
        Kept::from(widget)
    });
    let by_number = builder.index(|kept: &Kept| {
        if kept.number == 11 {
            std::panic::panic_any(EXPECTED);
        }
        kept.number
    });
    let informer = builder.start();
    script.list([at("one", 1, 1), at("two", 2, 10), at("three", 3, 11)]);
    informer.synced().await.unwrap();
    assert_eq!((informer.snapshot().len(), informer.snapshot().invalid_len()), (1, 2));
    for (version, number) in [(4, 10), (6, 11)] {
        script.send(Event::Apply(at("one", version, number)));
        script.send(Event::Apply(at("four", version + 1, number + 10)));
        let snapshot = until(&informer, "it goes on", |view| {
            view.get(("a", "four")).is_some_and(|four| four.number == number + 10)
        })
        .await;
        assert_eq!(snapshot.get(("a", "one")).unwrap().number, 1, "its last good version stays");
        assert_eq!((snapshot.invalid_len(), snapshot.by_index(&by_number, &1).len()), (3, 1));
    }
    script.list([at("one", 8, 1), at("two", 9, 2), at("three", 10, 3)]);
    until(&informer, "all are good", |view| view.invalid_len() == 0 && view.len() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_stops_the_informer() {
    quiet_panics();
    let (script, events) = Script::new();
    let events = events.inspect(|event| {
        if event.is_err() {
            std::panic::panic_any(EXPECTED);
        }
    });
    let indexed = indexed(events);
    script.list([at("one", 1, 1)]);
    let mut changes = indexed.informer.subscribe();
    next(&mut changes).await;
    script.fail();
    assert!(changes.next().await.is_none());
    assert!(indexed.informer.wait_until(|_| false).await.unwrap_err().is_stopped());
    indexed.informer.shutdown().await;
    assert_eq!(indexed.informer.snapshot().len(), 1, "what there was stays readable");
    assert_eq!(indexed.informer.status().phase, Phase::Stopped);
}

#[tokio::test(start_paused = true)]
async fn p11_a_version_in_a_stream_is_projected_once_and_p12_shared_from_then_on() {
    let (script, events) = Script::new();
    let projected = Arc::new(Mutex::new(BTreeMap::<_, usize>::new()));
    let noting = projected.clone();
    let informer = Informer::from_stream(events)
        .project(move |widget: Widget| {
            let version = (widget.metadata.name.clone(), widget.metadata.resource_version.clone());
            *noting.lock().unwrap().entry(version).or_default() += 1;
            Kept::from(widget)
        })
        .start();
    let world = |round: u64| (0..100).map(move |at_| at(&name(at_), if at_ == 7 { round } else { 1 }, round));
    script.list(world(1));
    informer.synced().await.unwrap();
    let first = informer.snapshot();
    for round in 2..20 {
        // Updates by a list, by a change of each object, and by a single change.
        match round % 3 {
            0 => script.list(world(round)),
            1 => world(round).for_each(|widget| script.send(Event::Apply(widget))),
            _ => script.send(Event::Apply(at(&name(7), round, round))),
        }
        let snapshot =
            until(&informer, "it follows", |view| view.get(("a", "w007")).unwrap().number == round).await;
        let same = |object: &&Obj<Kept>| Obj::ptr_eq(object, first.get(Obj::key(object)).unwrap());
        assert_eq!(snapshot.iter().filter(same).count(), 99, "round {round}");
    }
    let projected = projected.lock().unwrap();
    assert_eq!(projected.len(), 100 + 18);
    assert!(projected.values().all(|times| *times == 1), "some were projected again");
}

#[tokio::test(start_paused = true)]
async fn p05_kubes_watcher_on_a_server_that_makes_trouble_loses_nothing() {
    let (_, mut random) = seeded();
    let server = server();
    populate(&server, 40, 1);
    let events = watcher(api(&server), watcher::Config::default().page_size(7)).default_backoff();
    let indexed = indexed(events);
    let mut changes = indexed.informer.subscribe();
    let mut state = BTreeMap::new();
    for round in 0..40 {
        for _ in 0..random.random_range(0..15) {
            let at = name(random.random_range(0..60));
            match server.get(WIDGETS, "a", &at) {
                Ok(_) if random.random_range(0..3) == 0 => drop(server.delete(WIDGETS, "a", &at).unwrap()),
                Ok(_) => set(&server, "a", &at, random.random_range(0..9)),
                Err(_) => drop(server.create(widget("a", &at, random.random_range(0..9))).unwrap()),
            }
        }
        match round % 5 {
            1 => force_relist(&server),
            2 => server.inject(Fault::new(FaultAction::CutStream).verb("watch")),
            3 => {
                server.inject(Fault::new(FaultAction::Respond { code: 500, retry_after: None }).verb("list"))
            }
            _ => {}
        }
        agree(&indexed, &server).await;
        while let Some(batch) = changes.next().now_or_never().flatten() {
            follow(&batch, &mut state);
        }
        assert_eq!(rebuilt(&state), truth(&server));
    }
    assert!(indexed.informer.stats().lists > 5, "there were relists");
    indexed.informer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn p01_an_index_can_be_added_late_and_a_refresh_is_declined() {
    let (script, events) = Script::new();
    let informer = indexed(events).informer;
    script.list([at("a", 1, 7), at("b", 2, 8)]);
    informer.synced().await.unwrap();
    script.send(Event::Init);
    script.send(Event::InitApply(at("a", 3, 9)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let adding = tokio::spawn({
        let informer = informer.clone();
        async move { informer.add_index(|kept: &Kept| kept.number % 2).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!adding.is_finished(), "it waits for the end of the list");
    script.send(Event::InitDone);
    let by_rest = adding.await.unwrap().unwrap();
    let snapshot = informer.snapshot();
    assert_eq!(
        (snapshot.len(), snapshot.by_index(&by_rest, &1).len(), snapshot.by_index(&by_rest, &0).len()),
        (1, 1, 0)
    );
    script.send(Event::Apply(at("b", 4, 4)));
    let grown = until(&informer, "it is followed", |view| view.len() == 2).await;
    assert_eq!(grown.by_index(&by_rest, &0).len(), 1);
    assert!(informer.refresh().await.unwrap_err().is_unsupported());
}
