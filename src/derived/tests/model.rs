//! Random histories of two sources: after each barrier, every node equals what plain collections compute from nothing,
//! and so does what its subscription has delivered.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::Selector;
use crate::index;
use crate::subscribe::{Change, Subscription};

#[derive(Clone, Debug, PartialEq)]
struct Pod {
    group: u8,
    link: u8,
    n: u8,
}

#[derive(Clone, Debug)]
enum Op {
    Pods(Vec<(u8, Option<Pod>)>),
    Links(Vec<(u8, Option<u8>)>),
    /// The graph may run a tick, or a part of one.
    Yield(u8),
    Barrier,
}

type Linked = (u8, u8);
type Counted = (usize, usize, usize);
type Content<T> = BTreeMap<String, T>;

/// What a graph of every kind of node has.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    linked: Content<Linked>,
    many: Content<(String, u8)>,
    counted: Content<Counted>,
    grouped: Content<(u32, Option<Counted>)>,
    paged: Content<u8>,
    joined: Content<u32>,
    total: Content<(usize, u32)>,
    selecting: Content<Vec<String>>,
    duplicates: usize,
}

// === The transforms, of plain values ===

fn linked(pod: &Pod, link: Option<u8>) -> Option<Linked> {
    (link.is_some() || pod.n.is_multiple_of(2)).then(|| (pod.n, link.unwrap_or_default()))
}

fn many(name: &str, pod: &Pod) -> Vec<(String, (String, u8))> {
    let low = (pod.link < 3).then(|| format!("k{}", pod.link));
    [Some(format!("k{}", pod.n % 4)), low]
        .into_iter()
        .flatten()
        .map(|key| (key, (name.to_owned(), pod.n)))
        .collect()
}

fn counted(link: u8, group: &[u8], linked: usize) -> Option<Counted> {
    (link != 7).then(|| (group.len(), group.iter().map(|n| usize::from(*n)).sum(), linked))
}

/// The selector of a link, if it has one.
fn selector(link: u8) -> Option<String> {
    match link % 6 {
        0 => Some(format!("group={}", link % 3)),
        1 => Some("group=1,link notin (2,3)".to_owned()),
        2 => Some(String::new()),
        3 => None,
        4 => Some("link in (1,2),group".to_owned()),
        _ => Some("!group".to_owned()),
    }
}

/// The labels of a pod.
fn labels(pod: &Pod) -> Vec<(&'static str, String)> {
    let group = (pod.n != 8).then(|| ("group", pod.group.to_string()));
    group.into_iter().chain([("link", pod.link.to_string())]).collect()
}

/// Whether the selector of the link matches the labels of the pod.
fn selects(link: u8, pod: &Pod) -> bool {
    let group = (pod.n != 8).then_some(pod.group);
    match link % 6 {
        0 => group == Some(link % 3),
        1 => group == Some(1) && ![2, 3].contains(&pod.link),
        2 => true,
        3 => false,
        4 => group.is_some() && [1, 2].contains(&pod.link),
        _ => group.is_none(),
    }
}

/// All of it from nothing. The order of the pods is that of their keys.
fn from_nothing(pods: &Content<Pod>, links: &Content<u8>) -> Contents {
    let mut all = Contents::default();
    let mut claims: BTreeSet<(String, String)> = BTreeSet::new();
    for (name, pod) in pods {
        let link = links.get(&pod.link.to_string()).copied();
        all.linked.extend(linked(pod, link).map(|value| (name.clone(), value)));
        for (key, value) in many(name, pod) {
            claims.insert((key.clone(), name.clone()));
            all.many.entry(key).or_insert(value);
        }
    }
    all.duplicates = claims.len() - all.many.len();
    let of_group = |group: u8| pods.values().filter(move |pod| pod.group == group);
    for (name, link) in links {
        let group: Vec<u8> = of_group(link % 3).map(|pod| pod.n).collect();
        let same = all.linked.values().filter(|(_, of)| of == link).count();
        all.counted.extend(counted(*link, &group, same).map(|value| (name.clone(), value)));
    }
    for group in 0..3 {
        if let Some(first) = of_group(group).next() {
            let sum = of_group(group).map(|pod| u32::from(pod.n)).sum();
            let counted = all.counted.get(&first.link.to_string()).copied();
            all.grouped.insert(group.to_string(), (sum, counted));
        }
    }
    for (name, (n, link)) in &all.linked {
        all.paged.insert(format!("{link}/{name}"), *n);
    }
    let numbers = || all.linked.iter().map(|(name, (n, _))| (name.clone(), u32::from(*n)));
    all.joined.extend(numbers());
    all.joined.extend(all.counted.iter().map(|(name, counted)| (name.clone(), counted.1 as u32)));
    all.joined.extend(numbers().filter(|(_, n)| n.is_multiple_of(2)));
    for (name, pod) in pods {
        let selecting = links.iter().filter(|(_, link)| selects(**link, pod));
        all.selecting.insert(name.clone(), selecting.map(|(name, _)| name.clone()).collect());
    }
    for name in links.keys() {
        let sum = all.many.values().map(|(_, n)| u32::from(*n)).sum();
        all.total.insert(name.clone(), (all.many.len(), sum));
    }
    all
}

// === The same as a graph ===

struct Followed<T> {
    subscription: Subscription<T>,
    replayed: Content<T>,
}

impl<T: Clone + Send + Sync + std::fmt::Debug + PartialEq + 'static> Followed<T> {
    fn new(graph: &mut Graph, node: crate::derived::Node<T>) -> Self {
        Self { subscription: graph.informer(node).subscribe(), replayed: Content::new() }
    }

    /// The content of the view, which what was delivered amounts to.
    fn content(&mut self, view: &View<T>) -> Content<T> {
        while let Some(Some(batch)) = self.subscription.next().now_or_never() {
            for change in &batch {
                let key = change.key().to_string();
                match change {
                    Change::Added(new) => assert!(self.replayed.insert(key, T::clone(new)).is_none()),
                    Change::Modified { new, .. } => {
                        assert!(self.replayed.insert(key, T::clone(new)).is_some());
                    }
                    Change::Deleted(_) => assert!(self.replayed.remove(&key).is_some()),
                    other => panic!("{other:?} of a derived collection"),
                }
            }
        }
        let content: Content<T> = content(view).into_iter().collect();
        assert_eq!(self.replayed, content, "what was delivered");
        content
    }
}

async fn run(ops: Vec<Op>) {
    let (mut pods, mut links) = (Hand::<Pod>::new("pods"), Hand::<u8>::new("links"));
    let by_group = pods.index(|pod: &Pod| pod.group);
    let by_group_name = pods.index(|pod: &Pod| pod.group.to_string());
    let by_selector =
        links.index(index::selector(|link: &u8| selector(*link).map(|text| text.parse::<Selector>())));
    let mut graph = Graph::new("model").checked();
    let (pod, link) = (graph.source(&pods.informer), graph.source(&links.informer));

    let linked = graph.map("linked", pod, move |pod, read| {
        linked(pod, read.get(link, pod.link.to_string()).map(|link| **link))
    });
    let by_link = graph.index(linked, |linked: &Linked| linked.1);
    let by_link_name = graph.index(linked, |linked: &Linked| linked.1.to_string());
    let many = graph.map("many", pod, |pod, _| many(Obj::name(pod), pod));
    let counted = graph.map("counted", link, move |link, read| {
        let group: Vec<u8> = read.by_index(pod, &by_group, &(**link % 3)).map(|pod| pod.n).collect();
        counted(**link, &group, read.by_index(linked, &by_link, &**link).len())
    });
    let grouped = graph.group_by("grouped", pod, by_group_name, move |_, mut pods, read| {
        let sum = pods.clone().map(|pod| u32::from(pod.n)).sum();
        let counted = read.get(counted, pods.next()?.link.to_string());
        Some((sum, counted.map(|counted| **counted)))
    });
    let paged = graph.group_by("paged", linked, by_link_name, |link, members, _| {
        members.map(|member| ((link.clone(), Obj::name(member).to_owned()), member.0)).collect::<Vec<_>>()
    });
    let numbers = graph.map("numbers", linked, |linked, _| Some(u32::from(linked.0)));
    let sums = graph.map("sums", counted, |counted, _| Some(counted.1 as u32));
    let even = graph.filter("even", numbers, |n| n.is_multiple_of(2));
    let joined = graph.join("joined", [even, sums, numbers]);
    let total = graph.map("total", link, move |_, read| {
        let many = read.scan(many);
        Some((many.len(), many.iter().map(|one| u32::from(one.1)).sum()))
    });

    let selecting = graph.map("selecting", pod, move |pod, read| {
        let found = read.selecting(link, &by_selector, "", labels(pod));
        Some(found.map(|link| Obj::name(link).to_owned()).collect::<Vec<_>>())
    });

    let mut follow_linked = Followed::new(&mut graph, linked);
    let mut follow_many = Followed::new(&mut graph, many);
    let mut follow_counted = Followed::new(&mut graph, counted);
    let mut follow_grouped = Followed::new(&mut graph, grouped);
    let mut follow_paged = Followed::new(&mut graph, paged);
    let mut follow_joined = Followed::new(&mut graph, joined);
    let mut follow_total = Followed::new(&mut graph, total);
    let mut follow_selecting = Followed::new(&mut graph, selecting);
    let graph = graph.start();

    let (mut all_pods, mut all_links) = (Content::new(), Content::new());
    pods.apply([]);
    links.apply([]);
    for op in ops.into_iter().chain([Op::Barrier]) {
        match op {
            Op::Pods(changes) => {
                changes.iter().for_each(|(at, pod)| note(&mut all_pods, *at, pod));
                pods.apply(changes.into_iter().map(|(at, pod)| (key(at), pod)));
            }
            Op::Links(changes) => {
                changes.iter().for_each(|(at, link)| note(&mut all_links, *at, link));
                links.apply(changes.into_iter().map(|(at, link)| (key(at), link)));
            }
            Op::Yield(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
            Op::Barrier => {
                graph.reached(&pods.informer.snapshot()).await.unwrap();
                let view = graph.reached(&links.informer.snapshot()).await.unwrap();
                let found = Contents {
                    linked: follow_linked.content(view.of(linked)),
                    many: follow_many.content(view.of(many)),
                    counted: follow_counted.content(view.of(counted)),
                    grouped: follow_grouped.content(view.of(grouped)),
                    paged: follow_paged.content(view.of(paged)),
                    joined: follow_joined.content(view.of(joined)),
                    total: follow_total.content(view.of(total)),
                    selecting: follow_selecting.content(view.of(selecting)),
                    duplicates: node(&graph, "many").duplicates as usize,
                };
                assert_eq!(found, from_nothing(&all_pods, &all_links));
            }
        }
    }
    pods.apply((0..10).map(|at| (key(at), None)));
    graph.reached(&pods.informer.snapshot()).await.unwrap();
    graph.reached(&links.apply((0..6).map(|at| (key(at), None)))).await.unwrap();
    for node in graph.stats().nodes {
        assert_eq!((node.edges, node.duplicates, node.panics), (0, 0, 0), "{node}");
    }
}

fn note<T: Clone>(all: &mut Content<T>, at: u8, value: &Option<T>) {
    match value {
        Some(value) => all.insert(at.to_string(), value.clone()),
        None => all.remove(&at.to_string()),
    };
}

fn op() -> impl Strategy<Value = Op> {
    let pod = (0..3_u8, 0..6_u8, 0..9_u8).prop_map(|(group, link, n)| Pod { group, link, n });
    let pods = vec((0..10_u8, proptest::option::weighted(0.7, pod)), 1..6);
    let links = vec((0..6_u8, proptest::option::weighted(0.7, 0..9_u8)), 1..3);
    prop_oneof![
        4 => pods.prop_map(Op::Pods),
        3 => links.prop_map(Op::Links),
        2 => (1..4_u8).prop_map(Op::Yield),
        2 => Just(Op::Barrier),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_node_equals_a_computation_from_nothing(ops in vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(ops));
    }
}
