//! Limits, set so low that an ordinary server exceeds them.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::Api;
use kube_informer::{Config, Informer, Limits};

use crate::support::{
    follow::{synced, until, until_status},
    objects::{create, set_value, value},
    wire::Wire,
    world::Ctx,
};

const LARGE: usize = 40_000;

/// In a list, streamed or paged, and in a watch.
pub(super) async fn an_object_beyond_the_limit_harms_only_itself(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    create(&direct, "large", &"x".repeat(LARGE)).await?;
    create(&direct, "small", "1").await?;
    for streaming in [true, false] {
        set_value(&direct, "large", &"x".repeat(LARGE)).await?;
        set_value(&direct, "small", "1").await?;
        let wire = Wire::default();
        if !streaming {
            wire.refuse_streaming_lists();
        }
        let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
        let maps = Informer::builder(api)
            .config(Config::new().limits(Limits::new().object_bytes(LARGE / 2)))
            .start();
        let first = synced(&maps).await?;
        ensure!(first.len() == 1 && first.invalid_len() == 1, "{first:?}");
        ensure!(
            first.invalid().all(|invalid| invalid.key().is_some_and(|key| key.name() == "large")),
            "another is invalid"
        );
        set_value(&direct, "large", "shrunk").await?;
        until(&maps, "it heals", |view| view.len() == 2 && view.invalid_len() == 0).await?;
        set_value(&direct, "small", &"y".repeat(LARGE)).await?;
        let grown = until(&maps, "it is invalid", |view| view.invalid_len() == 1).await?;
        let small = grown.get((&*ctx.namespace, "small"));
        ensure!(small.is_some_and(|map| value(map) == "1"), "the last good version is gone");
        ensure!(maps.stats().lists == 1, "it cost another list");
        maps.shutdown().await;
    }
    Ok(())
}

/// A page, and a list of pages.
pub(super) async fn a_list_beyond_the_limits_is_an_error_that_says_so(ctx: &Ctx) -> Result<()> {
    let direct = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    for name in ["a", "b", "c", "d"] {
        create(&direct, name, &"x".repeat(1000)).await?;
    }
    for (limits, says) in [
        (Limits::new().page_bytes(1500), "a page larger than the limit"),
        (Limits::new().pages(2), "more pages than the limit"),
    ] {
        let wire = Wire::default();
        wire.refuse_streaming_lists();
        let api = Api::<ConfigMap>::namespaced(wire.client(ctx.client.clone()), &ctx.namespace);
        let maps = Informer::builder(api)
            .config(Config::new().page_size(if says.starts_with("more") { 1 } else { 500 }).limits(limits))
            .start();
        let status = until_status(&maps, "it fails", |status| status.last_error.is_some()).await?;
        let error = status.last_error.map(|error| error.to_string()).unwrap_or_default();
        ensure!(error.contains(says), "{error:?} does not say {says:?}");
        ensure!(!maps.is_synced() && maps.snapshot().is_empty(), "half a list is shown");
        maps.shutdown().await;
    }
    Ok(())
}
