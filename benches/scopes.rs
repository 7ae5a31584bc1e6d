//! What a scope of n namespaces costs, beside n informers and one informer of all namespaces: memory, CPU time, tasks,
//! connections and requests of the process that has the informers. The API server is another process.
//!
//! ```sh
//! cargo bench --bench scopes                 # 10 namespaces of 1,000 objects, 1,000 and 3,000 of 10; a table
//! cargo bench --bench scopes -- --json       # one line of JSON for each row
//! cargo bench --bench scopes -- --test       # does it work? 3 namespaces of 5 objects
//! ```

mod served;
mod usage;

use std::time::{Duration, Instant};

use comfy_table::Table;
use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client, Config};
use kube_informer::testing::ApiServer;
use kube_informer::{Informer, Phase, Scope, index};
use serde_json::json;
use tokio::runtime::Builder as Runtime;

use served::Server;
use usage::Usage;

#[derive(Clone, Copy)]
struct Shape {
    namespaces: usize,
    objects: usize,
}

#[derive(Clone, Copy)]
enum Way {
    Several,
    Each,
    All,
}

/// What was measured.
struct Row {
    usage: Usage,
    /// The time until all were synced.
    synced: Duration,
    lists: u64,
    /// The time until all had listed again, and its CPU time.
    listed_again: (Duration, Duration),
}

struct Report {
    json: bool,
    table: Table,
}

fn main() {
    if let Some(shape) = Server::to_serve() {
        return serve(Shape::parse(&shape));
    }
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let shapes = [(10, 1000), (1000, 10), (3000, 10)];
    let shapes = shapes.map(|(namespaces, objects)| Shape { namespaces, objects });
    let small = [Shape { namespaces: 3, objects: 5 }];
    // `cargo test` runs it without `--bench`.
    let shapes = if has("--test") || !has("--bench") { &small[..] } else { &shapes[..] };
    let mut table = Table::new();
    table.set_header([
        "namespaces x objects",
        "",
        "KiB",
        "synced after ms",
        "CPU ms",
        "tasks",
        "connections",
        "lists",
        "listed again after ms",
        "CPU ms of that",
    ]);
    let mut report = Report { json: has("--json"), table };
    for shape in shapes {
        let server = Server::start(&shape.to_string());
        for way in [Way::Several, Way::Each, Way::All] {
            // The runtime of an earlier row leaves nothing behind.
            let runtime =
                Runtime::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
            runtime
                .block_on(async { tokio::spawn(measure(server.url.clone(), *shape, way)).await })
                .map(|row| report.add(*shape, way, &row))
                .expect("no panic");
        }
    }
    if !report.json {
        println!("{}", report.table);
    }
}

fn serve(shape: Shape) {
    let server = ApiServer::new();
    for namespace in 0..shape.namespaces {
        let metadata = json!({ "name": name(namespace) });
        let namespace_object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
        server.create(namespace_object).expect("a valid namespace");
        for number in 0..shape.objects {
            server.create(object(namespace, number)).expect("a valid object");
        }
    }
    served::serve(&server);
}

fn object(namespace: usize, number: usize) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "namespace": name(namespace), "name": format!("object-{number}"),
            "labels": { "app": format!("app-{}", number % 10), "tier": "back" },
        },
        "data": { "a": "some text that is long enough", "b": "and another", "c": number.to_string() },
    })
}

fn name(namespace: usize) -> String {
    format!("namespace-{namespace}")
}

/// Starts the informers, waits until they watch, and has them list everything again.
async fn measure(url: String, shape: Shape, way: Way) -> Row {
    let client = Client::try_from(Config::new(url.parse().expect("a URL"))).expect("a client");
    let all = || Api::<ConfigMap>::all(client.clone());
    let names = || (0..shape.namespaces).map(name);
    let (before, began) = (Usage::now(), Instant::now());
    let informers: Vec<_> = match way {
        Way::Several => vec![start(all(), Scope::namespaces(names()))],
        Way::Each => names().map(|name| start(all(), Scope::namespace(name))).collect(),
        Way::All => vec![start(all(), Scope::all())],
    };
    for informer in &informers {
        informer.synced().await.expect("it runs");
    }
    let synced = began.elapsed();
    let objects: usize = informers.iter().map(|informer| informer.snapshot().len()).sum();
    assert_eq!(objects, shape.namespaces * shape.objects);
    while !informers.iter().all(|informer| informer.status().phase == Phase::Watching) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Old versions are looked at twice a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let usage = Usage::now().since(&before);
    let lists = informers.iter().map(|informer| informer.stats().lists).sum();
    let (before, began) = (Usage::now(), Instant::now());
    try_join_all(informers.iter().map(Informer::refresh)).await.expect("they run");
    let listed_again = (began.elapsed(), Usage::now().since(&before).cpu);
    for informer in informers {
        informer.shutdown().await;
    }
    Row { usage, synced, lists, listed_again }
}

fn start(api: Api<ConfigMap>, scope: Scope) -> Informer<ConfigMap> {
    let mut builder = Informer::builder(api).scope(scope);
    builder.index(index::namespace());
    builder.index(index::label("app"));
    builder.start()
}

// === impl Shape ===

impl Shape {
    fn parse(text: &str) -> Self {
        let (namespaces, objects) = text.split_once('x').expect("two numbers");
        let number = |text: &str| text.parse().expect("a number");
        Self { namespaces: number(namespaces), objects: number(objects) }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.namespaces, self.objects)
    }
}

// === impl Report ===

impl Report {
    fn add(&mut self, shape: Shape, way: Way, row: &Row) {
        let Row { usage, synced, lists, listed_again } = row;
        let way = match way {
            Way::Several => "one informer, Scope::namespaces",
            Way::Each => "an informer for each",
            Way::All => "one informer, Scope::all",
        };
        let Usage { bytes, cpu, tasks, connections } = usage;
        let (synced, cpu) = (synced.as_millis(), cpu.as_millis());
        let (again, again_cpu) = (listed_again.0.as_millis(), listed_again.1.as_millis());
        if self.json {
            let line = json!({
                "namespaces": shape.namespaces, "objects": shape.objects, "way": way, "bytes": bytes,
                "synced_ms": synced as u64, "cpu_ms": cpu as u64, "tasks": tasks, "connections": connections,
                "lists": lists, "listed_again_ms": again as u64, "listed_again_cpu_ms": again_cpu as u64,
            });
            println!("{line}");
        }
        self.table.add_row([
            shape.to_string(),
            way.to_owned(),
            (bytes / 1024).to_string(),
            synced.to_string(),
            cpu.to_string(),
            tasks.to_string(),
            connections.to_string(),
            lists.to_string(),
            again.to_string(),
            again_cpu.to_string(),
        ]);
    }
}
