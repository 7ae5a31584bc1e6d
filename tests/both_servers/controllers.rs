//! Controllers: owned objects, finalizers, and their own writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube_client::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube_client::{Api, Client};
use kube_core::{Resource as _, ResourceExt as _};
use kube_informer::controller::{
    Action, Context, Controller, Ended, Event, FinalizerError, Handle, changed, finalizer,
};
use kube_informer::{Informer, Obj, Scope, index};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::support::world::Ctx;

const WITHIN: Duration = Duration::from_secs(60);
const FINALIZER: &str = "example.dev/cleanup";

/// The clients of a controller that keeps a Secret for each ConfigMap.
struct Shared {
    maps: Api<ConfigMap>,
    secrets: Api<Secret>,
    cleaned_up: AtomicUsize,
}

/// Applies a Secret with the content of the map; the map has a finalizer.
async fn keep_secret(
    map: Obj<ConfigMap>,
    ctx: Context<Shared>,
) -> Result<Action, FinalizerError<kube_client::Error>> {
    ctx.finalizer(&ctx.maps, FINALIZER, &map, async |event| match event {
        Event::Apply(map) => {
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": Obj::name(&map), "ownerReferences": [map.controller_owner_ref(&())] },
                "stringData": map.data,
            });
            ctx.secrets
                .patch(Obj::name(&map), &PatchParams::apply("keeper").force(), &Patch::Apply(secret))
                .await?;
            Ok(Action::await_change())
        }
        Event::Cleanup(map) => {
            ctx.cleaned_up.fetch_add(1, SeqCst);
            match ctx.secrets.delete(Obj::name(&map), &DeleteParams::default()).await {
                Err(kube_client::Error::Api(status)) if status.code == 404 => {}
                deleted => drop(deleted?),
            }
            Ok(Action::await_change())
        }
    })
    .await
}

/// Starts it with this client, in the namespace of the case.
fn start(
    ctx: &Ctx,
    client: &Client,
) -> (Arc<Shared>, Handle, JoinHandle<Result<Ended, kube_informer::Error>>) {
    let shared = Arc::new(Shared {
        maps: Api::namespaced(client.clone(), &ctx.namespace),
        secrets: Api::namespaced(client.clone(), &ctx.namespace),
        cleaned_up: AtomicUsize::new(0),
    });
    let scope = Scope::namespace(&ctx.namespace).labels("app=keeper");
    let maps = Informer::builder(Api::<ConfigMap>::all(client.clone())).scope(scope).start();
    let secrets = Informer::builder(Api::<Secret>::namespaced(client.clone(), &ctx.namespace)).start();
    let controller = Controller::new(&maps)
        .when(changed::finalizers().or(changed::by(|map: &ConfigMap| map.data.clone())))
        .owns(&secrets)
        .concurrency(2);
    let (handle, given) = (controller.handle(), shared.clone());
    let run =
        tokio::spawn(async move { controller.run(keep_secret, |_, _, _| Action::retry(), given).await });
    (shared, handle, run)
}

fn map(name: &str, value: &str) -> ConfigMap {
    let map =
        json!({ "metadata": { "name": name, "labels": { "app": "keeper" } }, "data": { "value": value } });
    serde_json::from_value(map).unwrap_or_default()
}

/// Waits until the Secret has this content; `None`: until there is none.
async fn until_secret(secrets: &Api<Secret>, name: &str, value: Option<&str>) -> Result<()> {
    let right = async {
        loop {
            let secret = secrets.get_opt(name).await?;
            let content = secret.and_then(|secret| secret.data?.remove("value"));
            if content.as_ref().map(|content| content.0.as_slice()) == value.map(str::as_bytes) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(WITHIN, right).await.with_context(|| format!("secret {name} is never {value:?}"))?
}

/// A user with exactly the rights that it needs.
pub(super) async fn a_controller_keeps_its_owned_objects_right(ctx: &Ctx) -> Result<()> {
    let user = format!("keeper-{}", ctx.namespace);
    let rule = |resource: &str, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    };
    let rules = vec![
        rule("configmaps", &["list", "watch", "patch"]),
        rule("configmaps/finalizers", &["update"]),
        rule("secrets", &["list", "watch", "patch", "delete", "get", "create"]),
    ];
    ctx.world.set_rights(&user, rules).await?;
    let client = ctx.world.client_of(&user).await?;

    let maps = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let secrets = Api::<Secret>::namespaced(ctx.client.clone(), &ctx.namespace);
    maps.create(&PostParams::default(), &map("first", "1")).await?;
    let (shared, handle, run) = start(ctx, &client);
    let first = timeout(WITHIN, handle.first_pass()).await.context("the first pass never ends")?;
    ensure!((first.keys, first.failed) == (1, 0), "{first:?}: {:?}", handle.stats());
    until_secret(&secrets, "first", Some("1")).await?;

    maps.create(&PostParams::default(), &map("second", "2")).await?;
    until_secret(&secrets, "second", Some("2")).await?;
    let changed = Patch::Merge(json!({ "data": { "value": "3" } }));
    maps.patch("first", &PatchParams::default(), &changed).await?;
    until_secret(&secrets, "first", Some("3")).await?;
    // Somebody else changes and deletes what the controller owns.
    secrets
        .patch("second", &PatchParams::default(), &Patch::Merge(json!({ "stringData": { "value": "x" } })))
        .await?;
    until_secret(&secrets, "second", Some("2")).await?;
    secrets.delete("second", &DeleteParams::default()).await?;
    until_secret(&secrets, "second", Some("2")).await?;

    maps.delete("second", &DeleteParams::default()).await?;
    until_secret(&secrets, "second", None).await?;
    let gone = async {
        while maps.get_opt("second").await?.is_some() {
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(WITHIN, gone).await.context("the finalizer stays")??;
    // More than once if the delete of the Secret queues the map before the delete of the map is received.
    ensure!(shared.cleaned_up.load(SeqCst) >= 1, "it was never cleaned up");
    // None began from an object without the finalizer that it has.
    ensure!(handle.stats().failed == 0, "{:?}", handle.stats());
    handle.stop();
    timeout(WITHIN, run).await.context("the controller never ends")???;
    Ok(())
}

/// An informer of one map, and the map as the cache has it.
async fn cached(ctx: &Ctx, name: &str) -> Result<(Informer<ConfigMap>, Obj<ConfigMap>)> {
    let maps = Informer::builder(Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace)).start();
    timeout(WITHIN, maps.synced()).await??;
    let map = maps.get((ctx.namespace.as_str(), name)).context("the map is not cached")?;
    Ok((maps, map))
}

/// Runs `finalizer` and notes the event.
async fn finalize(
    api: &Api<ConfigMap>,
    map: &Obj<ConfigMap>,
) -> (Option<&'static str>, Result<Action, FinalizerError<std::io::Error>>) {
    let mut event = None;
    let noted = &mut event;
    let result = finalizer(api, FINALIZER, map, async |found| {
        *noted = Some(match found {
            Event::Apply(_) => "apply",
            Event::Cleanup(_) => "cleanup",
        });
        Ok(Action::await_change())
    })
    .await;
    (event, result)
}

pub(super) async fn a_finalizer_is_added_before_anything_is_applied(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    api.create(&PostParams::default(), &map("m", "1")).await?;
    let (maps, plain) = cached(ctx, "m").await?;
    let (event, result) = finalize(&api, &plain).await;
    ensure!(event.is_none() && result? == Action::await_change());
    // The cache is behind: the same object again must not add it twice.
    let (event, result) = finalize(&api, &plain).await;
    ensure!(event.is_none() && matches!(result, Err(FinalizerError::Add(_))), "a stale object was accepted");

    // Another one is kept, wherever it stands.
    let others =
        Patch::Merge(json!({ "metadata": { "finalizers": ["other.dev/x", FINALIZER, "other.dev/y"] } }));
    let written = api.patch("m", &PatchParams::default(), &others).await?;
    let snapshot = timeout(WITHIN, maps.at_least(&written)).await??;
    let with = snapshot.get((ctx.namespace.as_str(), "m")).context("gone")?.clone();
    let (event, result) = finalize(&api, &with).await;
    ensure!(event == Some("apply") && result.is_ok());

    let deleted = api.delete("m", &DeleteParams::default()).await?;
    let deleted = deleted.left().context("it had finalizers")?;
    let snapshot = timeout(WITHIN, maps.at_least(&deleted)).await??;
    let deleting = snapshot.get((ctx.namespace.as_str(), "m")).context("gone")?.clone();
    // Cancelled in the middle, and repeated.
    let cancelled = finalizer(&api, FINALIZER, &deleting, async |_| {
        std::future::pending::<Result<Action, std::io::Error>>().await
    });
    ensure!(timeout(Duration::from_millis(50), cancelled).await.is_err());
    let failing =
        finalizer(&api, FINALIZER, &deleting, async |_| Err(std::io::Error::other("not yet"))).await;
    ensure!(matches!(failing, Err(FinalizerError::Cleanup(_))));
    ensure!(api.get("m").await?.finalizers().len() == 3, "a cleanup that failed removed the finalizer");
    let (event, result) = finalize(&api, &deleting).await;
    ensure!(event == Some("cleanup") && result.is_ok(), "{result:?}");
    ensure!(api.get("m").await?.finalizers() == ["other.dev/x", "other.dev/y"]);

    // The list has changed since: neither of the others is removed.
    let (event, result) = finalize(&api, &deleting).await;
    ensure!(event == Some("cleanup") && matches!(result, Err(FinalizerError::Remove(_))), "{result:?}");
    ensure!(api.get("m").await?.finalizers() == ["other.dev/x", "other.dev/y"]);
    let none = Patch::Merge(json!({ "metadata": { "finalizers": [] } }));
    api.patch("m", &PatchParams::default(), &none).await?;
    let (event, result) = finalize(&api, &deleting).await;
    ensure!(event == Some("cleanup") && result.is_ok(), "an object that is gone is no error: {result:?}");
    Ok(())
}

/// Where the counting ends.
const LIMIT: usize = 30;

/// What the reconciles that count share.
struct Counter {
    api: Api<ConfigMap>,
    last: AtomicUsize,
    /// How many reconciles began from an older version than the last write.
    stale: AtomicUsize,
}

async fn increment(map: Obj<ConfigMap>, ctx: Context<Counter>) -> Result<Action, kube_client::Error> {
    let value = map.data.as_ref().and_then(|data| data.get("value")?.parse::<usize>().ok()).unwrap_or(0);
    if value < ctx.last.load(SeqCst) {
        ctx.stale.fetch_add(1, SeqCst);
    }
    if value < LIMIT {
        let patch = Patch::Merge(json!({ "data": { "value": (value + 1).to_string() } }));
        let written = ctx.api.patch("m", &PatchParams::default(), &patch).await?;
        ctx.last.store(value + 1, SeqCst);
        ctx.written(&written);
    }
    Ok(Action::await_change())
}

/// The reconcile increments a number up to a limit; events of other objects trigger it all the time.
pub(super) async fn a_reconcile_begins_with_its_last_write(ctx: &Ctx) -> Result<()> {
    let client = ctx.client.clone();
    let api = Api::<ConfigMap>::namespaced(client.clone(), &ctx.namespace);
    let secrets_api = Api::<Secret>::namespaced(client.clone(), &ctx.namespace);
    api.create(&PostParams::default(), &map("m", "0")).await?;
    let mut maps = Informer::builder(api.clone()).labels("app=keeper");
    let by_namespace = maps.index(index::namespace());
    let maps = maps.start();
    let secrets = Informer::builder(secrets_api.clone()).start();
    let controller = Controller::new(&maps).watches(&secrets, move |change, world, emit| {
        let hits = world.primary.by_index(&by_namespace, change.key().namespace());
        hits.for_each(|map| emit(Obj::key(map).to_owned()));
    });
    let shared =
        Arc::new(Counter { api: api.clone(), last: AtomicUsize::new(0), stale: AtomicUsize::new(0) });
    let (handle, given) = (controller.handle(), shared.clone());
    let run = tokio::spawn(async move { controller.run(increment, |_, _, _| Action::retry(), given).await });
    let done = async {
        for n in 0.. {
            let secret: Secret = serde_json::from_value(json!({ "metadata": { "name": format!("s{n}") } }))?;
            secrets_api.create(&PostParams::default(), &secret).await?;
            if shared.last.load(SeqCst) == LIMIT {
                break;
            }
        }
        anyhow::Ok(())
    };
    timeout(WITHIN, done).await.context("it never gets there")??;
    let stats = handle.stats();
    ensure!(
        shared.stale.load(SeqCst) == 0,
        "{} reconciles began from an older version",
        shared.stale.load(SeqCst)
    );
    ensure!(stats.write_not_received == 0, "{stats:?}");
    handle.stop();
    timeout(WITHIN, run).await.context("the controller never ends")???;
    Ok(())
}
