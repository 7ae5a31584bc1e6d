//! Derived collections beside the same, written by hand: `derived/<what>/<n>/<peer>`.
//!
//! | what | measured |
//! |---|---|
//! | `initial` | a value for each of n objects, from none |
//! | `secondary` | one object changes that one of n inputs has read: from the event until a subscriber has the value |
//! | `diamond` | one of n objects changes; two collections are made of it, and a third of both and the object |
//! | `burst` | all of n pods change at once, 500 policies each read those of one app |
//!
//! | peer | what it is |
//! |---|---|
//! | `graph` | a `Graph`: recorded reads, snapshots that agree, a subscription |
//! | `by_hand` | a loop over the batches of a subscription that knows what depends on what, into a `HashMap` behind a lock. No snapshots, no subscribers, and a mix of versions in between |
//!
//! Both read the same informers, whose own work is part of what is measured. All run on one thread.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::Criterion;
use futures_util::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_informer::derived::{Graph, Node, RunningGraph};
use kube_informer::{Index, Informer, Obj, ObjectKey, Subscription};
use kube_runtime::watcher::Event;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What is stored of an object.
#[derive(Clone, PartialEq)]
struct Value {
    number: u64,
    reads: String,
}

/// An informer, and the sender of the events that feed it.
struct Source {
    informer: Informer<Value>,
    by_reads: Index<Value, String>,
    events: UnboundedSender<Event<ConfigMap>>,
}

const POLICIES: usize = 500;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let smoke = std::env::args().any(|arg| arg == "--test") || !std::env::args().any(|arg| arg == "--bench");
    let sizes: &[usize] = if smoke { &[1_000] } else { &[1_000, 10_000, 100_000] };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for n in sizes {
        let mut group = criterion.benchmark_group("derived");
        let mut measure = |what: &str, peer: &str, run: &dyn Fn(&Runtime, usize, u64) -> Duration| {
            group.bench_function(format!("{what}/{n}/{peer}"), |bencher| {
                bencher.iter_custom(|count| run(&runtime, *n, count));
            });
        };
        measure("initial", "graph", &initial_graph);
        measure("initial", "by_hand", &initial_by_hand);
        measure("secondary", "graph", &secondary_graph);
        measure("secondary", "by_hand", &secondary_by_hand);
        measure("diamond", "graph", &diamond_graph);
        measure("diamond", "by_hand", &diamond_by_hand);
        if *n <= 10_000 {
            measure("burst", "graph", &burst_graph);
            measure("burst", "by_hand", &burst_by_hand);
        }
    }
    criterion.final_summary();
}

// === initial ===

fn initial_graph(runtime: &Runtime, n: usize, count: u64) -> Duration {
    runtime.block_on(async {
        let source = Source::new(n, |at| at.to_string()).await;
        let mut took = Duration::ZERO;
        for _ in 0..count {
            let began = Instant::now();
            let mut graph = Graph::new("bench");
            let node = graph.source(&source.informer);
            let doubled = graph.map("doubled", node, |value, _| Some(value.number * 2));
            let graph = graph.start();
            let view = graph.synced().await.expect("it runs");
            took += began.elapsed();
            assert_eq!(view.of(doubled).len(), n);
            graph.shutdown().await;
        }
        took
    })
}

fn initial_by_hand(runtime: &Runtime, n: usize, count: u64) -> Duration {
    runtime.block_on(async {
        let source = Source::new(n, |at| at.to_string()).await;
        let mut took = Duration::ZERO;
        for _ in 0..count {
            let began = Instant::now();
            let snapshot = source.informer.snapshot();
            let doubled: HashMap<ObjectKey, u64> =
                snapshot.iter().map(|value| (Obj::key(value).to_owned(), value.number * 2)).collect();
            took += began.elapsed();
            assert_eq!(doubled.len(), n);
        }
        took
    })
}

// === secondary ===

/// Changes that are not measured: a sample begins with a new world, which is in no cache.
const WARM_UP: u64 = 500;

fn secondary_graph(runtime: &Runtime, n: usize, count: u64) -> Duration {
    runtime.block_on(async {
        let (primary, secondary) = pair(n).await;
        let mut graph = Graph::new("bench");
        let (node, other) = (graph.source(&primary.informer), graph.source(&secondary.informer));
        let sums = graph.map("sums", node, move |value, read| {
            Some(value.number + read.get(other, ("default", &value.reads))?.number)
        });
        let sums = graph.informer(sums);
        let graph = graph.start();
        let mut changes = sums.subscribe();
        changes.next().await.expect("the first batch");
        let mut began = Instant::now();
        for at in 0..WARM_UP + count {
            if at == WARM_UP {
                began = Instant::now();
            }
            secondary.set(at as usize % n, at + 1_000_000, String::new());
            let batch = changes.next().await.expect("a change");
            assert_eq!(batch.changes().count(), 1);
        }
        let took = began.elapsed();
        graph.shutdown().await;
        took
    })
}

fn secondary_by_hand(runtime: &Runtime, n: usize, count: u64) -> Duration {
    runtime.block_on(async {
        let (primary, secondary) = pair(n).await;
        let mut changes = secondary.informer.subscribe();
        changes.next().await.expect("the first batch");
        let sums: Mutex<HashMap<ObjectKey, u64>> = Mutex::default();
        let mut began = Instant::now();
        for at in 0..WARM_UP + count {
            if at == WARM_UP {
                began = Instant::now();
            }
            secondary.set(at as usize % n, at + 1_000_000, String::new());
            let batch = changes.next().await.expect("a change");
            let snapshot = primary.informer.snapshot();
            for change in &batch {
                let Some(changed) = change.new() else { continue };
                for reader in snapshot.by_index(&primary.by_reads, change.key().name()) {
                    let sum = reader.number + changed.number;
                    sums.lock().expect("no panic").insert(Obj::key(reader).to_owned(), sum);
                }
            }
        }
        let took = began.elapsed();
        assert!(!sums.into_inner().expect("no panic").is_empty());
        took
    })
}

async fn pair(n: usize) -> (Source, Source) {
    (Source::new(n, |at| at.to_string()).await, Source::new(n, |_| String::new()).await)
}

// === diamond ===

fn diamond_graph(runtime: &Runtime, n: usize, count: u64) -> Duration {
    runtime.block_on(async {
        let source = Source::new(n, |_| String::new()).await;
        let mut graph = Graph::new("bench");
        let node = graph.source(&source.informer);
        let twice = graph.map("twice", node, |value, _| Some(value.number * 2));
        let thrice = graph.map("thrice", node, |value, _| Some(value.number * 3));
        let sums = graph.map("sums", node, move |value, read| {
            Some(value.number + **read.get(twice, value)? + **read.get(thrice, value)?)
        });
        run(&source, graph, sums, n, count).await
    })
}

async fn run(source: &Source, mut graph: Graph, node: Node<u64>, n: usize, count: u64) -> Duration {
    let mut changes = graph.informer(node).subscribe();
    let graph: RunningGraph = graph.start();
    changes.next().await.expect("the first batch");
    let mut began = Instant::now();
    for at in 0..WARM_UP + count {
        if at == WARM_UP {
            began = Instant::now();
        }
        source.set(at as usize % n, at + 1_000_000, String::new());
        let batch = changes.next().await.expect("a change");
        assert_eq!(batch.changes().count(), 1);
    }
    let took = began.elapsed();
    graph.shutdown().await;
    took
}

fn diamond_by_hand(runtime: &Runtime, n: usize, count: u64) -> Duration {
    runtime.block_on(async {
        let source = Source::new(n, |_| String::new()).await;
        let mut changes = source.informer.subscribe();
        changes.next().await.expect("the first batch");
        let [twice, thrice, sums] = [(); 3].map(|()| Mutex::<HashMap<ObjectKey, u64>>::default());
        let mut began = Instant::now();
        for at in 0..WARM_UP + count {
            if at == WARM_UP {
                began = Instant::now();
            }
            source.set(at as usize % n, at + 1_000_000, String::new());
            let batch = changes.next().await.expect("a change");
            for change in &batch {
                let (key, Some(new)) = (change.key().to_owned(), change.new()) else { continue };
                twice.lock().expect("no panic").insert(key.clone(), new.number * 2);
                thrice.lock().expect("no panic").insert(key.clone(), new.number * 3);
                let sum = new.number
                    + twice.lock().expect("no panic")[&key]
                    + thrice.lock().expect("no panic")[&key];
                sums.lock().expect("no panic").insert(key, sum);
            }
        }
        let took = began.elapsed();
        assert!(!sums.into_inner().expect("no panic").is_empty());
        took
    })
}

// === burst ===

fn burst_graph(runtime: &Runtime, n: usize, count: u64) -> Duration {
    runtime.block_on(async {
        let (policies, pods) = policies_and_pods(n).await;
        let by_app = pods.by_reads;
        let mut graph = Graph::new("bench");
        let (policy, pod) = (graph.source(&policies.informer), graph.source(&pods.informer));
        let sums = graph.map("sums", policy, move |policy, read| {
            Some(read.by_index(pod, &by_app, policy.reads.as_str()).map(|pod| pod.number).sum::<u64>())
        });
        let mut changes = graph.informer(sums).subscribe();
        let graph = graph.start();
        changes.next().await.expect("the first batch");
        let began = Instant::now();
        for round in 0..count {
            pods.set_all(n, round + 1);
            until(&mut changes, |sums| sums.iter().all(|sum| **sum == (round + 1) * (n / POLICIES) as u64))
                .await;
        }
        let took = began.elapsed();
        graph.shutdown().await;
        took
    })
}

fn burst_by_hand(runtime: &Runtime, n: usize, count: u64) -> Duration {
    runtime.block_on(async {
        let (policies, pods) = policies_and_pods(n).await;
        let mut changes = pods.informer.subscribe();
        changes.next().await.expect("the first batch");
        let mut sums: HashMap<ObjectKey, u64> = HashMap::new();
        let began = Instant::now();
        for round in 0..count {
            pods.set_all(n, round + 1);
            let all = (round + 1) * (n / POLICIES) as u64;
            while sums.len() < POLICIES || sums.values().any(|sum| *sum != all) {
                let batch = changes.next().await.expect("a change");
                for policy in &policies.informer.snapshot() {
                    let pods = batch.snapshot().by_index(&pods.by_reads, policy.reads.as_str());
                    sums.insert(Obj::key(policy).to_owned(), pods.map(|pod| pod.number).sum());
                }
            }
        }
        began.elapsed()
    })
}

async fn policies_and_pods(n: usize) -> (Source, Source) {
    let app = |at: usize| format!("app-{}", at % POLICIES);
    (Source::new(POLICIES, app).await, Source::new(n, app).await)
}

async fn until(changes: &mut Subscription<u64>, reached: impl Fn(&kube_informer::View<u64>) -> bool) {
    while !reached(changes.next().await.expect("a change").snapshot()) {}
}

// === impl Source ===

impl Source {
    /// n objects, all synced.
    async fn new(n: usize, reads: impl Fn(usize) -> String) -> Self {
        let (events, mut received) = unbounded_channel();
        let stream = stream::poll_fn(move |cx| received.poll_recv(cx).map(|event| event.map(Ok)));
        let mut builder = Informer::from_stream(stream).project(|map: ConfigMap| {
            let mut data = map.data.unwrap_or_default();
            let number = data.get("number").and_then(|number| number.parse().ok()).unwrap_or_default();
            Value { number, reads: data.remove("reads").unwrap_or_default() }
        });
        let by_reads = builder.index(|value: &Value| value.reads.clone());
        let source = Self { informer: builder.start(), by_reads, events };
        source.send(Event::Init);
        for at in 0..n {
            source.send(Event::InitApply(object(at, 0, reads(at))));
        }
        source.send(Event::InitDone);
        source.informer.synced().await.expect("it runs");
        source
    }

    fn set(&self, at: usize, number: u64, reads: String) {
        self.send(Event::Apply(object(at, number, reads)));
    }

    /// The apps of pods stay.
    fn set_all(&self, n: usize, number: u64) {
        (0..n).for_each(|at| self.set(at, number, format!("app-{}", at % POLICIES)));
    }

    fn send(&self, event: Event<ConfigMap>) {
        black_box(self.events.send(event)).expect("it runs");
    }
}

fn object(at: usize, number: u64, reads: String) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.namespace = Some("default".to_owned());
    map.metadata.name = Some(at.to_string());
    map.metadata.uid = Some(at.to_string());
    map.metadata.resource_version = Some((number + 1).to_string());
    map.data = Some([("number".to_owned(), number.to_string()), ("reads".to_owned(), reads)].into());
    map
}
