//! O(changes), and equal values that change nothing.

use super::*;

#[tokio::test]
async fn one_change_among_100_000_objects_computes_only_who_has_read_it() {
    const OBJECTS: usize = 100_000;
    let mut pods = Hand::<usize>::new("pods");
    let mut nodes = Hand::<usize>::new("nodes");
    let by_rack = nodes.index(|rack: &usize| *rack);
    let calls = [(); 4].map(|()| Calls::default());
    let [by_key, by_index, plain, grouped] = calls.clone();
    let mut graph = Graph::new("test");
    let (pod, node_) = (graph.source(&pods.informer), graph.source(&nodes.informer));
    let zones = graph.map("by key", pod, move |pod, read| {
        by_key.count();
        read.get(node_, (**pod % 1_000).to_string()).map(|rack| (**pod, **rack))
    });
    graph.map("by index", pod, move |pod, read| {
        by_index.count();
        Some(read.by_index(node_, &by_rack, &(**pod % 2_000)).len())
    });
    graph.map("plain", zones, move |zone, _| {
        plain.count();
        Some(zone.1)
    });
    let by_number = graph.index(zones, |zone: &(usize, usize)| (zone.0 % 100).to_string());
    graph.group_by("grouped", zones, by_number, move |_, zones, _| {
        grouped.count();
        Some(zones.map(|zone| zone.1).sum::<usize>())
    });
    let graph = graph.start();
    nodes.apply((0..1_000).map(|at| (key(at), Some(at))));
    let written = pods.apply((0..OBJECTS).map(|at| (key(at), Some(at))));
    graph.reached(&written).await.unwrap();
    assert_eq!(calls.each_ref().map(Calls::take), [OBJECTS, OBJECTS, OBJECTS, 100], "the first tick");

    // A node that 100 pods read; the rack that it leaves, and the one that it joins.
    graph.reached(&nodes.set("7", 1_500)).await.unwrap();
    assert_eq!(calls.each_ref().map(Calls::take), [100, 100, 100, 1]);
    // A node that no pod reads, in a rack that 50 pods read.
    graph.reached(&nodes.set("a", 1_501)).await.unwrap();
    assert_eq!(calls.each_ref().map(Calls::take), [0, 50, 0, 0]);
    // One pod.
    graph.reached(&pods.set("5", 77)).await.unwrap();
    assert_eq!(calls.each_ref().map(Calls::take), [1, 1, 1, 2]);
    graph.reached(&pods.remove("5")).await.unwrap();
    assert_eq!(calls.each_ref().map(Calls::take), [0, 0, 0, 1]);
}

#[tokio::test]
async fn an_equal_value_keeps_its_allocation_and_tells_no_one() {
    let mut numbers = Hand::<u64>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let half = graph.map("half", number, |n, _| Some(**n / 2));
    let calls = Calls::default();
    let counted = calls.clone();
    graph.map("after", half, move |n, _| {
        counted.count();
        Some(**n)
    });
    let halves = graph.informer(half);
    let graph = graph.start();
    graph.reached(&numbers.set("a", 4)).await.unwrap();
    assert_eq!(calls.take(), 1);
    let (before, mut changes) = (halves.snapshot(), halves.subscribe());
    assert_eq!(changes.next().await.unwrap().changes().count(), 1);
    let view = graph.reached(&numbers.set("a", 5)).await.unwrap();
    assert_eq!(view.tick(), 2);
    assert!(Obj::ptr_eq(before.get("a").unwrap(), view.of(half).get("a").unwrap()));
    assert_eq!(halves.snapshot().revision(), before.revision(), "nothing was published");
    assert_eq!((calls.take(), node(&graph, "half").suppressed), (0, 1));
    // The next batch has the next change, and none before it.
    graph.reached(&numbers.set("b", 1)).await.unwrap();
    let batch = changes.next().await.unwrap();
    assert_eq!(batch.changes().map(|change| change.key().to_string()).collect::<Vec<_>>(), ["b"]);
}

/// A key that is not there and a group without objects are read, too.
#[tokio::test]
async fn what_was_not_found_is_a_dependency() {
    let mut names = Hand::<String>::new("names");
    let mut others = Hand::<String>::new("others");
    let by_text = others.index(|text: &String| text.clone());
    let mut graph = Graph::new("test");
    let (name, other) = (graph.source(&names.informer), graph.source(&others.informer));
    // Each reads in one way only.
    let by_key = graph
        .map("by key", name, move |name, read| Some(read.get(other, ("namespace", name.as_str())).is_some()));
    let by_index = graph
        .map("by index", name, move |name, read| Some(read.by_index(other, &by_text, name.as_str()).len()));
    let whole = graph.map("whole", name, move |_, read| Some(read.scan(other).len()));
    let graph = graph.start();
    others.apply([]);
    graph.reached(&names.set("n", "x".to_owned())).await.unwrap();
    let steps = [
        ((key("x"), Some("y")), (true, 0, 1)),
        ((key("y"), Some("x")), (true, 1, 2)),
        ((key("x"), None), (false, 1, 1)),
        ((key("y"), None), (false, 0, 0)),
        ((ObjectKey::new("namespace", "x"), Some("")), (true, 0, 1)),
    ];
    for ((key, text), expected) in steps {
        let written = others.apply([(key, text.map(str::to_owned))]);
        let view = graph.reached(&written).await.unwrap();
        let found = view.of(by_key).get("n").zip(view.of(by_index).get("n")).zip(view.of(whole).get("n"));
        assert_eq!(found.map(|((a, b), c)| (**a, **b, **c)), Some(expected));
    }
}

/// 1,000 rounds of objects that come, read, change and go leave no edges and no claims.
#[tokio::test]
async fn no_edge_is_left_of_what_is_gone() {
    let mut numbers = Hand::<u64>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let many = graph.map("many", number, move |n, read| {
        let _ = read.get(number, (**n % 10).to_string());
        vec![((**n % 3).to_string(), **n), ((**n % 4).to_string(), **n)]
    });
    let by_number = graph.index(many, |n: &u64| n.to_string());
    graph.group_by("group", many, by_number, move |_, hits, read| {
        hits.for_each(|hit| assert!(read.scan(many).get(hit).is_some()));
        Some(0)
    });
    graph.join("join", [many, number]);
    let graph = graph.checked().start();
    for round in 0..1_000_u64 {
        numbers.apply((0..10).map(|at| (key(at), Some(at * round % 17))));
        graph.reached(&numbers.apply((0..5).map(|at| (key(at), None)))).await.unwrap();
        if round % 100 == 0 {
            graph.reached(&numbers.apply((0..10).map(|at| (key(at), None)))).await.unwrap();
            for node in graph.stats().nodes {
                assert_eq!((node.edges, node.duplicates), (0, 0), "{node}");
            }
        }
    }
}
