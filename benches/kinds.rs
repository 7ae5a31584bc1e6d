//! What many small kinds cost in one registry, beside kube-runtime's reflectors: memory, CPU time, tasks and connections
//! of the process that has them, and its CPU time while nothing happens. The API server is another process.
//!
//! ```sh
//! cargo bench --bench kinds                  # 200 kinds of 100 objects
//! cargo bench --bench kinds -- --test        # does it work? 3 kinds of 5 objects
//! ```

mod served;
mod usage;

use std::future::ready;
use std::time::{Duration, Instant};

use comfy_table::Table;
use futures_util::StreamExt as _;
use kube_client::{Api, Client, Config};
use kube_core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube_informer::testing::{ApiServer, Kind};
use kube_informer::{Registry, Scope, SharedInformer, Stored};
use kube_runtime::reflector::store::Writer;
use kube_runtime::{WatchStreamExt as _, reflector, watcher};
use serde_json::json;
use tokio::runtime::Builder as Runtime;
use tokio::task::JoinSet;

use served::Server;
use usage::Usage;

#[derive(Clone, Copy)]
struct Shape {
    kinds: usize,
    objects: usize,
    /// For how long nothing happens.
    idle: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Whole,
    Metadata,
    KubeRuntime,
}

struct Row {
    synced: Duration,
    usage: Usage,
    idle: Duration,
}

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    // `cargo test` runs it without `--bench`.
    let shape = match has("--test") || !has("--bench") {
        true => Shape { kinds: 3, objects: 5, idle: Duration::from_millis(100) },
        false => Shape { kinds: 200, objects: 100, idle: Duration::from_secs(20) },
    };
    if let Some(what) = Server::to_serve() {
        let (kinds, objects) = what.split_once('x').expect("two numbers");
        return serve(kinds.parse().expect("a number"), objects.parse().expect("a number"));
    }
    let server = Server::start(&format!("{}x{}", shape.kinds, shape.objects));
    let mut table = Table::new();
    table.set_header([
        "",
        "synced after ms",
        "CPU ms",
        "KiB",
        "tasks",
        "connections",
        "CPU while idle, us/s",
    ]);
    for way in [Way::Whole, Way::Metadata, Way::KubeRuntime] {
        // The runtime of an earlier row leaves nothing behind.
        let runtime = Runtime::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let url = server.url.clone();
        let row = runtime.block_on(async { tokio::spawn(measure(url, shape, way)).await }).expect("no panic");
        let idle = row.idle.as_micros() as f64 / shape.idle.as_secs_f64();
        table.add_row([
            way.text().to_owned(),
            row.synced.as_millis().to_string(),
            row.usage.cpu.as_millis().to_string(),
            (row.usage.bytes / 1024).to_string(),
            row.usage.tasks.to_string(),
            row.usage.connections.to_string(),
            format!("{idle:.0}"),
        ]);
    }
    println!("{} kinds of {} objects\n{table}", shape.kinds, shape.objects);
}

fn serve(kinds: usize, objects: usize) {
    let builder = (0..kinds).fold(ApiServer::builder(), |builder, kind| {
        let (kind, plural) = names(kind);
        builder.kind(Kind::namespaced("bench.example", "v1", &kind, &plural))
    });
    let server = builder.build();
    for kind in 0..kinds {
        for number in 0..objects {
            let metadata = json!({ "namespace": "default", "name": format!("object-{number}") });
            let object = json!({
                "apiVersion": "bench.example/v1", "kind": names(kind).0, "metadata": metadata,
                "spec": { "a": "some text that is long enough", "b": [1, 2, 3], "c": number.to_string() },
            });
            server.create(object).expect("a valid object");
        }
    }
    served::serve(&server);
}

/// Of a kind: its name, and the plural.
fn names(kind: usize) -> (String, String) {
    (format!("Kind{kind}"), format!("kind{kind}s"))
}

fn resource(kind: usize) -> ApiResource {
    let (kind, plural) = names(kind);
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("bench.example", "v1", &kind), &plural)
}

async fn measure(url: String, shape: Shape, way: Way) -> Row {
    let client = Client::try_from(Config::new(url.parse().expect("a URL"))).expect("a client");
    match way {
        Way::Whole => ours::<DynamicObject>(client, shape).await,
        Way::Metadata => ours::<PartialObjectMeta<DynamicObject>>(client, shape).await,
        Way::KubeRuntime => theirs(client, shape).await,
    }
}

async fn ours<T: Stored<Object: kube_core::Resource<DynamicType = ApiResource>>>(
    client: Client,
    shape: Shape,
) -> Row {
    let (before, began) = (Usage::now(), Instant::now());
    let registry = Registry::new(client);
    let declare = |kind| registry.declare_with::<T>(Scope::all(), resource(kind));
    let informers: Vec<SharedInformer<T>> = (0..shape.kinds).map(declare).collect();
    registry.start();
    registry.synced().await.expect("it runs");
    let synced = began.elapsed();
    let row = rest(before, synced, shape).await;
    assert!(informers.iter().all(|shared| shared.informer().snapshot().len() == shape.objects));
    registry.shutdown().await;
    row
}

async fn theirs(client: Client, shape: Shape) -> Row {
    let (before, began) = (Usage::now(), Instant::now());
    let (mut stores, mut tasks) = (Vec::new(), JoinSet::new());
    for kind in 0..shape.kinds {
        let resource = resource(kind);
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
        let writer = Writer::new(resource);
        stores.push(writer.as_reader());
        let stream = reflector(writer, watcher(api, watcher::Config::default()).default_backoff());
        tasks.spawn(stream.for_each(|_| ready(())));
    }
    for store in &stores {
        store.wait_until_ready().await.expect("it runs");
    }
    let synced = began.elapsed();
    let row = rest(before, synced, shape).await;
    assert!(stores.iter().all(|store| store.len() == shape.objects));
    tasks.shutdown().await;
    row
}

/// What is used once all is quiet, and while it stays so.
async fn rest(before: Usage, synced: Duration, shape: Shape) -> Row {
    // Watches are opened, and old versions freed.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let now = Usage::now();
    let cpu = now.cpu;
    let usage = now.since(&before);
    tokio::time::sleep(shape.idle).await;
    Row { synced, usage, idle: Usage::now().cpu.saturating_sub(cpu) }
}

impl Way {
    fn text(self) -> &'static str {
        match self {
            Self::Whole => "kube-informer, Registry",
            Self::Metadata => "kube-informer, Registry, metadata only",
            Self::KubeRuntime => "kube-runtime, reflectors",
        }
    }
}
