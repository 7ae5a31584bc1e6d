//! A graph of derived collections over the three informers of a registry, compared with a computation from nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use kube_informer::derived::{Graph, GraphView, Node, Reads, RunningGraph};
use kube_informer::{Index, Informer, Obj, ObjectKey, Snapshot};
use tokio::time::timeout;

use crate::checks::ensure;
use crate::kind::Kept;

/// How long the graph may take once its sources are current; no time passes while it computes.
const SOON: Duration = Duration::from_secs(1);

/// What is derived of an object: reads of the two other sources, one by key and one by index.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    group: String,
    number: u64,
    /// The number of the object with this key in the second source.
    same: Option<u64>,
    /// How many objects of the third source are in its group.
    beside: usize,
}

/// The sum of a group, and the objects of the whole second source.
#[derive(Debug, PartialEq)]
struct Sum {
    numbers: u64,
    beside: usize,
    all: usize,
}

pub(crate) struct Derived {
    graph: RunningGraph,
    sources: [Node<Kept>; 3],
    seen: Node<Seen>,
    odd: Node<Seen>,
    joined: Node<Seen>,
    sums: Node<Sum>,
    informers: [Informer<Kept>; 3],
    by_group: [Index<Kept, String>; 3],
    tick: u64,
}

impl Derived {
    pub(crate) fn start(sources: [(&Informer<Kept>, Index<Kept, String>); 3]) -> Self {
        let mut graph = Graph::new("model");
        let informers = sources.map(|(informer, _)| informer.clone());
        let by_group = sources.map(|(_, by_group)| by_group);
        let nodes = informers.each_ref().map(|informer| graph.source(informer));
        let seen = graph.map("seen", nodes[0], move |kept: &Obj<Kept>, read: &Reads<'_>| {
            Some(Seen {
                group: kept.group.clone(),
                number: kept.number,
                same: read.get(nodes[1], Obj::key(kept)).map(|other| other.number),
                beside: read.by_index(nodes[2], &by_group[2], &kept.group).len(),
            })
        });
        let odd = graph.filter("odd", seen, |seen| seen.number % 2 == 1);
        let third = graph.map("third", nodes[2], |kept: &Obj<Kept>, _: &Reads<'_>| {
            Some(Seen { group: kept.group.clone(), number: kept.number, same: None, beside: 0 })
        });
        let joined = graph.join("joined", [odd, third]);
        let by_seen = graph.index(joined, |seen: &Seen| seen.group.clone());
        let sums = graph.group_by("sums", joined, by_seen, move |_, seen, read| {
            let (mut numbers, mut beside) = (0, 0);
            for one in seen {
                numbers += one.number;
                beside += one.beside;
            }
            Some(Sum { numbers, beside, all: read.scan(nodes[1]).len() })
        });
        Self { graph: graph.start(), sources: nodes, seen, odd, joined, sums, informers, by_group, tick: 0 }
    }

    /// Checks the newest view.
    pub(crate) fn look(&mut self) -> Result<(), String> {
        let view = self.graph.view();
        ensure(view.tick() >= self.tick, || format!("tick {} after {}", view.tick(), self.tick))?;
        self.tick = view.tick();
        self.check(&view)
    }

    /// Every collection is what the sources of the same view give.
    fn check(&self, view: &GraphView) -> Result<(), String> {
        if !view.is_synced() {
            let empty = view.of(self.seen).is_empty() && view.of(self.sums).is_empty();
            return ensure(empty, || "a graph that is not synced has objects".to_owned());
        }
        let [first, second, third] = self.sources.map(|node| view.of(node));
        let seen = first.iter().map(|kept| {
            let same = second.get(Obj::key(kept)).map(|other| other.number);
            let beside = third.by_index(&self.by_group[2], &kept.group).len();
            let seen = Seen { group: kept.group.clone(), number: kept.number, same, beside };
            (Obj::key(kept).to_owned(), seen)
        });
        let seen: BTreeMap<_, _> = seen.collect();
        same("seen", view.of(self.seen), &seen)?;
        let odd: BTreeMap<_, _> = seen.into_iter().filter(|(_, seen)| seen.number % 2 == 1).collect();
        same("odd", view.of(self.odd), &odd)?;
        let mut joined: BTreeMap<_, _> = third
            .iter()
            .map(|kept| {
                let seen = Seen { group: kept.group.clone(), number: kept.number, same: None, beside: 0 };
                (Obj::key(kept).to_owned(), seen)
            })
            .collect();
        joined.extend(odd);
        same("joined", view.of(self.joined), &joined)?;
        let mut sums: BTreeMap<ObjectKey, Sum> = BTreeMap::new();
        for seen in joined.values() {
            let sum = sums.entry(ObjectKey::new("", &seen.group)).or_insert(Sum {
                numbers: 0,
                beside: 0,
                all: second.len(),
            });
            sum.numbers += seen.number;
            sum.beside += seen.beside;
        }
        same("sums", view.of(self.sums), &sums)
    }

    /// Waits until the graph has what its sources have.
    pub(crate) async fn settle(&mut self) -> Result<(), String> {
        for informer in &self.informers {
            let reached = timeout(SOON, self.graph.reached(&informer.snapshot())).await;
            let view = reached.map_err(|_| "the graph does not reach its sources".to_owned())?;
            self.check(&*view.map_err(|error| format!("the graph: {error}"))?)?;
        }
        self.look()
    }

    pub(crate) async fn shut_down(self) -> Result<(), String> {
        timeout(SOON, self.graph.shutdown()).await.map_err(|_| "the graph does not end".to_owned())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    name: &str,
    kept: &Snapshot<T>,
    plain: &BTreeMap<ObjectKey, T>,
) -> Result<(), String> {
    for (key, value) in plain {
        let found = kept.get(key);
        ensure(found.is_some_and(|found| **found == *value), || format!("{name} {key}: not {value:?}"))?;
    }
    ensure(kept.len() == plain.len(), || format!("{name}: {} and not {}", kept.len(), plain.len()))
}
