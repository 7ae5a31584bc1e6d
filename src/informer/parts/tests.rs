//! Several parts on scripted sources, with paused time.

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::*;
use crate::error::Error;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::reflector::Status;
use crate::snapshot::Snapshot;
use crate::source::stub::{Answer, Step, Stub};
use crate::source::{Item, Meta, Page, WatchEvent};
use crate::store::{Shared, Writer, next_store};
use crate::version::ResourceVersion;

/// Parts that follow scripts.
struct Harness {
    shared: Arc<Shared<u64>>,
    status: watch::Receiver<Status>,
    tally: Arc<Tally>,
    commands: mpsc::Sender<Command<AddIndex<u64>>>,
    /// How many times the task was polled.
    polls: Arc<AtomicUsize>,
    _stop: tokio_util::sync::DropGuard,
}

impl Harness {
    /// Each part plays the script of its namespace.
    fn start(scope: Scope, scripts: Vec<(&'static str, Vec<Answer<()>>)>) -> Self {
        let writer = Writer::new(next_store(), Vec::new());
        let (shared, changes) = (writer.shared().clone(), writer.changes().clone());
        let (whole, status) = watch::channel(Status::new());
        let (commands, taken) = mpsc::channel(8);
        let (tally, stop) = (Arc::new(Tally::new()), CancellationToken::new());
        let scripts = Mutex::new(scripts);
        let source = move |part: Part| {
            let mut scripts = scripts.lock().unwrap();
            let at = scripts.iter().position(|(namespace, _)| part.namespace.as_deref() == Some(*namespace));
            Stub::new(scripts.remove(at.expect("a script for each part")).1).0
        };
        let take = |meta: &Meta, ()| Ok(meta.resource_version.as_number());
        let common = Common {
            is_cluster_scoped: false,
            source: Box::new(source),
            store: Store::new(writer, Box::new(take)),
            changes,
            board: Board::new(whole),
            tally: tally.clone(),
            config: Config::new().streaming_lists(false),
            gate: Arc::default(),
            stop: stop.clone(),
        };
        let polls = Arc::new(AtomicUsize::new(0));
        let (counted, mut run) = (polls.clone(), Box::pin(Reflectors::new(common).run(scope, taken)));
        tokio::spawn(poll_fn(move |cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            run.as_mut().poll(cx)
        }));
        Self { shared, status, tally, commands, polls, _stop: stop.drop_guard() }
    }

    fn snapshot(&self) -> Snapshot<u64> {
        self.shared.snapshot()
    }

    /// The names and versions of all objects.
    fn objects(&self) -> Vec<(String, u64)> {
        let mut objects: Vec<_> =
            self.snapshot().iter().map(|object| (Obj::name(object).to_owned(), **object)).collect();
        objects.sort();
        objects
    }

    #[track_caller]
    fn has(&self, objects: &[(&str, u64)], version: Option<u64>) {
        let expected: Vec<_> = objects.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect();
        assert_eq!(self.objects(), expected);
        assert_eq!(self.snapshot().resource_version().and_then(ResourceVersion::as_number), version);
    }
}

fn item(namespace: &str, name: &str, version: u64) -> Item<()> {
    let meta = Meta {
        key: ObjectKey::new(namespace, name),
        uid: name.into(),
        resource_version: ResourceVersion::from_number(version),
    };
    Item { meta, payload: () }
}

fn page(version: u64, namespace: &str, objects: &[(&str, u64)], next: Option<&str>) -> Answer<()> {
    let items: Vec<_> = objects.iter().map(|(name, version)| Ok(item(namespace, name, *version))).collect();
    Answer::Page(Page {
        items: Box::new(items.into_iter()),
        resource_version: ResourceVersion::from_number(version),
        continue_token: next.map(str::to_owned),
        is_sharded: false,
    })
}

fn put(namespace: &str, name: &str, version: u64) -> Step<()> {
    Step::Event(WatchEvent::Applied(Ok(item(namespace, name, version))))
}

fn after(seconds: u64, answer: Answer<()>) -> Answer<()> {
    Answer::After(Duration::from_secs(seconds), Box::new(answer))
}

fn pause(seconds: u64) -> Step<()> {
    Step::Pause(Duration::from_secs(seconds))
}

fn never() -> Answer<()> {
    Answer::Watch(vec![Step::Never])
}

async fn work(seconds: u64) {
    // Between the moments at which the scripts do something.
    sleep(Duration::from_millis(seconds * 1000 + 1)).await;
}

/// A second poll would find nothing, and make the runtime wake another thread for it.
#[tokio::test(start_paused = true)]
async fn an_event_polls_the_task_once() {
    let event = |at: u64| [pause(10), put("a", "a1", at)];
    let a = vec![
        page(10, "a", &[("a1", 1)], None),
        Answer::Watch((11..20).flat_map(event).chain([Step::Never]).collect()),
    ];
    let parts = Harness::start(Scope::namespaces(["a"]), vec![("a", a)]);
    work(15).await;
    for version in 12..20 {
        let before = parts.polls.load(Ordering::Relaxed);
        work(10).await;
        parts.has(&[("a1", version)], Some(version));
        assert_eq!(parts.polls.load(Ordering::Relaxed) - before, 1, "for the event {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_is_listed_again_alone_and_shows_nothing_half() {
    let a = vec![
        page(10, "a", &[("a1", 1)], None),
        Answer::Watch(vec![pause(30), put("a", "a2", 31), Step::Never]),
    ];
    let b = vec![
        page(11, "b", &[("b1", 2), ("b2", 3)], None),
        Answer::Watch(vec![pause(20), Step::Error(Error::answer(410, "Expired"))]),
        page(29, "b", &[("b1", 25)], Some("next")),
        after(20, page(29, "b", &[("b3", 26)], None)),
        never(),
    ];
    let parts = Harness::start(Scope::namespaces(["a", "b"]), vec![("a", a), ("b", b)]);
    work(1).await;
    parts.has(&[("a1", 1), ("b1", 2), ("b2", 3)], Some(10));
    work(31).await;
    parts.has(&[("a1", 1), ("a2", 31), ("b1", 2), ("b2", 3)], Some(11));
    let before = parts.snapshot();
    work(10).await;
    parts.has(&[("a1", 1), ("a2", 31), ("b1", 25), ("b3", 26)], Some(29));
    assert_eq!(parts.snapshot().revision(), before.revision() + 1);
    assert_eq!((parts.tally.lists(), parts.status.borrow().parts().len()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn complete_parts_are_visible_before_the_informer_is_synced() {
    let a = vec![page(10, "a", &[("a1", 1)], None), never()];
    let b =
        vec![Answer::Error(Error::answer(403, "Forbidden")), after(40, page(12, "b", &[], None)), never()];
    let parts = Harness::start(Scope::namespaces(["a", "b"]), vec![("a", a), ("b", b)]);
    work(20).await;
    parts.has(&[("a1", 1)], None);
    assert!(!parts.snapshot().is_synced() && !parts.status.borrow().synced);
    assert!(parts.status.borrow().blocked().is_none(), "it lists again");
    work(30).await;
    parts.has(&[("a1", 1)], Some(10));
    assert!(parts.snapshot().is_synced() && parts.status.borrow().synced);
}

#[tokio::test(start_paused = true)]
async fn a_restored_server_begins_one_epoch_and_every_part_is_listed_again() {
    let a = vec![
        page(100, "a", &[("a1", 50)], None),
        Answer::Watch(vec![pause(20), Step::Error(Error::answer(410, "Expired"))]),
        page(40, "a", &[("a1", 30)], None),
        page(40, "a", &[("a1", 30)], None),
        never(),
    ];
    // It does not find out by itself.
    let b = vec![
        page(100, "b", &[("b1", 60)], None),
        never(),
        after(20, page(41, "b", &[("b1", 20)], None)),
        page(41, "b", &[("b1", 20)], None),
        never(),
    ];
    let parts = Harness::start(Scope::namespaces(["a", "b"]), vec![("a", a), ("b", b)]);
    work(1).await;
    parts.has(&[("a1", 50), ("b1", 60)], Some(100));
    work(30).await;
    parts.has(&[("a1", 30), ("b1", 60)], None);
    assert_eq!(parts.snapshot().epoch, 1);
    work(60).await;
    parts.has(&[("a1", 30), ("b1", 20)], Some(40));
    assert_eq!(parts.snapshot().epoch, 1, "one epoch");
}

#[tokio::test(start_paused = true)]
async fn a_new_part_finds_that_the_server_was_restored() {
    let old = vec![page(50, "a", &[("a1", 45)], None), never()];
    // Its list shows an older version of what is cached: once, the server may be behind; twice, it was restored.
    let list = || page(39, "a", &[("a1", 22)], None);
    let new = vec![list(), list(), never()];
    let parts = Harness::start(Scope::namespace("a"), vec![("a", old), ("a", new)]);
    work(1).await;
    parts.has(&[("a1", 45)], Some(50));
    let (answer, mut answered) = oneshot::channel();
    let scope = Scope::namespace("a").labels("x=y");
    assert!(parts.commands.send(Command::SetScope(scope, answer)).await.is_ok());
    work(20).await;
    assert!(answered.try_recv().is_ok());
    parts.has(&[("a1", 22)], Some(39));
    assert_eq!(parts.snapshot().epoch, 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_part_reuses_nothing_of_a_part_that_does_not_know_of_a_restore() {
    let a = vec![
        page(50, "a", &[], None),
        Answer::Watch(vec![pause(20), Step::Error(Error::answer(410, "Expired"))]),
        page(39, "a", &[], None),
        page(39, "a", &[], None),
        never(),
    ];
    // It is not listed again in time.
    let b = vec![page(50, "b", &[("b1", 45)], None), never(), after(900, page(39, "b", &[], None)), never()];
    let new = vec![page(51, "b", &[("b1", 22)], None), never()];
    let parts = Harness::start(Scope::namespaces(["a", "b"]), vec![("a", a), ("b", b), ("b", new)]);
    work(60).await;
    parts.has(&[("b1", 45)], None);
    let (answer, mut answered) = oneshot::channel();
    let scope = Scope::any([Scope::namespace("a"), Scope::namespace("b").labels("x=y")]);
    assert!(parts.commands.send(Command::SetScope(scope, answer)).await.is_ok());
    work(20).await;
    assert!(answered.try_recv().is_ok());
    parts.has(&[("b1", 22)], Some(39));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_complete_when_every_part_is_listed() {
    let a = vec![page(10, "a", &[("a1", 1)], None), never(), page(20, "a", &[("a1", 1)], None), never()];
    let b = vec![page(11, "b", &[], None), never(), after(20, page(21, "b", &[("b1", 15)], None)), never()];
    let parts = Harness::start(Scope::namespaces(["a", "b"]), vec![("a", a), ("b", b)]);
    work(2).await;
    let (answer, mut answered) = oneshot::channel();
    assert!(parts.commands.send(Command::Refresh(answer)).await.is_ok());
    work(10).await;
    assert!(answered.try_recv().is_err());
    parts.has(&[("a1", 1)], Some(11));
    work(20).await;
    assert!(answered.try_recv().is_ok());
    parts.has(&[("a1", 1), ("b1", 15)], Some(20));
}

#[tokio::test(start_paused = true)]
async fn the_old_scope_is_followed_until_the_new_one_is_listed() {
    let a = vec![
        page(10, "a", &[("a1", 1)], None),
        Answer::Watch(vec![pause(30), put("a", "a1", 31), Step::Never]),
    ];
    let b = vec![page(21, "b", &[("b1", 15)], None), never()];
    let c = vec![after(50, page(60, "c", &[("c1", 55)], None)), never()];
    let scripts = vec![("a", a), ("b", b), ("c", c)];
    let parts = Harness::start(Scope::namespace("a"), scripts);
    work(1).await;
    let (answer, mut answered) = oneshot::channel();
    assert!(parts.commands.send(Command::SetScope(Scope::namespaces(["b", "c"]), answer)).await.is_ok());
    work(40).await;
    parts.has(&[("a1", 31)], Some(31));
    assert!(answered.try_recv().is_err());
    let before = parts.snapshot();
    work(20).await;
    assert!(answered.try_recv().is_ok());
    parts.has(&[("b1", 15), ("c1", 55)], Some(21));
    assert_eq!(parts.snapshot().revision(), before.revision() + 1);
}
