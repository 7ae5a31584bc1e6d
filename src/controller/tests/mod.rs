//! Controllers on the in-process API server, on a paused clock.

mod changed;
mod ends;
mod failures;
mod finalizer;
mod first_pass;
#[cfg(feature = "shard")]
mod sharded;
mod triggers;
mod written;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube_client::{Api, Client};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Action, Context, Controller, Ended, Handle, Subject};
use crate::error::Error;
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::testing::ApiServer;

const SECOND: Duration = Duration::from_secs(1);
/// On the paused clock, a test that waits for what never comes fails at once.
const HOUR: Duration = Duration::from_secs(3600);

type Reconciled = Result<Action, std::io::Error>;

/// An API server and the informers of a test.
struct Bench {
    server: ApiServer,
    client: Client,
    maps: Informer<ConfigMap>,
    secrets: Informer<Secret>,
}

/// What reconciles have seen, in their order: key and value.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Sight>>>);

/// The name of an object, and its value unless it is gone.
type Sight = (String, Option<String>);

impl Bench {
    fn new() -> Self {
        let server = ApiServer::new();
        let client = Client::new(server.service(), "default");
        let maps = Informer::builder(Api::<ConfigMap>::all(client.clone())).start();
        let secrets = Informer::builder(Api::<Secret>::all(client.clone())).start();
        Self { server, client, maps, secrets }
    }

    fn api(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), "default")
    }

    fn map(&self, name: &str, value: &str) -> Value {
        self.server.create(map(name, value)).unwrap()
    }

    fn change(&self, name: &str, value: &str) {
        let patch = json!({ "data": { "value": value } });
        self.server.merge_patch("configmaps", "default", name, patch).unwrap();
    }

    fn secret(&self, name: &str) {
        let metadata = json!({ "namespace": "default", "name": name });
        self.server.create(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata })).unwrap();
    }
}

impl Seen {
    fn push(&self, key: &ObjectKey, map: Option<&Obj<ConfigMap>>) {
        self.0.lock().unwrap().push((key.name().to_owned(), map.map(value)));
    }

    /// Takes what was seen since the last call.
    fn take(&self) -> Vec<Sight> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The names that were seen since the last call, in their order.
    fn names(&self) -> Vec<String> {
        self.take().into_iter().map(|(name, _)| name).collect()
    }
}

fn map(name: &str, value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "value": value },
        "metadata": { "namespace": "default", "name": name } })
}

fn value(map: &Obj<ConfigMap>) -> String {
    map.data.as_ref().and_then(|data| data.get("value").cloned()).unwrap_or_default()
}

/// Runs a controller whose reconciles only note what they see.
fn observe<S>(controller: Controller<ConfigMap, S>, seen: &Seen) -> JoinHandle<Result<Ended, Error>>
where
    S: Subject<ConfigMap> + AsMap,
{
    let seen = seen.clone();
    spawn(controller, move |object: S, ctx| {
        seen.push(ctx.key(), object.as_map());
        async { Reconciled::Ok(Action::await_change()) }
    })
}

/// Runs a controller in a task. Errors are retried with backoff.
fn spawn<S, F, Fut>(controller: Controller<ConfigMap, S>, reconcile: F) -> JoinHandle<Result<Ended, Error>>
where
    S: Subject<ConfigMap>,
    F: Fn(S, Context<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Reconciled> + Send + 'static,
{
    tokio::spawn(async move { controller.run(reconcile, |_, _, _| Action::retry(), Arc::new(())).await })
}

trait AsMap {
    fn as_map(&self) -> Option<&Obj<ConfigMap>>;
}

impl AsMap for Obj<ConfigMap> {
    fn as_map(&self) -> Option<&Obj<ConfigMap>> {
        Some(self)
    }
}

impl AsMap for Option<Obj<ConfigMap>> {
    fn as_map(&self) -> Option<&Obj<ConfigMap>> {
        self.as_ref()
    }
}

/// Lets everything happen that needs no more than a few seconds.
async fn settle() {
    tokio::time::sleep(5 * SECOND).await;
}

async fn first_pass(handle: &Handle) -> super::FirstPass {
    timeout(HOUR, handle.first_pass()).await.expect("the first pass ends")
}

async fn ended(run: JoinHandle<Result<Ended, Error>>) -> Result<Ended, Error> {
    timeout(HOUR, run).await.expect("the run ends").expect("and does not panic")
}

/// Counts names.
fn counts(names: Vec<String>) -> BTreeMap<String, usize> {
    names.into_iter().fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}
