//! What a change costs until its subscribers have it: `subscribe/<op>/<subscribers>/<peer>`.
//!
//! ```sh
//! cargo bench --bench subscribe                          # all
//! cargo bench --bench subscribe -- subscribe/change/     # those whose id has this in it
//! cargo bench --bench subscribe -- --json                # one line of JSON for each id
//! cargo bench --bench subscribe -- --test                # does it work?
//! ```
//!
//! | op | measured |
//! |---|---|
//! | `change` | one change to all subscribers, on one thread. `ns` is CPU time for each change and subscriber, `p50_us` and `p99_us` the time until a subscriber has it |
//! | `stuck` | the same while one more subscriber never reads. `ns` is missing if nothing arrives any more, after as many `changes` |
//! | `wake` | one subscriber on a thread of its own, the informer on another, a change every 0.2 ms: `ns` is the median time from the change to the subscriber |
//!
//! The peers are `kube-informer`, and `kube-runtime`: a reflector with a shared store. 10,000 objects, no index. For `wake`
//! also `channel`, no cache: a task that sends each change on to the other thread, the least that it can take.

mod clock;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod nads;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod rounds;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use std::vec;

use futures_util::poll;
use futures_util::stream::{self, BoxStream, StreamExt};
use hdrhistogram::Histogram;
use kube_informer::{Informer, Subscription};
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::{ReflectHandle, store_shared};
use kube_runtime::watcher::{self, Event};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, yield_now};
use tokio::time::timeout;

use clock::cpu_time;
use nads::Nad;
use rounds::{Case, Options, Report, Sample};

const OBJECTS: usize = 10_000;

/// kube-runtime's buffer of a shared store, as its documentation has it.
const BUFFER: usize = 256;

/// What waits longer than this for a change has stalled.
const PATIENCE: Duration = Duration::from_secs(1);

type Events = BoxStream<'static, watcher::Result<Event<Nad>>>;

/// The versions of the changes that a subscriber gets.
type Versions = Pin<Box<dyn stream::Stream<Item = u64> + Send>>;

/// The task of a cache.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A cache of these events: its task, and some subscribers.
type Start = fn(Events, usize) -> (Task, Vec<Versions>);

const PEERS: [(&str, Start); 2] = [("kube-informer", ours), ("kube-runtime", kube)];

/// Changes of random objects, sent to a cache.
struct Changes {
    events: UnboundedSender<Event<Nad>>,
    ready: vec::IntoIter<Nad>,
}

fn main() {
    let options = Options::from_args(9);
    let mut report = Report::new(&options);
    let (objects, sizes): (usize, &[usize]) =
        if options.smoke { (100, &[1, 10]) } else { (OBJECTS, &[1, 10, 1_000]) };
    for &subscribers in sizes {
        let mut cases = Vec::new();
        for (name, start) in PEERS {
            for (op, stuck) in [("change", 0), ("stuck", 1)] {
                let id = format!("subscribe/{op}/{subscribers}/{name}");
                let changes = if options.smoke { 20 } else { (20_000 / subscribers).clamp(600, 5_000) };
                let fan_out = FanOut { start, objects, subscribers, stuck, changes };
                cases.push(Case { id, run: Box::new(move |_| fan_out.measure()) });
            }
        }
        cases.retain(|case| options.wants(&case.id));
        report.measure(&options, cases);
    }
    let mut cases = Vec::new();
    let channel: (_, Start) = ("channel", channel);
    for (name, start) in PEERS.into_iter().chain([channel]) {
        let id = format!("subscribe/wake/1/{name}");
        let changes = if options.smoke { 20 } else { 2_000 };
        cases.push(Case { id, run: Box::new(move |_| wake(start, objects, changes)) });
    }
    cases.retain(|case| options.wants(&case.id));
    report.measure(&options, cases);
    report.print();
}

// === change, stuck ===

/// One thread, one change after another.
struct FanOut {
    start: Start,
    objects: usize,
    subscribers: usize,
    /// How many more there are that never read.
    stuck: usize,
    changes: usize,
}

/// What the subscribers have had.
struct Seen {
    /// How many have the newest change.
    count: Cell<usize>,
    all: Notify,
    subscribers: usize,
    sent: Cell<Instant>,
    latency: RefCell<Histogram<u64>>,
}

impl FanOut {
    fn measure(&self) -> Sample {
        let tasks = LocalSet::new();
        let runtime = runtime();
        let _context = runtime.enter();
        let (mut changes, events) = Changes::new(self.objects, self.changes);
        let (task, mut versions) = (self.start)(events, self.subscribers + self.stuck);
        let mut stuck = versions.split_off(self.subscribers);
        let seen = Rc::new(Seen {
            count: Cell::new(0),
            all: Notify::new(),
            subscribers: self.subscribers,
            sent: Cell::new(Instant::now()),
            latency: RefCell::new(Histogram::new(3).expect("three digits")),
        });
        tasks.spawn_local(task);
        for mut versions in versions {
            let seen = seen.clone();
            tasks.spawn_local(async move {
                while versions.next().await.is_some() {
                    seen.add();
                }
            });
        }
        let (used, done) = tasks.block_on(&runtime, async {
            // Only changes count, not the first list, which all read to its end.
            seen.all.notified().await;
            let mut quiet = 0;
            while quiet < 100 {
                let before = seen.count.get();
                for versions in &mut stuck {
                    let _ = poll!(versions.next());
                }
                yield_now().await;
                quiet = if seen.count.get() == before { quiet + 1 } else { 0 };
            }
            seen.latency.borrow_mut().reset();
            let began = cpu_time();
            for done in 0..self.changes {
                seen.count.set(0);
                seen.sent.set(Instant::now());
                changes.send();
                if timeout(PATIENCE, seen.all.notified()).await.is_err() {
                    return (cpu_time() - began, done);
                }
            }
            (cpu_time() - began, self.changes)
        });
        drop(stuck);
        let stalled = done < self.changes;
        let latency = seen.latency.borrow();
        let micros = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        let each = used.as_nanos() as f64 / (self.changes * self.subscribers) as f64;
        vec![
            ("ns", if stalled { f64::INFINITY } else { each }),
            ("p50_us", micros(0.5)),
            ("p99_us", micros(0.99)),
            ("changes", done as f64),
        ]
    }
}

impl Seen {
    fn add(&self) {
        let took = self.sent.get().elapsed().as_nanos() as u64;
        self.latency.borrow_mut().record(took).expect("it grows");
        self.count.set(self.count.get() + 1);
        if self.count.get() == self.subscribers {
            self.all.notify_one();
        }
    }
}

// === wake ===

fn wake(start: Start, objects: usize, changes: usize) -> Sample {
    let (mut source, events) = Changes::new(objects, changes);
    let (subscribers, subscriber) = mpsc::channel();
    let informer = thread::spawn(move || {
        let runtime = runtime();
        let _context = runtime.enter();
        let (task, versions) = start(events, 1);
        subscribers.send(versions).expect("it waits");
        runtime.block_on(task);
    });
    let (arrivals, arrived) = mpsc::channel();
    let mut versions = subscriber.recv().expect("it starts").remove(0);
    let reader = thread::spawn(move || {
        runtime().block_on(async {
            while let Some(version) = versions.next().await {
                if arrivals.send((version, Instant::now())).is_err() {
                    return;
                }
            }
        });
    });
    // The first list.
    while arrived.recv_timeout(PATIENCE / 5).is_ok() {}
    let mut latency: Histogram<u64> = Histogram::new(3).expect("three digits");
    for _ in 0..changes {
        // Both threads sleep meanwhile, as they do between two changes.
        thread::sleep(Duration::from_micros(200));
        let sent = Instant::now();
        let version = source.send();
        let (seen, at) = arrived.recv().expect("it arrives");
        assert_eq!(seen, version, "one change at a time");
        latency.record(at.duration_since(sent).as_nanos() as u64).expect("it grows");
    }
    drop(source);
    drop(arrived);
    informer.join().expect("no panic");
    reader.join().expect("no panic");
    let nanos = |quantile| latency.value_at_quantile(quantile) as f64;
    vec![("ns", nanos(0.5)), ("p99_us", nanos(0.99) / 1e3)]
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

// === impl Changes ===

impl Changes {
    /// A source that has listed this many objects, and holds changes of them ready.
    fn new(objects: usize, changes: usize) -> (Self, Events) {
        let (events, mut received) = unbounded_channel();
        let first = (0..objects).map(|i| Event::InitApply(Nad::new(i, OBJECTS)));
        let list = [Event::Init].into_iter().chain(first).chain([Event::InitDone]);
        list.for_each(|event| events.send(event).expect("it is received"));
        let ready = (0..changes).map(|at| {
            let mut nad = Nad::new(at * 7 % objects, OBJECTS);
            nad.set_version(at as u64 + 2);
            nad
        });
        let ready = ready.collect::<Vec<_>>().into_iter();
        let stream = stream::poll_fn(move |context| received.poll_recv(context).map(|event| event.map(Ok)));
        (Self { events, ready }, stream.boxed())
    }

    /// Sends the next change. Returns its version.
    fn send(&mut self) -> u64 {
        let nad = self.ready.next().expect("one for each turn");
        let version = nad.resource_version();
        assert!(self.events.send(Event::Apply(nad)).is_ok(), "it is received");
        version
    }
}

// === the peers ===

fn ours(events: Events, subscribers: usize) -> (Task, Vec<Versions>) {
    let (informer, driver) = Informer::<Nad>::from_stream(events).build();
    let subscriptions: Vec<_> = (0..subscribers).map(|_| informer.subscribe()).collect();
    let versions = |subscription: Subscription<Nad>| {
        stream::unfold(subscription, |mut subscription| async {
            let batch = subscription.next().await?;
            let newest = batch.changes().filter_map(|change| Some(change.new()?.resource_version())).max();
            Some((newest.unwrap_or_default(), subscription))
        })
        .boxed()
    };
    let versions = subscriptions.into_iter().map(|subscription| versions(subscription) as Versions).collect();
    let task = async move {
        driver.await;
        drop(informer);
    };
    (Box::pin(task), versions)
}

fn kube(events: Events, subscribers: usize) -> (Task, Vec<Versions>) {
    let (_, writer) = store_shared::<Nad>(BUFFER);
    let handles: Vec<ReflectHandle<Nad>> =
        (0..subscribers).map(|_| writer.subscribe().expect("it is shared")).collect();
    let versions =
        handles.into_iter().map(|handle| Box::pin(handle.map(|nad| nad.resource_version())) as Versions);
    let task = events.reflect_shared(writer).for_each(|_| async {});
    (Box::pin(task), versions.collect())
}

fn channel(mut events: Events, subscribers: usize) -> (Task, Vec<Versions>) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..subscribers).map(|_| unbounded_channel::<u64>()).unzip();
    let versions = receivers.into_iter().map(|mut versions| {
        Box::pin(stream::poll_fn(move |context| versions.poll_recv(context))) as Versions
    });
    let task = async move {
        while let Some(event) = events.next().await {
            let version = match event {
                Ok(Event::Apply(nad) | Event::InitApply(nad)) => nad.resource_version(),
                _ => continue,
            };
            for sender in &senders {
                sender.send(version).expect("it is received");
            }
        }
    };
    (Box::pin(task), versions.collect())
}
