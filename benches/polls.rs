//! How long one poll of an informer's task takes, by the clock of its thread: for so long other tasks of the thread wait.
//!
//! ```sh
//! cargo bench --bench polls                  # 100,000 objects, a table
//! cargo bench --bench polls -- --json        # one line of JSON for each scenario
//! cargo bench --bench polls -- --test        # does it work? 2,000 objects
//! ```

mod clock;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use comfy_table::Table;
use futures_util::stream;
use futures_util::task::AtomicWaker;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client, Config};
use kube_informer::Informer;
use kube_informer::index::{self, IndexSet};
use kube_informer::testing::ApiServer;
use kube_runtime::watcher::{self, Event};
use serde_json::{Value, json};
use tokio::runtime;

use clock::cpu_time;

/// Events of a stream that are ready whenever they are asked for: nothing but the informer ends a poll.
#[derive(Default)]
struct Feed {
    events: Mutex<VecDeque<Event<ConfigMap>>>,
    waker: AtomicWaker,
}

/// Measures each poll of a future.
struct Measured<F> {
    inner: Pin<Box<F>>,
    polls: Arc<Mutex<Vec<Duration>>>,
}

/// An informer whose task has a thread of its own.
struct Run {
    informer: Informer<ConfigMap>,
    polls: Arc<Mutex<Vec<Duration>>>,
    thread: thread::JoinHandle<()>,
}

struct Report {
    json: bool,
    table: Table,
}

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let objects = if has("--test") { 2_000 } else { 100_000 };
    let mut table = Table::new();
    table.set_header(["scenario", "polls", "p50 us", "p99.9 us", "max us", "total ms"]);
    let mut report = Report { json: has("--json"), table };
    let runtime =
        runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        streams(objects, &mut report).await;
        server(objects, &mut report).await;
    });
    if !report.json {
        println!("{objects} objects, 2 indexes\n\n{}", report.table);
    }
}

/// What a stream of events can ask of the store.
async fn streams(objects: u64, report: &mut Report) {
    let feed = Arc::new(Feed::default());
    let builder = {
        let feed = feed.clone();
        let events = stream::poll_fn(move |context| feed.poll(context));
        let mut builder = Informer::from_stream(events);
        declare(builder.indexes());
        builder
    };
    let run = Run::start(builder.build());
    let informer = run.informer.clone();
    let list = |version: u64, count: u64| {
        let items = (0..count).map(move |number| Ok(Event::InitApply(object(number, version))));
        [Ok(Event::Init)].into_iter().chain(items).map(|event: watcher::Result<_>| event.expect("an event"))
    };
    feed.send(list(1, objects).chain([Event::InitDone]));
    informer.synced().await.expect("it runs");
    report.add("first list of a stream", &run);
    feed.send(list(1, objects).chain([Event::InitDone]));
    lists(&informer, 2).await;
    report.add("relist, nothing changed", &run);
    feed.send(list(2, objects).chain([Event::InitDone]));
    lists(&informer, 3).await;
    report.add("relist, everything changed", &run);
    settle().await;
    report.add("freeing the old world", &run);
    // A change before the end breaks the list off.
    feed.send(list(3, objects - 1).chain([Event::Apply(object(0, 4))]));
    until(|| informer.get(("default", "object-0")).is_some_and(|object| version(&object) == 4)).await;
    settle().await;
    report.add("list broken near its end, and freed", &run);
    feed.send((0..objects).map(|number| Event::Apply(object(number, 5))));
    let last = format!("object-{}", objects - 1);
    until(|| informer.get(("default", last.as_str())).is_some_and(|object| version(&object) == 5)).await;
    report.add("as many ready events", &run);
    let late = |map: &ConfigMap| map.metadata.labels.as_ref().and_then(|labels| labels.get("app").cloned());
    informer.add_index(late).await.expect("it runs");
    report.add("a late index", &run);
    settle().await;
    report.add("freeing what the events replaced", &run);
    feed.send(list(6, 0).chain([Event::InitDone]));
    until(|| informer.snapshot().is_empty()).await;
    settle().await;
    report.add("relist, all is gone, and freed", &run);
    feed.send(list(7, objects).chain([Event::InitDone]));
    until(|| informer.snapshot().len() as u64 == objects).await;
    feed.send(list(8, objects).chain([Event::InitDone]));
    until(|| informer.get(("default", last.as_str())).is_some_and(|object| version(&object) == 8)).await;
    // An old world is not yet freed.
    run.polls();
    run.shutdown(report, "shutdown, an old world is left").await;
}

/// The same over HTTP.
async fn server(objects: u64, report: &mut Report) {
    let server = ApiServer::new();
    for number in 0..objects {
        server.create(map(number)).expect("a valid object");
    }
    let serving = server.serve().await.expect("a free port");
    let client = Client::try_from(Config::new(serving.url().parse().expect("a URL"))).expect("a client");
    for (name, streaming, page) in
        [("streaming first list", true, 500), ("pages of 500", false, 500), ("list in one piece", false, 0)]
    {
        let api = Api::<ConfigMap>::all(client.clone());
        let mut builder = Informer::builder(api)
            .config(kube_informer::Config::new().streaming_lists(streaming).page_size(page));
        declare(builder.indexes());
        let run = Run::start(builder.build());
        run.informer.synced().await.expect("it runs");
        report.add(name, &run);
        if streaming {
            run.informer.refresh().await.expect("it runs");
            settle().await;
            report.add("refresh, and the old world freed", &run);
            for number in 0..objects.min(20_000) {
                let name = format!("object-{number}");
                server
                    .merge_patch("configmaps", "default", &name, json!({"data": {"a": "changed"}}))
                    .expect("it is there");
            }
            settle().await;
            report.add("batches of a watch", &run);
        }
        run.shutdown(report, "shutdown").await;
    }
    serving.shutdown().await;
}

// === impl Feed ===

impl Feed {
    fn send(&self, events: impl IntoIterator<Item = Event<ConfigMap>>) {
        let events: Vec<_> = events.into_iter().collect();
        self.events.lock().expect("not poisoned").extend(events);
        self.waker.wake();
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<watcher::Result<Event<ConfigMap>>>> {
        self.waker.register(context.waker());
        match self.events.lock().expect("not poisoned").pop_front() {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None => Poll::Pending,
        }
    }
}

// === impl Measured ===

impl<F: Future> Future for Measured<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = cpu_time();
        let polled = self.inner.as_mut().poll(context);
        let took = cpu_time() - began;
        self.polls.lock().expect("not poisoned").push(took);
        polled
    }
}

// === impl Run ===

impl Run {
    fn start<F: Future<Output = ()> + Send + 'static>((informer, driver): (Informer<ConfigMap>, F)) -> Self {
        let polls = Arc::new(Mutex::new(Vec::with_capacity(1 << 20)));
        let measured = Measured { inner: Box::pin(driver), polls: polls.clone() };
        let thread = thread::spawn(|| {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { tokio::spawn(measured).await.expect("no panic") });
        });
        Self { informer, polls, thread }
    }

    /// The polls since the last call.
    fn polls(&self) -> Vec<Duration> {
        self.polls.lock().expect("not poisoned").drain(..).collect()
    }

    async fn shutdown(self, report: &mut Report, name: &str) {
        let began = Instant::now();
        self.informer.shutdown().await;
        let took = began.elapsed();
        report.add(&format!("{name} (returned after {:.1} ms)", took.as_secs_f64() * 1e3), &self);
        self.thread.join().expect("no panic");
    }
}

// === impl Report ===

impl Report {
    fn add(&mut self, name: &str, run: &Run) {
        let mut polls = run.polls();
        polls.sort_unstable();
        let micros = |at: usize| polls.get(at).map_or(0.0, |poll| poll.as_secs_f64() * 1e6);
        let (count, total) = (polls.len(), polls.iter().sum::<Duration>().as_secs_f64() * 1e3);
        let (median, tail) = (micros(count / 2), micros((count * 999).div_ceil(1000).saturating_sub(1)));
        let max = micros(count.saturating_sub(1));
        if self.json {
            let line = json!({
                "scenario": name, "polls": count, "p50_us": median, "p99_9_us": tail, "max_us": max, "total_ms": total,
            });
            println!("{line}");
        }
        let row = [median, tail, max].map(|micros| format!("{micros:.0}"));
        let [median, tail, max] = row;
        self.table.add_row([name.to_owned(), count.to_string(), median, tail, max, format!("{total:.0}")]);
    }
}

// --- objects ---

fn declare(indexes: &mut IndexSet<ConfigMap>) {
    indexes.index(index::namespace());
    indexes.index(index::label("app"));
}

fn map(number: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "namespace": "default", "name": format!("object-{number}"),
            "labels": {"app": format!("app-{}", number % 1000), "tier": "back"},
        },
        "data": {"a": "some text that is long enough", "b": "and another", "c": number.to_string()},
    })
}

fn object(number: u64, version: u64) -> ConfigMap {
    let mut map: ConfigMap = serde_json::from_value(map(number)).expect("a config map");
    map.metadata.resource_version = Some(version.to_string());
    map.metadata.uid = Some(format!("00000000-0000-0000-0000-{number:012x}"));
    map
}

fn version(map: &ConfigMap) -> u64 {
    map.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

// --- waiting ---

async fn lists(informer: &Informer<ConfigMap>, lists: u64) {
    until(|| informer.stats().lists >= lists).await;
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Old versions are looked at twice a second.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1500)).await;
}
