//! A list of what is cached already: `relist/<changed>/<n>/<peer>`.
//!
//! ```sh
//! cargo bench --bench relist                      # all, n to 100,000
//! cargo bench --bench relist -- relist/all/       # those whose id has this in it
//! cargo bench --bench relist -- --json            # one line of JSON for each id
//! cargo bench --bench relist -- --test            # does it work?
//! ```
//!
//! `<changed>`: `unchanged`, `1-percent` or `all` of the objects have a new version.
//!
//! | figure | what it is |
//! |---|---|
//! | `ns` | CPU time for each object of the list, with freeing what it replaced |
//! | `allocations` | for each object, with what the reader allocates |
//! | `ms` | time by the clock, without freeing |
//! | `read_p50_ns`, `read_p999_ns`, `read_max_us` | how long another thread's reads of one object take meanwhile |
//!
//! The peers are `kube-informer`, an informer of a stream with two indexes, and `kube-store`, the `Writer` of
//! kube-runtime without an index. The list is made before the clock starts.

mod clock;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod driven;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod driver;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod nads;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod rounds;

use std::alloc::System;
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use hdrhistogram::Histogram;
use kube_informer::Informer;
use kube_runtime::reflector::{ObjectRef, Store, store::Writer};
use kube_runtime::watcher::Event;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use clock::cpu_time;
use driven::Driven;
use nads::{Key, Nad, declare, key, listed, shuffled};
use rounds::{Case, Options, Report, Sample};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CHANGED: [(&str, usize); 3] = [("unchanged", 0), ("1-percent", 1), ("all", 100)];

/// Reads one object, or its absence, and returns the length of its text.
type Read = Arc<dyn Fn(&Key) -> usize + Send + Sync>;

/// A cache that takes lists.
trait Peer {
    fn list(&mut self, objects: Vec<Nad>);

    /// What is left to do later.
    fn free(&mut self);

    fn read(&self) -> Read;
}

const PEERS: [(&str, Empty); 2] = [("kube-informer", Ours::empty), ("kube-store", KubeStore::empty)];

type Empty = fn() -> Box<dyn Peer>;

/// A peer, and the versions it holds.
struct Listed {
    peer: Box<dyn Peer>,
    versions: Vec<u64>,
    keys: Arc<Vec<Key>>,
    lists: u64,
}

struct Ours(Driven<Nad, Nad>);

struct KubeStore(Writer<Nad>);

fn main() {
    let options = Options::from_args(9);
    let mut report = Report::new(&options);
    for n in options.sizes() {
        report.measure(&options, cases(&options, n));
    }
    report.print();
}

fn cases(options: &Options, n: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, empty) in PEERS {
        // Filled when first measured: all cases share it.
        let listed = Rc::new(RefCell::new(None));
        for (changed, percent) in CHANGED {
            let id = format!("relist/{changed}/{n}/{name}");
            if options.wants(&id) {
                let listed = listed.clone();
                let run = move |_| {
                    let mut listed = listed.borrow_mut();
                    listed.get_or_insert_with(|| Listed::new(empty(), n)).relist(percent)
                };
                cases.push(Case { id, run: Box::new(run) });
            }
        }
    }
    cases
}

// === impl Listed ===

impl Listed {
    fn new(peer: Box<dyn Peer>, n: usize) -> Self {
        let keys = Arc::new(shuffled(n).into_iter().map(|i| key(i, "net")).collect());
        let mut listed = Self { peer, versions: vec![1; n], keys, lists: 1 };
        let objects = listed.objects();
        listed.peer.list(objects);
        listed.peer.free();
        listed
    }

    fn objects(&self) -> Vec<Nad> {
        let n = self.versions.len();
        let nad = |i| {
            let mut nad = Nad::new(i, n);
            nad.set_version(self.versions[i]);
            nad
        };
        listed(n).into_iter().map(nad).collect()
    }

    fn relist(&mut self, percent: usize) -> Sample {
        self.lists += 1;
        let n = self.versions.len();
        for (i, version) in self.versions.iter_mut().enumerate() {
            if i % 100 < percent {
                *version = self.lists;
            }
        }
        let objects = self.objects();
        let reader = Reader::start(self.peer.read(), self.keys.clone());
        let region = Region::new(ALLOCATOR);
        let (began, began_cpu) = (Instant::now(), cpu_time());
        self.peer.list(objects);
        let listed = began.elapsed();
        self.peer.free();
        let used = cpu_time() - began_cpu;
        let allocations = region.change().allocations;
        let reads = reader.stop();
        vec![
            ("ns", used.as_nanos() as f64 / n as f64),
            ("ms", listed.as_secs_f64() * 1e3),
            ("allocations", allocations as f64 / n as f64),
            ("read_p50_ns", reads.value_at_quantile(0.5) as f64),
            ("read_p999_ns", reads.value_at_quantile(0.999) as f64),
            ("read_max_us", reads.max() as f64 / 1e3),
        ]
    }
}

// === Reader ===

/// A thread that reads one random object after another.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Histogram<u64>>,
}

impl Reader {
    /// Returns when it has begun to read.
    fn start(read: Read, keys: Arc<Vec<Key>>) -> Self {
        let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let reader = Self {
            stop: stop.clone(),
            thread: thread::spawn({
                let begun = begun.clone();
                move || {
                    let mut histogram = Histogram::new(3).expect("three digits");
                    for key in keys.iter().cycle() {
                        let began = Instant::now();
                        let found = black_box(read(key));
                        let took = began.elapsed().as_nanos() as u64;
                        assert!(found > 0, "every object is there all the time");
                        histogram.record(took).expect("it grows");
                        begun.store(true, Ordering::Relaxed);
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    histogram
                }
            }),
        };
        while !begun.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        reader
    }

    fn stop(self) -> Histogram<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

// === impl Peer ===

impl Ours {
    fn empty() -> Box<dyn Peer> {
        Box::new(Self(Driven::new(|events| {
            let mut nads = Informer::from_stream(events);
            declare(nads.indexes(), 2);
            nads.build()
        })))
    }
}

impl Peer for Ours {
    fn list(&mut self, objects: Vec<Nad>) {
        self.0.list(objects.into_iter());
    }

    fn free(&mut self) {
        self.0.free();
    }

    fn read(&self) -> Read {
        let informer = self.0.informer.clone();
        Arc::new(move |key| {
            informer.read(|view| view.get((&*key.namespace, &*key.name)).map_or(0, |nad| nad.config_len()))
        })
    }
}

impl KubeStore {
    fn empty() -> Box<dyn Peer> {
        Box::new(Self(Writer::default()))
    }
}

impl Peer for KubeStore {
    fn list(&mut self, objects: Vec<Nad>) {
        self.0.apply_watcher_event(&Event::Init);
        objects.into_iter().for_each(|nad| self.0.apply_watcher_event(&Event::InitApply(nad)));
        self.0.apply_watcher_event(&Event::InitDone);
    }

    fn free(&mut self) {}

    fn read(&self) -> Read {
        let store: Store<Nad> = self.0.as_reader();
        Arc::new(move |key| {
            let key = ObjectRef::new(&key.name).within(&key.namespace);
            store.get(&key).map_or(0, |nad| nad.config_len())
        })
    }
}
