//! Derived collections of what an API server serves.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::Api;
use kube_informer::derived::{Graph, GraphView};
use kube_informer::{Informer, Obj};
use serde_json::json;
use std::sync::Arc;
use tokio::time::timeout;

use crate::support::{
    follow::{SOON, next},
    objects::{config_map, create_many, merge, value},
    wire::Wire,
    world::Ctx,
};

fn group(map: &ConfigMap) -> Option<String> {
    map.metadata.labels.as_ref()?.get("group").cloned()
}

/// The barrier, after writes of each kind.
pub(super) async fn a_derived_value_has_ones_own_write(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let maps = Informer::builder(direct.clone()).start();
    let mut graph = Graph::new("groups");
    let map = graph.source(&maps);
    let limits = graph.filter("limits", map, |map| Obj::name(map) == "limit");
    let members = graph.map("members", map, |map, _| group(map));
    let by_group = graph.index(members, |group: &String| group.clone());
    let namespace = ctx.namespace.clone();
    let counts = graph.group_by("counts", members, by_group, move |_, members, read| {
        let limit = read.get(limits, (&namespace, "limit")).and_then(|limit| value(limit).parse().ok());
        Some(members.len().min(limit.unwrap_or(usize::MAX)))
    });
    let informer = graph.informer(counts);
    let graph = graph.start();
    let count = |view: &GraphView, group: &str| view.of(counts).get(group).map(|count| **count);

    for number in 1..=5 {
        let labels = json!({ "labels": { "group": "a" } });
        let created =
            direct.create(&Default::default(), &config_map(&format!("m{number}"), labels, "x")?).await?;
        let view = reached(&graph, &maps, &created).await?;
        ensure!(count(&view, "a") == Some(number), "after write {number}: {view:?}");
        ensure!(informer.get("a").map(|count| *count) == Some(number), "the informer is behind its view");
    }
    let moved = merge(&direct, "m1", json!({ "metadata": { "labels": { "group": "b" } } })).await?;
    let view = reached(&graph, &maps, &moved).await?;
    ensure!((count(&view, "a"), count(&view, "b")) == (Some(4), Some(1)), "{view:?}");
    let limit = direct.create(&Default::default(), &config_map("limit", json!({}), "3")?).await?;
    let view = reached(&graph, &maps, &limit).await?;
    ensure!((count(&view, "a"), count(&view, "b")) == (Some(3), Some(1)), "{view:?}");
    direct.delete("m1", &Default::default()).await?;
    let key = (ctx.namespace.as_str(), "m1");
    let gone = timeout(SOON, maps.wait_until(|maps| maps.get(key).is_none())).await??;
    let view = timeout(SOON, graph.reached(&gone)).await??;
    ensure!((count(&view, "a"), count(&view, "b")) == (Some(3), None), "{view:?}");
    graph.shutdown().await;
    Ok(())
}

async fn reached(
    graph: &kube_informer::derived::RunningGraph,
    maps: &Informer<ConfigMap>,
    written: &ConfigMap,
) -> Result<Arc<GraphView>> {
    let snapshot = timeout(SOON, maps.at_least(written)).await.context("the write did not arrive")??;
    Ok(timeout(SOON, graph.reached(&snapshot)).await.context("the graph did not reach it")??)
}

/// A relist finds a change and a delete that no watch has shown; nothing else is computed.
pub(super) async fn a_relist_computes_only_what_it_has_found(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create_many(&direct, 40).await?;
    let wire = Wire::default();
    let maps =
        Informer::builder(Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace))
            .start();
    let mut graph = Graph::new("lengths");
    let map = graph.source(&maps);
    let lengths = graph.map("lengths", map, |map, _| Some(value(map).len()));
    let lengths = graph.informer(lengths);
    let graph = graph.start();
    let mut changes = lengths.subscribe();
    next(&mut changes).await?;
    let before = graph.stats().nodes[0].recomputed;

    wire.cut();
    direct.delete("object-0007", &Default::default()).await?;
    merge(&direct, "object-0008", json!({ "data": { "value": "longer" } })).await?;
    ctx.world.compact().await?;
    let last = merge(&direct, "object-0009", json!({ "data": { "value": "longer" } })).await?;
    wire.mend();
    reached(&graph, &maps, &last).await?;
    let batch = next(&mut changes).await?;
    let changed: Vec<_> = batch.changes().map(|change| change.key().name().to_owned()).collect();
    ensure!(changed.len() == 3, "the relist was seen in parts, or too much of it: {changed:?}");
    let computed = graph.stats().nodes[0].recomputed - before;
    ensure!(computed == 2, "{computed} computed");
    graph.shutdown().await;
    Ok(())
}
