//! kube-runtime's reflector.

use anyhow::Result;
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::Api;
use kube_runtime::{WatchStreamExt as _, reflector, watcher, watcher::Event};

use super::{
    consumer::{Consumer, Lists, Maker, World, objects},
    object::{Difference, Held, Kind, key},
    ours::PAGE,
};

pub(crate) async fn paged(world: &World) -> Result<Consumer> {
    let settings = watcher::Config::default().page_size(PAGE);
    start("kube-runtime, paged", Lists::Paged, settings, world).await
}

pub(crate) async fn streaming(world: &World) -> Result<Consumer> {
    let settings = watcher::Config::default().streaming_lists();
    start("kube-runtime, streaming", Lists::Streaming, settings, world).await
}

async fn start(
    name: &'static str,
    lists: Lists,
    settings: watcher::Config,
    world: &World,
) -> Result<Consumer> {
    let (mut consumer, client) = Consumer::new(name, Maker::KubeRuntime, lists, world).await?;
    let (store, writer) = reflector::store();
    let events = watcher(Api::<ConfigMap>::all(client), settings).default_backoff().reflect(writer);
    let view = consumer.view(Kind::ConfigMap, None);
    let (seen, read) = (view.clone(), store.clone());
    consumer.spawn(async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(object)) => seen.there(key(&object), Held::of(&object)),
                Ok(Event::Delete(object)) => seen.gone(key(&object)),
                // Until then the store holds what it held before the list.
                Ok(Event::InitDone) => seen.listed(objects(read.state())),
                Ok(Event::Init | Event::InitApply(_)) | Err(_) => {}
            }
        }
    });
    consumer.kinds = 1;
    let checked = store.clone();
    consumer.check(move |truth| Difference::between(&objects(checked.state()), &truth.all(Kind::ConfigMap)));
    consumer.check({
        let view = view.clone();
        move |truth| view.difference(&truth.all(Kind::ConfigMap))
    });
    consumer.views.push(view);
    consumer.wait(async move { Ok(store.wait_until_ready().await?) });
    Ok(consumer)
}
