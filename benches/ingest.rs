//! From the bytes of an API server to objects that readers see: `ingest/<op>-<form>/<n>/<peer>`, in nanoseconds of CPU
//! time for each object.
//!
//! ```sh
//! cargo bench --bench ingest                            # all
//! cargo bench --bench ingest -- ingest/event-whole/     # those whose id has this in it
//! cargo bench --bench ingest -- --json --rounds 31      # one line of JSON for each id
//! cargo bench --bench ingest -- --test                  # does it work?
//! ```
//!
//! | op | measured |
//! |---|---|
//! | `event` | one event of an open watch at a time, until it is published |
//! | `burst` | 4,096 events that are there at once, in chunks of 16 KiB |
//! | `list` | the first list, as a stream |
//! | `paged` | the first list, in pages of 500 |
//!
//! | form | what is kept |
//! |---|---|
//! | `whole` | a type of the kind's fields |
//! | `projected` | a value of 64 bytes that is made of it |
//! | `decoded` | the same value, made of the few fields that are read of the text (`Builder::decode`) |
//! | `dynamic` | `DynamicObject` |
//! | `metadata` | `PartialObjectMeta`, asked for as such |
//!
//! The peers: `kube-informer` with two indexes (with freeing, which it does later, in `ns`, and without in
//! `published_ns`); `kube-runtime`, its watcher and reflector, which has no index; `serde_json`, which only decodes the
//! object. All get the same bytes from memory, without a socket, and run on one thread.

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod caches;
mod clock;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod driver;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod nads;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod rounds;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod wire;

use std::cell::{LazyCell, RefCell};
use std::hint::black_box;
use std::rc::Rc;

use serde_json::Value;

use caches::{PAGE, Start};
use clock::cpu_time;
use nads::{Nad, shuffled};
use rounds::{Case, Options, Report, Sample};
use wire::{Wire, partial, received};

/// The events between two times of freeing.
const SLICE: usize = 4096;

struct Form {
    name: &'static str,
    peers: Vec<(&'static str, Start)>,
    is_metadata: bool,
}

/// The answers for one size.
struct Server {
    n: usize,
    wire: LazyCell<Wire, Box<dyn FnOnce() -> Wire>>,
    order: Vec<usize>,
    /// The number of events in a round.
    slice: usize,
}

fn main() {
    let options = Options::from_args(15);
    let mut report = Report::new(&options);
    let sizes: &[usize] = if options.smoke { &[1_000] } else { &[10_000, 100_000] };
    for &n in sizes {
        let server = Rc::new(Server::new(n, if options.smoke { 64 } else { SLICE }));
        report.measure(&options, watches(&options, &server));
        report.measure(&options, lists(&options, &server));
    }
    report.print();
}

fn forms() -> Vec<Form> {
    vec![
        Form {
            name: "whole",
            peers: vec![("kube-informer", caches::ours_whole), ("kube-runtime", caches::kube_whole)],
            is_metadata: false,
        },
        Form {
            name: "projected",
            peers: vec![("kube-informer", caches::ours_projected)],
            is_metadata: false,
        },
        Form { name: "decoded", peers: vec![("kube-informer", caches::ours_decoded)], is_metadata: false },
        Form {
            name: "dynamic",
            peers: vec![("kube-informer", caches::ours_dynamic), ("kube-runtime", caches::kube_dynamic)],
            is_metadata: false,
        },
        Form {
            name: "metadata",
            peers: vec![("kube-informer", caches::ours_metadata), ("kube-runtime", caches::kube_metadata)],
            is_metadata: true,
        },
    ]
}

fn watches(options: &Options, server: &Rc<Server>) -> Vec<Case> {
    let (n, mut cases) = (server.n, Vec::new());
    for form in forms() {
        for &(peer, start) in &form.peers {
            // Started when first measured: both ops share it.
            let running = Rc::new(RefCell::new(None));
            for op in ["event", "burst"] {
                let id = format!("ingest/{op}-{}/{n}/{peer}", form.name);
                if !options.wants(&id) {
                    continue;
                }
                let (running, server) = (running.clone(), server.clone());
                let run = move |_| {
                    let mut running = running.borrow_mut();
                    let running = running.get_or_insert_with(|| start(&server.wire.fork(), true));
                    let updates = server.updates(running.rounds, form.is_metadata);
                    running.follow(&updates, op == "burst")
                };
                cases.push(Case { id, run: Box::new(run) });
            }
        }
    }
    let id = format!("ingest/event-whole/{n}/serde_json");
    if options.wants(&id) {
        let server = server.clone();
        let run = move |round| decode(&server.updates(round, false));
        cases.push(Case { id, run: Box::new(run) });
    }
    cases
}

fn lists(options: &Options, server: &Rc<Server>) -> Vec<Case> {
    let (n, mut cases) = (server.n, Vec::new());
    for form in forms() {
        for &(peer, start) in &form.peers {
            for op in ["list", "paged"] {
                let id = format!("ingest/{op}-{}/{n}/{peer}", form.name);
                if !options.wants(&id) {
                    continue;
                }
                let server = server.clone();
                let run = move |_| {
                    let wire = server.wire.fork();
                    let began = cpu_time();
                    let running = start(&wire, op == "list");
                    let nanos = (cpu_time() - began).as_nanos() as f64;
                    assert_eq!(running.version(&server.object(0)), Some(1), "it has listed");
                    vec![("ns", nanos / n as f64), ("objects_per_s", n as f64 / nanos * 1e9)]
                };
                cases.push(Case { id, run: Box::new(run) });
            }
        }
    }
    cases
}

/// What every peer does with the bytes of an object, and nothing else.
fn decode(objects: &[Value]) -> Sample {
    let texts: Vec<_> = objects.iter().map(Value::to_string).collect();
    let began = cpu_time();
    for text in &texts {
        black_box(serde_json::from_str::<Nad>(text).expect("a valid object"));
    }
    vec![("ns", (cpu_time() - began).as_nanos() as f64 / texts.len() as f64)]
}

// === impl Server ===

impl Server {
    fn new(n: usize, slice: usize) -> Self {
        let wire: Box<dyn FnOnce() -> Wire> = Box::new(move || Wire::new(n, PAGE));
        Self { n, wire: LazyCell::new(wire), order: shuffled(n), slice }
    }

    fn object(&self, i: usize) -> Value {
        received(i, self.n, 1)
    }

    /// New versions of random objects. A higher round has higher ones.
    fn updates(&self, round: usize, is_metadata: bool) -> Vec<Value> {
        let numbers = round * self.slice..(round + 1) * self.slice;
        let objects = numbers.map(|at| received(self.order[at % self.n], self.n, 2_000 + at as u64));
        objects.map(|object| if is_metadata { partial(&object) } else { object }).collect()
    }
}
