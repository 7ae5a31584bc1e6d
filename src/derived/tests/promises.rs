use super::hand::Hand;
use crate::derived::Graph;
use crate::object::Obj;

#[tokio::test]
async fn a_map_reads_another_collection_by_key() {
    let mut pods = Hand::<String>::new("pods");
    let mut nodes = Hand::<u32>::new("nodes");
    let mut graph = Graph::new("test");
    let (pod, node) = (graph.source(&pods.informer), graph.source(&nodes.informer));
    let zones =
        graph.map("zones", pod, move |pod, read| Some(read.get(node, pod.as_str()).map_or(0, |node| **node)));
    let informer = graph.informer(zones);
    let graph = graph.start();
    nodes.set("a", 1);
    assert_eq!(graph.not_synced(), ["pods"]);
    let written = pods.set("p", "a".to_owned());
    let view = graph.reached(&written).await.unwrap();
    assert_eq!(view.of(zones).get("p").map(|zone| **zone), Some(1));
    let view = graph.reached(&nodes.set("a", 2)).await.unwrap();
    assert_eq!(view.of(zones).get("p").map(|zone| **zone), Some(2));
    assert_eq!(informer.snapshot().get("p").map(Obj::resource_version).unwrap(), "2".into());
    let view = graph.reached(&nodes.remove("a")).await.unwrap();
    assert_eq!(view.of(zones).get("p").map(|zone| **zone), Some(0));
    let view = graph.reached(&pods.remove("p")).await.unwrap();
    assert!(view.of(zones).is_empty());
    assert_eq!(graph.stats().nodes[0].edges, 0);
    println!("{graph:?}");
    graph.shutdown().await;
}
