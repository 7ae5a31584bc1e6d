//! Which selectors select this pod: an index of selectors beside scans of them.
//!
//! ```sh
//! cargo bench --bench selectors              # 10,000 selectors, 100,000 pods; a table
//! cargo bench --bench selectors -- --test    # does it work? 500 selectors, 2,000 pods
//! ```
//!
//! | peer | what a look-up evaluates |
//! |---|---|
//! | `selecting_object` | the selectors that require a label of the pod: `View::selecting_object` |
//! | `scan of its namespace` | all selectors of the pod's namespace, found by an index: what client-go's listers offer |
//! | `scan of all` | all selectors |
//!
//! Each peer answers for pods in the same shuffled order, in short rounds of all peers in turn; the ratio is the median
//! of those within a round. All answers are compared, pod by pod, before anything is measured. Two worlds: selectors
//! that apply in one of 100 namespaces, and the same that apply in all.

mod clock;

use std::hint::black_box;
use std::time::Duration;

use comfy_table::Table;
use k8s_openapi::api::core::v1::Pod;
use kube_core::{ObjectMeta, metadata::PartialObjectMeta};
use kube_informer::index::{self, IndexSet, SelectorKey, Selects};
use kube_informer::{Index, Obj, Selector, Snapshot};
use rand::rngs::StdRng;
use rand::{SeedableRng, seq::SliceRandom};

use clock::cpu_time;

const NAMESPACES: usize = 100;

type Meta = PartialObjectMeta<Pod>;

struct World {
    selectors: Snapshot<Selector>,
    by_selector: Index<Selector, SelectorKey>,
    by_namespace: Index<Selector, String>,
    /// Whether a selector applies in its namespace only.
    namespaced: bool,
    pods: Snapshot<Meta>,
}

type Peer = (&'static str, fn(&World, &Obj<Meta>) -> usize);

const PEERS: [Peer; 3] = [
    ("selecting_object", |world, pod| world.selectors.selecting_object(&world.by_selector, pod).count()),
    ("scan of its namespace", |world, pod| {
        let selectors = world.selectors.by_index(&world.by_namespace, Obj::namespace(pod));
        selectors.filter(|selector| selector.selects(&**pod)).count()
    }),
    ("scan of all", |world, pod| {
        let here =
            |selector: &Obj<Selector>| !world.namespaced || Obj::namespace(selector) == Obj::namespace(pod);
        world.selectors.iter().filter(|selector| here(selector) && selector.selects(&**pod)).count()
    }),
];

fn main() {
    // `cargo test --benches` and `cargo bench -- --test` only want to know whether it works.
    let smoke = std::env::args().any(|arg| arg == "--test") || !std::env::args().any(|arg| arg == "--bench");
    let (selectors, pods, rounds) = if smoke { (500, 2_000, 3) } else { (10_000, 100_000, 31) };
    let mut table = Table::new();
    table.set_header(["selectors apply in", "peer", "us per pod", "ratio"]);
    for namespaced in [true, false] {
        let world = World::new(selectors, pods, namespaced);
        let peers: Vec<Peer> =
            PEERS.into_iter().filter(|(name, _)| namespaced || !name.contains("namespace")).collect();
        let order = world.shuffled();
        world.check(&peers, &order[..order.len() / 50]);
        let mut at = 0;
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); peers.len()];
        for _ in 0..rounds {
            for ((_, count), times) in peers.iter().zip(&mut times) {
                times.push(world.time(*count, &order, &mut at));
            }
        }
        for ((name, _), mine) in peers.iter().zip(&times) {
            let ratios = mine.iter().zip(&times[0]).map(|(mine, first)| mine / first).collect();
            let scope = if namespaced { "one of 100 namespaces" } else { "all namespaces" };
            let (time, ratio) = (median(mine.clone()), median(ratios));
            table.add_row([
                scope.to_owned(),
                (*name).to_owned(),
                format!("{time:.2}"),
                format!("{ratio:.0}"),
            ]);
        }
    }
    println!("{selectors} selectors, {pods} pods\n{table}");
}

// === impl World ===

impl World {
    fn new(selectors: usize, pods: usize, namespaced: bool) -> Self {
        let mut indexes = IndexSet::new();
        let by_selector = indexes.index(index::selector(move |selector: &Selector| {
            let selects = Selects::from(selector.clone());
            if namespaced { selects } else { selects.in_all_namespaces() }
        }));
        let by_namespace = indexes.index(index::namespace());
        let apps = selectors;
        let selectors = (0..selectors).map(|at| {
            // Of ten: six of one label, three of several, and one that requires no value.
            let text = match at % 10 {
                0..6 => format!("app=app-{at}"),
                6 | 7 => format!("app=app-{at},part-of=shop,tier"),
                8 => format!("app in (app-{at},app-{}),!canary", at - 1),
                _ => format!("rare-{},tier!=batch", at % 1000),
            };
            ((namespace(at), format!("policy-{at}")), text.parse().expect("a selector"))
        });
        let selectors = Snapshot::from_objects(indexes, selectors);
        let pods = (0..pods).map(|at| {
            let name = format!("pod-{at}");
            ((namespace(at % apps), name.clone()), pod(name, &format!("app-{}", at % apps)))
        });
        let pods = Snapshot::from_objects(IndexSet::new(), pods);
        Self { selectors, by_selector, by_namespace, namespaced, pods }
    }

    fn shuffled(&self) -> Vec<&Obj<Meta>> {
        let mut pods: Vec<_> = self.pods.iter().collect();
        pods.shuffle(&mut StdRng::seed_from_u64(7));
        pods
    }

    /// Compares the answers of all peers, and checks that most pods are selected.
    fn check(&self, peers: &[Peer], pods: &[&Obj<Meta>]) {
        let mut found = 0;
        for pod in pods {
            let counts: Vec<usize> = peers.iter().map(|(_, count)| count(self, pod)).collect();
            assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?} for {pod:?}");
            found += counts[0];
        }
        assert!(found > pods.len() / 2, "{found} for {} pods", pods.len());
    }

    /// Microseconds of CPU time per pod, in a slice of some milliseconds that goes on where the last one ended.
    fn time(&self, count: fn(&Self, &Obj<Meta>) -> usize, pods: &[&Obj<Meta>], at: &mut usize) -> f64 {
        let begun = cpu_time();
        let mut done = 0;
        while cpu_time() - begun < Duration::from_millis(8) {
            for _ in 0..8 {
                black_box(count(self, pods[*at % pods.len()]));
                *at += 1;
            }
            done += 8;
        }
        (cpu_time() - begun).as_secs_f64() * 1e6 / f64::from(done)
    }
}

fn namespace(at: usize) -> String {
    format!("namespace-{}", at % NAMESPACES)
}

/// Six labels, as pods have.
fn pod(name: String, app: &str) -> Meta {
    let labels = [
        ("app", app),
        ("part-of", "shop"),
        ("tier", "front"),
        ("pod-template-hash", "6d4cf56db6"),
        ("version", "v1"),
        ("team", "blue"),
    ];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let metadata = ObjectMeta { name: Some(name), labels: Some(labels.into()), ..ObjectMeta::default() };
    Meta { metadata, ..Meta::default() }
}

/// The CPU time of this thread.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
