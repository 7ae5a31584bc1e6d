//! The ConfigMap generator that is known from kube-rs, as a whole program: a custom resource that owns ConfigMaps, with
//! a finalizer, Secrets found by an index, probes and metrics.
//!
//! ```text
//! cargo run --example configmapgen
//!
//! generators --changes-> its own key ------------------.
//! ConfigMaps --changes-> its owner --------------------+-> queue -> reconcile -> apply the ConfigMap, if it differs
//! Secrets ----changes-> generators that refer to it --'
//! ```
//!
//! `docs/MIGRATING.md` shows the same beside what kube-runtime needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::core::{NamespaceResourceScope, ObjectMeta, PartialObjectMeta};
use kube::{Api, Client, Resource};
use kube_informer::controller::{Action, Context, Controller, Ended, Event, FinalizerError, changed};
use kube_informer::metrics::Exporter;
use kube_informer::{Informer, Obj, ObjectKey, Registry};
use serde::{Deserialize, Serialize};

// === The kind. With kube's feature `derive`, `#[derive(CustomResource)]` makes all of this but the spec ===

#[derive(Clone, Debug, Deserialize, Serialize)]
struct ConfigMapGenerator {
    metadata: ObjectMeta,
    spec: GeneratorSpec,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct GeneratorSpec {
    /// What the ConfigMap contains.
    content: String,
    /// A Secret in the same namespace. The ConfigMap says which version of it there is.
    secret: String,
}

impl Resource for ConfigMapGenerator {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> std::borrow::Cow<'_, str> {
        "ConfigMapGenerator".into()
    }

    fn group(_: &()) -> std::borrow::Cow<'_, str> {
        "example.dev".into()
    }

    fn version(_: &()) -> std::borrow::Cow<'_, str> {
        "v1".into()
    }

    fn plural(_: &()) -> std::borrow::Cow<'_, str> {
        "configmapgenerators".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

// === The reconcile function ===

/// The metadata of a Secret. No value of a Secret is requested.
type SecretMeta = PartialObjectMeta<Secret>;

/// What all reconciles share.
struct Shared {
    client: Client,
    maps: Informer<ConfigMap>,
    secrets: Informer<SecretMeta>,
    /// Stands for a system outside of the cluster: the garbage collector does not know it, so it needs a cleanup.
    catalogue: Mutex<BTreeSet<ObjectKey>>,
}

async fn reconcile(
    generator: Obj<ConfigMapGenerator>,
    ctx: Context<Shared>,
) -> Result<Action, FinalizerError<kube::Error>> {
    let generators = Api::namespaced(ctx.client.clone(), Obj::namespace(&generator));
    ctx.finalizer(&generators, "example.dev/catalogue", &generator, async |event| match event {
        Event::Apply(generator) => apply(&generator, &ctx).await,
        Event::Cleanup(_) => {
            ctx.catalogue.lock().unwrap_or_else(PoisonError::into_inner).remove(ctx.key());
            Ok(Action::await_change())
        }
    })
    .await
}

async fn apply(generator: &Obj<ConfigMapGenerator>, ctx: &Context<Shared>) -> Result<Action, kube::Error> {
    ctx.catalogue.lock().unwrap_or_else(PoisonError::into_inner).insert(ctx.key().clone());
    let (namespace, name) = (Obj::namespace(generator), Obj::name(generator));
    let secret = ctx.secrets.get((namespace, generator.spec.secret.as_str()));
    let secret = secret.map_or_else(|| "none".into(), |secret| Obj::resource_version(&secret).to_string());
    let data =
        BTreeMap::from([("content".into(), generator.spec.content.clone()), ("secret".into(), secret)]);
    if ctx.maps.get(ctx.key()).is_some_and(|map| map.data.as_ref() == Some(&data)) {
        return Ok(Action::await_change()); // nothing to write, no request
    }
    let owned = ObjectMeta {
        name: Some(name.to_owned()),
        owner_references: generator.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    let map = ConfigMap { metadata: owned, data: Some(data), ..ConfigMap::default() };
    let maps = Api::<ConfigMap>::namespaced(ctx.client.clone(), namespace);
    maps.patch(name, &PatchParams::apply("configmapgen").force(), &Patch::Apply(map)).await?;
    Ok(Action::await_change())
}

// === The glue ===

struct Operator {
    controller: Controller<ConfigMapGenerator>,
    shared: Arc<Shared>,
    registry: Registry,
    exporter: Exporter,
}

impl Operator {
    fn new(client: Client) -> anyhow::Result<Self> {
        let registry = Registry::new(client.clone());
        let generators = registry.declare::<ConfigMapGenerator>();
        let by_secret = generators.index(|generator: &ConfigMapGenerator| {
            Some(ObjectKey::new(generator.metadata.namespace.as_deref()?, &generator.spec.secret))
        })?;
        let maps = registry.declare::<ConfigMap>().informer();
        let secrets = registry.declare::<SecretMeta>().informer();
        let controller = Controller::new(&generators.informer())
            .when(changed::generation().or(changed::finalizers()))
            .owns(&maps)
            .watches_by_index(&secrets, by_secret)
            .concurrency(4);
        registry.start();
        // `record()` comes before each scrape.
        let exporter = Exporter::new().registry(&registry).controller("configmapgen", &controller.handle());
        let shared = Arc::new(Shared { client, maps, secrets, catalogue: Mutex::default() });
        Ok(Self { controller, shared, registry, exporter })
    }

    /// For `/readyz`: all that exists was reconciled once, and no cache is behind for long.
    fn is_ready(&self) -> bool {
        let first_pass = self.controller.handle().stats().first_pass;
        first_pass.is_some() && self.registry.stale(Duration::from_secs(120)).is_empty()
    }

    /// Runs until the signal, then finishes what is in the queue.
    async fn run(&self, signal: impl Future<Output = ()>) -> Result<Ended, kube_informer::Error> {
        let retry = |_, _: &_, _| Action::retry();
        self.controller.run_until(reconcile, retry, self.shared.clone(), signal).await
    }
}

// === The rest is the demonstration: an API server in this process, and changes for the controller to react to ===

use anyhow::Context as _;
use clap::Parser;
use kube_informer::testing::{ApiServer, Kind};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long each step may take.
const WITHIN: Duration = Duration::from_secs(10);

const GENERATORS: &str = "configmapgenerators.example.dev";

/// The ConfigMap generator: a custom resource that owns ConfigMaps, with a finalizer, an index, probes and metrics.
///
/// Runs briefly on an API server in this process, makes changes there, and prints what the controller does.
#[derive(Debug, Parser)]
#[command(name = "configmapgen")]
struct Cli {
    /// Print all metrics at the end
    #[arg(long)]
    metrics: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let kind = Kind::namespaced("example.dev", "v1", "ConfigMapGenerator", "configmapgenerators");
    let server = ApiServer::builder().kind(kind.with_generation()).garbage_collection(true).build();
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    create(&server, "v1", "Secret", "db", json!({}))?;
    for name in ["web", "api"] {
        let spec = json!({ "spec": { "content": format!("settings of {name}"), "secret": "db" } });
        create(&server, "example.dev/v1", "ConfigMapGenerator", name, spec)?;
    }

    println!("the controller starts; there are two generators:");
    let operator = Arc::new(Operator::new(Client::new(server.service(), "default"))?);
    let handle = operator.controller.handle();
    println!("  ready before the first pass: {}", operator.is_ready());
    let (stop, stopped) = oneshot::channel::<()>(); // a real one waits for Ctrl-C or SIGTERM
    let runs = operator.clone();
    let running = tokio::spawn(async move { runs.run(async { drop(stopped.await) }).await });
    timeout(WITHIN, handle.first_pass()).await?;
    println!("  ready after it: {}", operator.is_ready());
    wait_for(&server, "web", |map| map["data"]["content"] == "settings of web").await?;
    let before = wait_for(&server, "api", |map| map["data"]["content"] == "settings of api").await?;

    println!("the Secret changes, which an index finds in both generators:");
    let label = json!({ "metadata": { "labels": { "rotated": "yes" } } });
    server.merge_patch("secrets", "default", "db", label)?;
    for name in ["web", "api"] {
        wait_for(&server, name, |map| map["data"]["secret"] != before["data"]["secret"]).await?;
    }

    println!("someone edits a ConfigMap, and deletes another:");
    server.merge_patch("configmaps", "default", "web", json!({ "data": { "content": "edited" } }))?;
    server.delete("configmaps", "default", "api")?;
    wait_for(&server, "web", |map| map["data"]["content"] == "settings of web").await?;
    wait_for(&server, "api", |map| map["data"]["content"] == "settings of api").await?;

    println!(
        "a generator is deleted: its finalizer cleans up, then the garbage collector deletes its ConfigMap:"
    );
    server.delete(GENERATORS, "default", "web")?;
    wait_until("the generator is gone", || Ok(server.get(GENERATORS, "default", "web").is_err())).await?;
    wait_until("its ConfigMap is gone", || Ok(server.get("configmaps", "default", "web").is_err())).await?;
    let left = operator.shared.catalogue.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!("  the catalogue has {}", left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));

    println!("the controller stops:");
    operator.exporter.record();
    let metrics = prometheus.render();
    drop(stop);
    running.await??;
    let (stats, requests) = (handle.stats(), server.requests());
    println!(
        "  {} reconciles ({} on an old state, repeated); {} GET requests, {} series of metrics",
        stats.succeeded + stats.failed,
        stats.failed,
        requests.sum(|verb, _, _| verb == "get"),
        metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count()
    );
    if cli.metrics {
        println!("{metrics}");
    }
    Ok(())
}

fn create(
    server: &ApiServer,
    api_version: &str,
    kind: &str,
    name: &str,
    mut object: Value,
) -> anyhow::Result<()> {
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"] = json!({ "namespace": "default", "name": name });
    server.create(object)?;
    Ok(())
}

/// Waits until the API server has a ConfigMap that satisfies this, and prints its data.
async fn wait_for(server: &ApiServer, name: &str, right: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let get = || server.get("configmaps", "default", name).ok();
    wait_until("the ConfigMap is right", || Ok(get().as_ref().is_some_and(&right))).await?;
    let map = get().context("it was deleted meanwhile")?;
    println!("  {name}: {}", map["data"]);
    Ok(map)
}

async fn wait_until(what: &'static str, check: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let right = async {
        while !check()? {
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    timeout(WITHIN, right).await.with_context(|| format!("never: {what}"))?
}
