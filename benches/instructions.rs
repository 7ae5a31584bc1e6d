//! Work whose instructions `tools/instructions/check.sh` counts with callgrind, which other work on the machine does not
//! change. Without an argument, each runs once.
//!
//! | name | what |
//! |---|---|
//! | `get` | a look-up of an object in a held snapshot of 10,000 |
//! | `find-64` | a look-up in an index, and a read of the 64 objects behind the key |
//! | `update-2-indexes` | an update that changes no index key, published, with the freeing of what it replaced |
//! | `event-from-bytes` | an event of a watch, from its line to a snapshot with two indexes, with freeing |
//! | `event-decoded` | the same for a projection of a few fields (`Builder::decode`) |
//! | `list-from-bytes` | an object of a first list, as a stream, from its line to a snapshot with two indexes |
//! | `list-decoded` | the same for a projection of a few fields |
//! | `list-of-part` | one of 300 namespaces of a scope, each with 10 objects, listed again, with the work of the server |
//!
//! The keys are hashed with random seeds, so the trees of two runs differ; each count is the mean of many operations.

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod caches;
mod clock;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod driven;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod driver;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod nads;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod rounds;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod wire;

use std::hint::black_box;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use kube_informer::testing::ApiServer;
use kube_informer::{Index, Informer, Scope};
use kube_runtime::watcher::Event;
use serde_json::json;
use tokio::runtime::Builder;

use caches::{PAGE, Start, ours_decoded, ours_whole};
use driven::Driven;
use nads::{CONFIG, HITS, Nad, key, listed, provider, shuffled};
use wire::{Wire, event, received};

/// Does some work under the function that is counted, and returns for how many operations that was.
type Work = fn() -> usize;

const ALL: [(&str, Work); 8] = [
    ("get", get),
    ("find-64", find),
    ("update-2-indexes", update),
    ("event-from-bytes", || event_from_bytes(ours_whole)),
    ("event-decoded", || event_from_bytes(ours_decoded)),
    ("list-from-bytes", || list_from_bytes(ours_whole)),
    ("list-decoded", || list_from_bytes(ours_decoded)),
    ("list-of-part", list_of_part),
];

const OBJECTS: usize = 10_000;

/// Fewer, where they come from bytes, which takes long under callgrind.
const RECEIVED: usize = 2_000;

const UPDATES: usize = 1_600;

/// Parts of a scope, and the objects of each.
const PARTS: usize = 300;
const IN_PART: usize = 10;

/// After so many updates, what they replaced is freed. The informer frees for 0.2 ms at a time, which is little work under
/// callgrind, and what is left costs a little each time: if much were left, the count would depend on the clock.
const FREED: usize = 16;

fn main() {
    let wanted = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    for (name, work) in ALL {
        if wanted.as_ref().is_none_or(|wanted| wanted == name) {
            println!("{name} {}", work());
        }
    }
}

/// Callgrind counts what runs below this function. It has one name: no type parameter is part of it.
#[inline(never)]
fn counted_by_callgrind(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

fn filled() -> (Driven<Nad, Nad>, Index<Nad, String>) {
    let mut by_provider = None;
    let mut driven = Driven::new(|events| {
        let mut nads = Informer::from_stream(events);
        by_provider = Some(nads.index(|nad: &Nad| nad.provider().map(str::to_owned)));
        nads.index(|nad: &Nad| nad.team().map(str::to_owned));
        nads.build()
    });
    driven.list(listed(OBJECTS).into_iter().map(|i| Nad::new(i, OBJECTS)));
    driven.free();
    (driven, by_provider.expect("it was built"))
}

fn get() -> usize {
    let (driven, _) = filled();
    let snapshot = driven.informer.snapshot();
    let keys: Vec<_> = (0..OBJECTS).map(|i| key(i, "net")).collect();
    let mut sum = 0;
    counted_by_callgrind(&mut || {
        for key in &keys {
            sum += snapshot.get((&*key.namespace, &*key.name)).map_or(0, |nad| nad.config_len());
        }
    });
    assert_eq!(sum, OBJECTS * CONFIG);
    OBJECTS
}

fn find() -> usize {
    let (driven, by_provider) = filled();
    let snapshot = driven.informer.snapshot();
    let providers: Vec<_> = (0..OBJECTS / HITS).map(provider).collect();
    let mut sum = 0;
    counted_by_callgrind(&mut || {
        for provider in &providers {
            let nads = snapshot.by_index(&by_provider, provider.as_str());
            sum += nads.map(|nad| nad.config_len()).sum::<usize>();
        }
    });
    assert_eq!(sum, providers.len() * HITS * CONFIG);
    providers.len()
}

fn update() -> usize {
    let (mut driven, _) = filled();
    let updates = shuffled(OBJECTS).into_iter().take(UPDATES).map(|i| {
        let mut nad = Nad::new(i, OBJECTS);
        nad.set_version(2);
        Event::Apply(nad)
    });
    driven.prepare(updates.collect());
    counted_by_callgrind(&mut || {
        for _ in 0..UPDATES / FREED {
            for _ in 0..FREED {
                driven.publish(1);
            }
            driven.free();
        }
    });
    let changed = driven.informer.snapshot().iter().filter(|nad| nad.resource_version() == 2).count();
    assert_eq!(changed, UPDATES);
    UPDATES
}

fn event_from_bytes(start: Start) -> usize {
    let n = RECEIVED;
    let mut running = start(&Wire::new(n, PAGE), true);
    running.driver.free();
    let objects: Vec<_> = shuffled(n)
        .into_iter()
        .take(UPDATES)
        .enumerate()
        .map(|(at, i)| received(i, n, 2_000 + at as u64))
        .collect();
    running.wire.prepare(objects.iter().map(|object| event("MODIFIED", object)));
    counted_by_callgrind(&mut || {
        for _ in 0..UPDATES / FREED {
            for _ in 0..FREED {
                running.wire.open(1);
                running.driver.run();
            }
            running.driver.free();
        }
    });
    assert_eq!(running.version(&objects[UPDATES - 1]), Some(1_999 + UPDATES as u64));
    UPDATES
}

fn list_from_bytes(start: Start) -> usize {
    let wire = Wire::new(RECEIVED, PAGE);
    let mut running = None;
    counted_by_callgrind(&mut || running = Some(start(&wire, true)));
    let last = received(RECEIVED - 1, RECEIVED, 1);
    assert_eq!(running.and_then(|running| running.version(&last)), Some(1));
    RECEIVED
}

/// If a part looked at the objects of all parts, that would be most of the count.
fn list_of_part() -> usize {
    let server = ApiServer::new();
    let name = |part: usize| format!("namespace-{part}");
    for part in 0..PARTS {
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name(part) } });
        server.create(namespace).expect("a valid namespace");
        for number in 0..IN_PART {
            let metadata = json!({ "namespace": name(part), "name": format!("object-{number}") });
            let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
            server.create(object).expect("a valid object");
        }
    }
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let scope = Scope::namespaces((0..PARTS).map(name));
    let maps = runtime.block_on(async {
        let maps = Informer::builder(Api::<ConfigMap>::all(Client::new(server.service(), "default")))
            .scope(scope)
            .start();
        maps.synced().await.expect("it runs");
        maps
    });
    counted_by_callgrind(&mut || {
        runtime.block_on(maps.refresh()).expect("it runs");
    });
    assert_eq!((maps.snapshot().len(), maps.stats().lists), (PARTS * IN_PART, 2 * PARTS as u64));
    PARTS
}
