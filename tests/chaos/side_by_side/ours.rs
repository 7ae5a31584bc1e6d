//! The informers.

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube_client::Api;
use kube_informer::{Config, Informer, Registry, index};

use super::{
    consumer::{Consumer, Lists, Maker, World},
    object::{Difference, GROUP, GROUPS, Kind, Listed, NAMESPACES},
    view,
};

/// So that lists have several pages.
pub(crate) const PAGE: u32 = 100;

/// What is kept by the consumer with a projection.
struct Small {
    group: Option<String>,
}

pub(crate) async fn streaming(world: &World) -> Result<Consumer> {
    let (mut consumer, client) =
        Consumer::new("informer, streaming", Maker::Ours, Lists::Streaming, world).await?;
    consumer.add_informer(Kind::ConfigMap, Informer::builder(Api::<ConfigMap>::all(client)).start());
    Ok(consumer)
}

pub(crate) async fn paged(world: &World) -> Result<Consumer> {
    let (mut consumer, client) = Consumer::new("informer, paged", Maker::Ours, Lists::Paged, world).await?;
    let maps = Informer::builder(Api::<ConfigMap>::all(client))
        .config(Config::new().streaming_lists(false).page_size(PAGE));
    consumer.add_informer(Kind::ConfigMap, maps.start());
    Ok(consumer)
}

/// Two indexes are compared as well.
pub(crate) async fn projected(world: &World) -> Result<Consumer> {
    let (mut consumer, client) =
        Consumer::new("projected, two indexes", Maker::Ours, Lists::Streaming, world).await?;
    let mut maps = Informer::builder(Api::<ConfigMap>::all(client))
        .project(|map: ConfigMap| Small { group: map.metadata.labels.and_then(|mut all| all.remove(GROUP)) });
    let by_namespace = maps.index(index::namespace());
    let by_group = maps.index(|map: &Small| map.group.clone());
    let maps = maps.start();
    consumer.add_informer(Kind::ConfigMap, maps.clone());
    consumer.check(move |truth| {
        let snapshot = maps.snapshot();
        let objects = |such: &dyn Fn(&Listed) -> bool| truth.objects(Kind::ConfigMap, such);
        let namespaces = NAMESPACES.iter().map(|name| {
            let held = snapshot.by_index(&by_namespace, *name).map(view::entry).collect();
            Difference::between(&held, &objects(&|listed| listed.key.namespace() == *name))
        });
        let groups = GROUPS.iter().map(|group| {
            let held = snapshot.by_index(&by_group, *group).map(view::entry).collect();
            Difference::between(&held, &objects(&|listed| listed.group.as_deref() == Some(group)))
        });
        namespaces.chain(groups).sum()
    });
    Ok(consumer)
}

/// Lags are those of the subscriber of a namespace: what leaves an index key and comes back is no write.
pub(crate) async fn scoped(world: &World) -> Result<Consumer> {
    let (mut consumer, client) =
        Consumer::new("scoped subscribers", Maker::Ours, Lists::Streaming, world).await?;
    let mut maps = Informer::builder(Api::<ConfigMap>::all(client));
    let by_group = maps.index(index::label(GROUP));
    let maps = maps.start();
    for name in NAMESPACES {
        let view = consumer.follow(Kind::ConfigMap, Some(name), maps.subscribe().in_namespace(name));
        consumer.views.push(view.clone());
        consumer.check(move |truth| {
            view.difference(&truth.objects(Kind::ConfigMap, |listed| listed.key.namespace() == name))
        });
    }
    for group in GROUPS {
        let changes = maps.subscribe().in_index(&by_group, group.to_owned());
        let view = consumer.follow(Kind::ConfigMap, None, changes);
        consumer.check(move |truth| {
            view.difference(&truth.objects(Kind::ConfigMap, |listed| listed.group.as_deref() == Some(group)))
        });
    }
    consumer.hold(Kind::ConfigMap, maps);
    Ok(consumer)
}

pub(crate) async fn registry(world: &World) -> Result<Consumer> {
    let (mut consumer, client) =
        Consumer::new("registry of three kinds", Maker::Ours, Lists::Streaming, world).await?;
    let registry = Registry::new(client);
    let maps = registry.declare::<ConfigMap>().informer();
    let secrets = registry.declare::<Secret>().informer();
    let accounts = registry.declare::<ServiceAccount>().informer();
    registry.start();
    consumer.add_informer(Kind::ConfigMap, maps);
    consumer.add_informer(Kind::Secret, secrets);
    consumer.add_informer(Kind::ServiceAccount, accounts);
    Ok(consumer)
}
