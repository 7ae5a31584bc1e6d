//! Nothing of a graph grows with time: bytes and edges are as before after 1,000 cycles of objects that come, are read,
//! change and go.
//!
//! Every byte that this process asks its allocator for is counted. The clock stands still but for when the test moves it,
//! so that old versions are swept at once.

use std::time::Duration;

use futures_util::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_informer::derived::{Graph, RunningGraph};
use kube_informer::{Index, Informer, Obj};
use kube_runtime::watcher::Event;
use peak_alloc::PeakAlloc;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const CYCLES: u64 = 1_000;
const OBJECTS: u64 = 40;

/// Less than a byte for a cycle: allocators, channels and tables keep room of their own.
const SLACK: usize = 900;

struct Source {
    informer: Informer<u64>,
    by_number: Index<u64, u64>,
    events: UnboundedSender<Event<ConfigMap>>,
    version: u64,
}

impl Source {
    async fn new() -> Self {
        let (events, mut received) = unbounded_channel();
        let stream = stream::poll_fn(move |cx| received.poll_recv(cx).map(|event| event.map(Ok)));
        let mut builder = Informer::from_stream(stream).project(|map: ConfigMap| {
            map.data.and_then(|data| data["number"].parse().ok()).unwrap_or_default()
        });
        let by_number = builder.index(|number: &u64| number % 7);
        let informer = builder.start();
        events.send(Event::Init).unwrap();
        events.send(Event::InitDone).unwrap();
        informer.synced().await.unwrap();
        Self { informer, by_number, events, version: 0 }
    }

    fn set(&mut self, at: u64, number: u64) {
        let object = self.object(at, number);
        self.events.send(Event::Apply(object)).unwrap();
    }

    fn remove(&mut self, at: u64) {
        let object = self.object(at, 0);
        self.events.send(Event::Delete(object)).unwrap();
    }

    fn object(&mut self, at: u64, number: u64) -> ConfigMap {
        self.version += 1;
        let mut map = ConfigMap::default();
        map.metadata.name = Some(at.to_string());
        map.metadata.resource_version = Some(self.version.to_string());
        map.data = Some([("number".to_owned(), number.to_string())].into());
        map
    }

    /// Waits until the informer has this many objects, and the graph that state.
    async fn reached(&self, graph: &RunningGraph, objects: usize) {
        let snapshot = self.informer.wait_until(|view| view.len() == objects).await.unwrap();
        graph.reached(&snapshot).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_and_edges_are_as_before_after_1000_cycles() {
    let (mut first, mut second) = (Source::new().await, Source::new().await);
    let by_number = second.by_number;
    let mut graph = Graph::new("bytes");
    let (a, b) = (graph.source(&first.informer), graph.source(&second.informer));
    let sums = graph.map("sums", a, move |number, read| {
        let one = read.get(b, (**number % 50).to_string()).map_or(0, |one| **one);
        Some(one + read.by_index(b, &by_number, &(**number % 7)).len() as u64 + read.scan(b).len() as u64)
    });
    let many = graph.map("many", sums, |sum, _| {
        vec![((**sum % 5).to_string(), **sum), (Obj::name(sum).to_owned(), **sum)]
    });
    let by_sum = graph.index(many, |sum: &u64| (sum % 3).to_string());
    let groups =
        graph.group_by("groups", many, by_sum, |_, sums, _| Some(sums.map(|sum| **sum).sum::<u64>()));
    let joined = graph.join("joined", [groups, sums]);
    let mut changes = graph.informer(joined).subscribe();
    let graph = graph.start();

    let mut before = 0;
    // The first cycles fill what keeps its room.
    for cycle in 0..CYCLES + 100 {
        for at in 0..OBJECTS {
            first.set(at, at + cycle % 11);
            second.set(at, at * cycle % 13);
        }
        first.reached(&graph, OBJECTS as usize).await;
        second.reached(&graph, OBJECTS as usize).await;
        assert!(graph.stats().nodes.iter().any(|node| node.edges > 0));
        while changes.next().await.unwrap().snapshot().len() < OBJECTS as usize {}
        for at in 0..OBJECTS {
            first.remove(at);
            second.remove(at);
        }
        first.reached(&graph, 0).await;
        second.reached(&graph, 0).await;
        while !changes.next().await.unwrap().snapshot().is_empty() {}
        for node in graph.stats().nodes {
            assert_eq!((node.edges, node.duplicates), (0, 0), "{node}");
        }
        // As often as in half a second, so that no queue of old versions grows long.
        if cycle % 10 == 9 {
            let live = swept().await;
            if cycle == 99 {
                before = live;
            }
        }
    }
    let after = swept().await;
    assert!(after <= before + SLACK, "{before} bytes, then {after}");
}

/// The live bytes when old versions are freed, which takes many turns.
async fn swept() -> usize {
    let mut live = ALLOCATOR.current_usage();
    loop {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        let before = std::mem::replace(&mut live, ALLOCATOR.current_usage());
        if live >= before {
            return live;
        }
    }
}
