//! The keys of values: groups, joins, and several values under one key.

use super::*;

#[tokio::test]
async fn of_several_values_under_one_key_that_of_the_lowest_input_is_shown() {
    let mut inputs = Hand::<Vec<&'static str>>::new("inputs");
    let calls = Calls::default();
    let counted = calls.clone();
    let mut graph = Graph::new("test");
    let input = graph.source(&inputs.informer);
    let shown = graph.map("shown", input, move |keys, _| {
        counted.count();
        keys.iter().map(|name| (*name, Obj::name(keys).to_owned())).collect::<Vec<_>>()
    });
    let graph = graph.start();
    let view = graph.reached(&inputs.set("b", vec!["x", "y"])).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", "b".into()), ("y", "b".into())]));
    assert_eq!((calls.take(), node(&graph, "shown").duplicates), (1, 0));
    // A higher input is not shown.
    let view = graph.reached(&inputs.set("c", vec!["x", "z", "x"])).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", "b".into()), ("y", "b".into()), ("z", "c".into())]));
    assert_eq!((calls.take(), node(&graph, "shown").duplicates), (1, 1));
    // A lower one displaces it.
    let view = graph.reached(&inputs.set("a", vec!["x", "y"])).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", "a".into()), ("y", "a".into()), ("z", "c".into())]));
    assert_eq!((calls.take(), node(&graph, "shown").duplicates), (1, 3));
    // When the winner goes, the next one surfaces, and is computed for it, once.
    let view = graph.reached(&inputs.remove("a")).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", "b".into()), ("y", "b".into()), ("z", "c".into())]));
    assert_eq!((calls.take(), node(&graph, "shown").duplicates), (1, 1));
    // When it returns no value for one key, that one only.
    let view = graph.reached(&inputs.set("b", vec!["y"])).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", "c".into()), ("y", "b".into()), ("z", "c".into())]));
    assert_eq!((calls.take(), node(&graph, "shown").duplicates), (2, 0));
    // All at once.
    let all = ["a", "b", "c", "d"].map(|name| (key(name), Some(vec!["x"])));
    let view = graph.reached(&inputs.apply(all)).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", "a".into())]));
    assert_eq!((calls.take(), node(&graph, "shown").duplicates), (4, 3));
    let view = graph.reached(&inputs.apply([(key("a"), None), (key("b"), None)])).await.unwrap();
    assert_eq!(content(view.of(shown)), of([("x", "c".into())]));
    let none = ["c", "d"].map(|name| (key(name), None));
    assert!(graph.reached(&inputs.apply(none)).await.unwrap().of(shown).is_empty());
    assert_eq!(node(&graph, "shown").duplicates, 0);
}

#[tokio::test]
async fn a_group_has_one_value_or_several_while_it_has_objects() {
    let mut pods = Hand::<&'static str>::new("pods");
    let by_service = pods.index(|service: &&'static str| service.to_string());
    let mut graph = Graph::new("test");
    let pod = graph.source(&pods.informer);
    let counts =
        graph.group_by("counts", pod, by_service, |service, pods, _| (service != "none").then(|| pods.len()));
    let pages = graph.group_by("pages", pod, by_service, |service, pods, _| {
        pods.enumerate()
            .map(|(at, pod)| ((service.clone(), at.to_string()), Obj::name(pod).to_owned()))
            .collect::<Vec<_>>()
    });
    let graph = graph.start();
    let written = pods.apply([
        (key("p1"), Some("a")),
        (key("p2"), Some("a")),
        (key("p3"), Some("b")),
        (key("p4"), Some("none")),
    ]);
    let view = graph.reached(&written).await.unwrap();
    assert_eq!(content(view.of(counts)), of([("a", 2), ("b", 1)]));
    assert_eq!(view.of(pages).len(), 4);
    let view = graph.reached(&pods.set("p1", "b")).await.unwrap();
    assert_eq!(content(view.of(counts)), of([("a", 1), ("b", 2)]));
    let pages = content(view.of(pages));
    assert_eq!(pages[..2], of([("a/0", "p2".to_owned()), ("b/0", "p1".to_owned())]));
    let view = graph.reached(&pods.remove("p2")).await.unwrap();
    assert_eq!(content(view.of(counts)), of([("b", 2)]), "a group without objects is gone");
}

#[tokio::test]
async fn a_join_shows_the_first_collection_that_has_the_key() {
    let mut high = Hand::<u32>::new("high");
    let mut low = Hand::<u32>::new("low");
    let mut graph = Graph::new("test");
    let (a, b) = (graph.source(&high.informer), graph.source(&low.informer));
    let even = graph.filter("even", b, |n| n.is_multiple_of(2));
    let all = graph.join("all", [a, even]);
    let mut changes = graph.informer(all).subscribe();
    let graph = graph.start();
    high.apply([]);
    let written = low.apply([(key("x"), Some(2)), (key("y"), Some(3)), (key("z"), Some(4))]);
    let view = graph.reached(&written).await.unwrap();
    assert_eq!(content(view.of(all)), of([("x", 2), ("z", 4)]));
    assert_eq!(changes.next().await.unwrap().changes().count(), 2);
    let view = graph.reached(&high.apply([(key("x"), Some(1)), (key("z"), Some(4))])).await.unwrap();
    assert_eq!(content(view.of(all)), of([("x", 1), ("z", 4)]));
    let batch = changes.next().await.unwrap();
    let changed: Vec<_> = batch.changes().map(|change| format!("{change:?}")).collect();
    assert!(changed.len() == 1 && changed[0].starts_with("Modified"), "{changed:?}");
    assert_eq!(node(&graph, "all").duplicates, 2);
    graph.reached(&low.set("x", 6)).await.unwrap();
    let view = graph.reached(&high.remove("x")).await.unwrap();
    assert_eq!(content(view.of(all)), of([("x", 6), ("z", 4)]));
    let batch = changes.next().await.unwrap();
    let changed: Vec<_> = batch.changes().map(|change| format!("{change:?}")).collect();
    assert!(changed.len() == 1 && changed[0].starts_with("Modified"), "{changed:?}");
}
