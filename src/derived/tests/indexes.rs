//! Indexes of derived collections, declared and added later, and what a derived informer cannot do.

use k8s_openapi::api::core::v1::Pod;

use super::*;

#[tokio::test]
async fn a_derived_informer_has_what_every_informer_has() {
    let mut numbers = Hand::<u32>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let copy = graph.map("copy", number, |n, _| Some(**n));
    let by_parity = graph.index(copy, |n: &u32| n % 2);
    let copies = graph.informer(copy);
    let graph = graph.start();
    assert!(!copies.is_synced());
    let view = graph.reached(&numbers.apply((0..10).map(|n| (key(n), Some(n))))).await.unwrap();
    copies.synced().await.unwrap();
    assert!(copies.status().synced && copies.status().stale_since.is_none());
    assert_eq!(copies.snapshot().by_index(&by_parity, &1).len(), 5);
    assert_eq!((copies.name(), copies.stats().objects, copies.stats().revision), ("copy", 10, 1));

    // An index that is added later is in the view, too; the tick stays.
    let by_third = copies.add_index(|n: &u32| n % 3).await.unwrap();
    assert_eq!(copies.snapshot().by_index(&by_third, &0).len(), 4);
    assert_eq!((graph.view().of(copy).by_index(&by_third, &0).len(), graph.view().tick()), (4, view.tick()));
    let view = graph.reached(&numbers.set("1", 3)).await.unwrap();
    assert_eq!(view.of(copy).by_index(&by_third, &0).len(), 5);

    let written = Pod {
        metadata: kube_core::ObjectMeta { resource_version: Some("1".into()), ..Default::default() },
        ..Pod::default()
    };
    assert!(copies.at_least(&written).await.unwrap_err().is_version_unordered());
    assert!(copies.refresh().await.unwrap_err().is_unsupported());
    let sum = copies.wait_until(|view| view.len() == 9);
    numbers.remove("1");
    assert_eq!(sum.await.unwrap().len(), 9);
}

/// Objects do not have the keys of an index that was added after them.
#[tokio::test]
async fn a_read_by_an_index_that_was_added_later_is_followed() {
    let mut others = Hand::<u32>::new("others");
    others.apply((0..10).map(|n| (key(n), Some(n))));
    let by_parity = others.add_index(|n: &u32| n % 2).await;
    let mut names = Hand::<u32>::new("names");
    let mut graph = Graph::new("test");
    let (name, other) = (graph.source(&names.informer), graph.source(&others.informer));
    let calls = Calls::default();
    let counted = calls.clone();
    let found = graph.map("found", name, move |n, read| {
        counted.count();
        Some(read.by_index(other, &by_parity, &**n).len())
    });
    let graph = graph.start();
    graph.reached(&names.apply([(key("even"), Some(0)), (key("odd"), Some(1))])).await.unwrap();
    assert_eq!(calls.take(), 2);
    let view = graph.reached(&others.remove("1")).await.unwrap();
    assert_eq!(content(view.of(found)), of([("even", 5), ("odd", 4)]));
    assert_eq!(calls.take(), 1);
    let view = graph.reached(&others.set("2", 1)).await.unwrap();
    assert_eq!(content(view.of(found)), of([("even", 4), ("odd", 5)]));
    assert_eq!(calls.take(), 2);
}

#[tokio::test]
async fn an_index_that_panics_makes_one_value_invalid() {
    quiet_panics();
    let mut numbers = Hand::<u32>::new("numbers");
    let mut graph = Graph::new("test");
    let number = graph.source(&numbers.informer);
    let copy = graph.map("copy", number, |n, _| Some(**n));
    let by_number = graph.index(copy, |n: &u32| {
        assert!(*n != 13, "asked for by a test");
        *n
    });
    let graph = graph.start();
    graph.reached(&numbers.apply([(key("a"), Some(1)), (key("b"), Some(2))])).await.unwrap();
    let view = graph.reached(&numbers.set("a", 13)).await.unwrap();
    assert_eq!((content(view.of(copy)), view.of(copy).invalid_len()), (of([("a", 1), ("b", 2)]), 1));
    assert_eq!(view.of(copy).by_index(&by_number, &1).len(), 1);
    // The stored value is the right one again.
    let view = graph.reached(&numbers.set("a", 1)).await.unwrap();
    assert_eq!(view.of(copy).invalid_len(), 0);
}
