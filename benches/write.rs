//! Updates, published: `write/<op>/<n>/<peer>`, in nanoseconds of CPU time for each update.
//!
//! ```sh
//! cargo bench --bench write                                  # all, n to 100,000
//! cargo bench --bench write -- write/2-index/100000/         # those whose id has this in it
//! cargo bench --bench write -- --json --rounds 31            # one line of JSON for each id
//! cargo bench --bench write -- --test                        # does it work?
//! KUBE_INFORMER_MILLION=1 cargo bench --bench write -- /1000000/
//! ```
//!
//! `<op>` is `<k>-index`, with `-moved` if the update changes the keys of the indexes (all but the namespace), and with
//! `-256` or `-4096` if so many updates are published together, in one version. The indexes are, in this order: by
//! provider (64 objects behind a key), by team (31 keys), by resource (7 keys), by namespace (97 keys).
//!
//! | peer | what it is |
//! |---|---|
//! | `kube-informer` | an informer of a stream; a version for each batch. `ns` is with freeing the old versions and objects, which the informer does later; `published_ns` is without, `freeing_ns` only that |
//! | `kube-store` | kube-runtime's `Writer`: no index, no versions; its map is changed under a lock |
//! | `rpds` | a persistent map of `Arc`s without an index, published in an `ArcSwap` after each batch |
//! | `vec` | no cache, but the least that an update of any can cost: it replaces an object at a known place, and frees the one before |
//!
//! An update is a new version of a random object, made before the clock starts. For a profile, run one id in the binary
//! itself, which `cargo bench --bench write --no-run` names:
//! `perf stat target/release/deps/write-.. --bench --rounds 31 write/2-index/100000/kube-informer`.

mod clock;
mod driven;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod driver;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod nads;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod rounds;

use std::cell::{LazyCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kube_informer::Informer;
use kube_runtime::reflector::store::Writer;
use kube_runtime::watcher::Event;
use rpds::HashTrieMapSync;

use clock::cpu_time;
use driven::Driven;
use nads::{Nad, declare, listed, shuffled};
use rounds::{Case, Options, Report, Sample};

/// The updates between two times of freeing: an informer at 8,000 updates/s frees that much at once.
const SLICE: usize = 4096;

/// A cache that takes updates.
trait Peer {
    /// Applies updates and publishes after each `batch` of them. Returns the nanoseconds of it all first.
    fn apply(&mut self, updates: Vec<Nad>, batch: usize) -> Sample;
}

/// A peer, and what it has had so far.
struct Fed {
    peer: Box<dyn Peer>,
    objects: Rc<Lazy>,
    /// By object: how often its keys were changed.
    shifts: Vec<usize>,
    updates: usize,
}

/// What the updates are versions of.
struct Objects {
    all: Vec<Nad>,
    order: Vec<usize>,
}

/// Made when first needed: the command line may leave out a size.
type Lazy = LazyCell<Objects, Box<dyn FnOnce() -> Objects>>;

/// Makes a peer with these objects, and so many indexes.
type Fill = fn(&Objects, usize) -> Box<dyn Peer>;

#[derive(Clone, Copy)]
struct Op {
    indexes: usize,
    moved: bool,
    batch: usize,
}

struct Ours(Driven<Nad, Nad>);

struct KubeStore(Writer<Nad>);

type Map = HashTrieMapSync<(Box<str>, Box<str>), Arc<Nad>>;

struct Persistent {
    map: Map,
    published: ArcSwap<Map>,
}

/// By number.
struct Replaced(Vec<Arc<Nad>>);

fn main() {
    let options = Options::from_args(15);
    let mut report = Report::new(&options);
    for n in options.sizes() {
        report.measure(&options, cases(&options, n));
    }
    report.print();
}

fn cases(options: &Options, n: usize) -> Vec<Case> {
    let objects: Rc<Lazy> = Rc::new(LazyCell::new(Box::new(move || Objects::new(n))));
    let mut cases = Vec::new();
    for indexes in [0, 1, 2, 4] {
        let mut peers: Vec<(&str, Fill)> = vec![("kube-informer", Ours::fill)];
        if indexes == 0 {
            peers.push(("kube-store", KubeStore::fill));
            peers.push(("rpds", Persistent::fill));
            peers.push(("vec", Replaced::fill));
        }
        for (name, fill) in peers {
            // Filled when first measured: all ops share it.
            let fed = Rc::new(RefCell::new(None));
            for op in Op::all(indexes, n) {
                let id = format!("write/{}/{n}/{name}", op.name());
                if !options.wants(&id) {
                    continue;
                }
                let (fed, objects, smoke) = (fed.clone(), objects.clone(), options.smoke);
                let run = move |_| {
                    let mut fed = fed.borrow_mut();
                    let fed = fed.get_or_insert_with(|| Fed::new(fill(&objects, indexes), objects.clone()));
                    fed.measure(op, if smoke { 256 } else { SLICE })
                };
                cases.push(Case { id, run: Box::new(run) });
            }
        }
    }
    cases
}

// === impl Op ===

impl Op {
    fn all(indexes: usize, n: usize) -> impl Iterator<Item = Self> {
        let moved: &[bool] = if indexes == 0 { &[false] } else { &[false, true] };
        let batches = [1, 256, 4096].into_iter().filter(move |batch| *batch <= n);
        batches.flat_map(move |batch| moved.iter().map(move |&moved| Self { indexes, moved, batch }))
    }

    fn name(self) -> String {
        let moved = if self.moved { "-moved" } else { "" };
        let batch = if self.batch > 1 { format!("-{}", self.batch) } else { String::new() };
        format!("{}-index{moved}{batch}", self.indexes)
    }
}

// === impl Fed ===

impl Fed {
    fn new(peer: Box<dyn Peer>, objects: Rc<Lazy>) -> Self {
        let shifts = vec![0; objects.all.len()];
        Self { peer, objects, shifts, updates: 0 }
    }

    fn measure(&mut self, op: Op, count: usize) -> Sample {
        let count = count.max(op.batch);
        let updates = (0..count).map(|_| self.update(op.moved)).collect();
        let sample = self.peer.apply(updates, op.batch);
        sample.into_iter().map(|(name, nanos)| (name, nanos / count as f64)).collect()
    }

    fn update(&mut self, moved: bool) -> Nad {
        let n = self.objects.all.len();
        let i = self.objects.order[self.updates % n];
        self.updates += 1;
        self.shifts[i] += usize::from(moved);
        let mut nad = self.objects.all[i].clone();
        nad.set_version(1 + self.updates as u64);
        nad.set_shift(i, n, self.shifts[i]);
        nad
    }
}

impl Objects {
    fn new(n: usize) -> Self {
        Self { all: listed(n).into_iter().map(|i| Nad::new(i, n)).collect(), order: shuffled(n) }
    }
}

// === impl Peer ===

impl Ours {
    fn fill(objects: &Objects, indexes: usize) -> Box<dyn Peer> {
        let mut driven = Driven::new(|events| {
            let mut nads = Informer::from_stream(events);
            declare(nads.indexes(), indexes);
            nads.build()
        });
        driven.list(objects.all.clone().into_iter());
        driven.free();
        assert_eq!(driven.informer.snapshot().len(), objects.all.len());
        Box::new(Self(driven))
    }
}

impl Peer for Ours {
    fn apply(&mut self, updates: Vec<Nad>, batch: usize) -> Sample {
        let (count, last) = (updates.len(), updates[updates.len() - 1].clone());
        self.0.prepare(updates.into_iter().map(Event::Apply).collect());
        let began = cpu_time();
        for _ in 0..count / batch {
            self.0.publish(batch);
        }
        let published = cpu_time();
        self.0.free();
        let freed = cpu_time();
        let snapshot = self.0.informer.snapshot();
        let held = snapshot.get((last.namespace(), last.name())).map(|nad| nad.resource_version());
        assert_eq!(held, Some(last.resource_version()), "the last update is published");
        let nanos = |from, to: std::time::Duration| (to - from).as_nanos() as f64;
        vec![
            ("ns", nanos(began, freed)),
            ("published_ns", nanos(began, published)),
            ("freeing_ns", nanos(published, freed)),
        ]
    }
}

impl KubeStore {
    fn fill(objects: &Objects, _: usize) -> Box<dyn Peer> {
        let mut writer = Writer::default();
        writer.apply_watcher_event(&Event::Init);
        objects.all.iter().for_each(|nad| writer.apply_watcher_event(&Event::InitApply(nad.clone())));
        writer.apply_watcher_event(&Event::InitDone);
        Box::new(Self(writer))
    }
}

impl Peer for KubeStore {
    fn apply(&mut self, updates: Vec<Nad>, _: usize) -> Sample {
        let began = cpu_time();
        for nad in updates {
            // It clones what it gets; the event is dropped afterwards, as by its reflector.
            self.0.apply_watcher_event(&Event::Apply(nad));
        }
        vec![("ns", (cpu_time() - began).as_nanos() as f64)]
    }
}

impl Persistent {
    fn fill(objects: &Objects, _: usize) -> Box<dyn Peer> {
        let mut map = HashTrieMapSync::new_sync();
        for nad in &objects.all {
            map.insert_mut(Self::key(nad), Arc::new(nad.clone()));
        }
        Box::new(Self { published: ArcSwap::from_pointee(map.clone()), map })
    }

    fn key(nad: &Nad) -> (Box<str>, Box<str>) {
        (nad.namespace().into(), nad.name().into())
    }
}

impl Peer for Persistent {
    fn apply(&mut self, updates: Vec<Nad>, batch: usize) -> Sample {
        let began = cpu_time();
        for (at, nad) in updates.into_iter().enumerate() {
            self.map.insert_mut(Self::key(&nad), Arc::new(nad));
            if (at + 1) % batch == 0 {
                self.published.store(Arc::new(self.map.clone()));
            }
        }
        vec![("ns", (cpu_time() - began).as_nanos() as f64)]
    }
}

impl Replaced {
    fn fill(objects: &Objects, _: usize) -> Box<dyn Peer> {
        let mut all: Vec<_> = objects.all.iter().cloned().map(Arc::new).collect();
        all.sort_by_key(|nad| Self::number(nad));
        Box::new(Self(all))
    }

    fn number(nad: &Nad) -> usize {
        let digits = nad.name().rsplit('-').next().expect("a last part");
        digits.parse().expect("a number")
    }
}

impl Peer for Replaced {
    fn apply(&mut self, updates: Vec<Nad>, _: usize) -> Sample {
        let began = cpu_time();
        for nad in updates {
            let at = Self::number(&nad);
            self.0[at] = Arc::new(nad);
        }
        vec![("ns", (cpu_time() - began).as_nanos() as f64)]
    }
}
