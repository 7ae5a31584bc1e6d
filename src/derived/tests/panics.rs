//! Transforms that panic.

use super::*;
use crate::derived::Node;

#[tokio::test]
async fn a_transform_that_panics_keeps_its_last_value_and_what_it_has_read() {
    quiet_panics();
    let mut inputs = Hand::<u32>::new("inputs");
    let mut limits = Hand::<u32>::new("limits");
    let mut graph = Graph::new("test");
    let (input, limit) = (graph.source(&inputs.informer), graph.source(&limits.informer));
    let below = graph.map("below", input, move |n, read| {
        assert!(**n != 66, "asked for by a test");
        let limit = read.get(limit, "limit").map_or(10, |limit| **limit);
        assert!(**n < limit, "asked for by a test");
        Some(**n)
    });
    let graph = graph.start();
    limits.apply([]);
    graph.reached(&inputs.apply([(key("a"), Some(1)), (key("b"), Some(2))])).await.unwrap();
    let view = graph.reached(&inputs.apply([(key("a"), Some(50)), (key("b"), Some(3))])).await.unwrap();
    assert_eq!(content(view.of(below)), of([("a", 1), ("b", 3)]), "and no other object is affected");
    assert_eq!((node(&graph, "below").panics, node(&graph, "below").edges), (1, 2));
    // Once what it has read changes, it is computed again.
    let view = graph.reached(&limits.set("limit", 100)).await.unwrap();
    assert_eq!(content(view.of(below)), of([("a", 50), ("b", 3)]));
    graph.reached(&limits.set("limit", 0)).await.unwrap();
    let view = graph.reached(&inputs.remove("a")).await.unwrap();
    assert_eq!(content(view.of(below)), of([("b", 3)]), "an object that is gone has no last value");
    assert_eq!((node(&graph, "below").panics, node(&graph, "below").edges), (3, 1));
    // One that panics before it reads keeps the reads of before.
    graph.reached(&inputs.set("b", 66)).await.unwrap();
    assert_eq!((node(&graph, "below").panics, node(&graph, "below").edges), (4, 1));
    graph.reached(&limits.set("limit", 100)).await.unwrap();
    assert_eq!(node(&graph, "below").panics, 5);
}

#[tokio::test]
async fn a_runner_up_that_panics_when_it_surfaces_is_passed_over() {
    quiet_panics();
    let mut inputs = Hand::<u32>::new("inputs");
    let panics = Calls::default();
    let panicking = panics.clone();
    let mut graph = Graph::new("test");
    let input = graph.source(&inputs.informer);
    let shown = graph.map("shown", input, move |n, _| {
        assert!(**n != 2 || panicking.0.load(Relaxed) == 0, "asked for by a test");
        vec![("x", **n)]
    });
    let graph = graph.start();
    graph.reached(&inputs.apply([1, 2, 3].map(|n| (key(n), Some(n))))).await.unwrap();
    panics.count();
    let view = graph.reached(&inputs.remove("1")).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", 3)]));
    assert_eq!(node(&graph, "shown").panics, 1);
    panics.take();
    // It is back with its next value.
    let view = graph.reached(&inputs.apply([(key("2"), Some(0))])).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", 0)]));
}

/// Comparing and cloning are application code, too.
#[tokio::test]
async fn a_comparison_or_a_clone_that_panics_keeps_the_last_value() {
    #[derive(Debug)]
    struct Odd(u32);

    impl PartialEq for Odd {
        fn eq(&self, other: &Self) -> bool {
            assert!(other.0 != 13, "asked for by a test");
            self.0 == other.0
        }
    }

    impl Clone for Odd {
        fn clone(&self) -> Self {
            assert!(self.0 != 14, "asked for by a test");
            Self(self.0)
        }
    }

    quiet_panics();
    let mut inputs = Hand::<Odd>::new("inputs");
    let mut graph = Graph::new("test");
    let input = graph.source(&inputs.informer);
    let filtered = graph.filter("filtered", input, |_| true);
    let joined = graph.join("joined", [input]);
    let graph = graph.start();
    let mut expected = 1;
    for n in [1, 13, 2, 14, 3] {
        let view = graph.reached(&inputs.set("a", Odd(n))).await.unwrap();
        expected = if n > 10 { expected } else { n };
        assert_eq!(view.of(filtered).get("a").unwrap().0, expected);
        assert_eq!(view.of(joined).get("a").unwrap().0, expected);
    }
    assert_eq!((node(&graph, "filtered").panics, node(&graph, "joined").panics), (2, 2));
}

/// It is given a handle of another graph, or of a later node, by detours.
#[tokio::test]
async fn a_node_that_the_transform_cannot_read_is_a_panic_of_the_transform() {
    quiet_panics();
    let mut inputs = Hand::<u32>::new("inputs");
    let mut other = Graph::new("other");
    let foreign = other.source(&inputs.informer);
    let mut graph = Graph::new("test");
    let later = Arc::new(std::sync::OnceLock::<Node<u32>>::new());
    let input = graph.source(&inputs.informer);
    graph.map("foreign", input, move |n, read| read.get(foreign, n).map(|n| **n));
    let known = later.clone();
    graph.map("later", input, move |n, read| read.get(*known.get().unwrap(), n).map(|n| **n));
    later.set(graph.map("last", input, |n, _| Some(**n))).unwrap();
    let graph = graph.start();
    let view = graph.reached(&inputs.set("a", 1)).await.unwrap();
    assert_eq!(graph.stats().nodes.iter().map(|node| node.panics).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(view.of(*later.get().unwrap()).len(), 1);
}

#[tokio::test]
#[should_panic(expected = "the node belongs to another graph")]
async fn a_node_of_another_graph_cannot_be_an_input() {
    let inputs = Hand::<u32>::new("inputs");
    let foreign = Graph::new("other").source(&inputs.informer);
    Graph::new("test").map("foreign", foreign, |n, _| Some(**n));
}

#[tokio::test]
#[should_panic(expected = "the index is of another collection")]
async fn an_index_of_another_collection_cannot_group() {
    let mut inputs = Hand::<u32>::new("inputs");
    let by_number = inputs.index(|n: &u32| n.to_string());
    let mut graph = Graph::new("test");
    let input = graph.source(&inputs.informer);
    let copy = graph.map("copy", input, |n, _| Some(**n));
    graph.group_by("group", copy, by_number, |_, hits, _| Some(hits.len()));
}
