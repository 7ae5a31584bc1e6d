//! The objects in the API server, and their changes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use kube_client::api::{Patch, PatchParams, PostParams};
use kube_client::{Api, Client};
use kube_core::DynamicObject;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::crds::{self, Crd};
use crate::envtest::TestCluster;
use crate::nads::{key, object, shuffled};

/// Requests at once.
const AT_ONCE: usize = 32;

pub(crate) struct Load {
    client: Client,
    crd: Crd,
    objects: usize,
}

// === impl Load ===

impl Load {
    /// Creates the objects.
    pub(crate) async fn new(cluster: &TestCluster, objects: usize) -> Result<Self> {
        let client = cluster.retrying_client().await?;
        let crd = crds::network_attachment_definitions();
        crds::install(client.clone(), &crd).await?;
        let load = Self { client, crd, objects };
        let namespaces = (0..97).map(|i| {
            json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": &*key(i, "net").namespace },
            })
        });
        load.post_all("/api/v1/namespaces", namespaces.collect()).await?;
        let created = (0..objects).map(|i| {
            let object: DynamicObject = serde_json::from_value(object(i, objects)).expect("an object");
            let nads = load.nads(i);
            async move { nads.create(&PostParams::default(), &object).await }
        });
        stream::iter(created).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
        Ok(load)
    }

    /// That of an account which may do everything, as a pod would have.
    pub(crate) async fn kubeconfig(&self, cluster: &TestCluster) -> Result<PathBuf> {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "peer", "namespace": "default" },
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "peer" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": "peer", "namespace": "default" }],
        });
        self.post_all("/api/v1/namespaces/default/serviceaccounts", vec![account]).await?;
        self.post_all("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", vec![binding]).await?;
        let token = cluster.service_account_token("default", "peer").await?;
        cluster.kubeconfig("peer", &token)
    }

    /// Changes so many random objects in a second. Returns when each change was answered, by version, in nanoseconds
    /// since 1970.
    pub(crate) async fn update(&self, per_second: usize, length: Duration) -> Result<HashMap<u64, u128>> {
        let mut due = interval(Duration::from_secs(1) / per_second as u32);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let free = Arc::new(Semaphore::new(AT_ONCE));
        let (order, began) = (shuffled(self.objects), now());
        let mut writes = JoinSet::new();
        for at in 0..per_second * length.as_secs() as usize {
            due.tick().await;
            let place = free.clone().acquire_owned().await?;
            let nads = self.nads(order[at % self.objects]);
            let name = key(order[at % self.objects], "net").name;
            // No two are the same, so that each is a new version.
            let change =
                json!({ "metadata": { "annotations": { "example.com/change": format!("{began}-{at}") } } });
            writes.spawn(async move {
                let answer = nads.patch(&name, &PatchParams::default(), &Patch::Merge(change)).await;
                drop(place);
                let version = answer?.metadata.resource_version.context("an object without a version")?;
                anyhow::Ok((version.parse()?, now()))
            });
        }
        let mut written = HashMap::with_capacity(writes.len());
        while let Some(write) = writes.join_next().await {
            let (version, at) = write??;
            written.insert(version, at);
        }
        // What was written last is on its way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(written)
    }

    fn nads(&self, i: usize) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &key(i, "net").namespace, &self.crd.resource)
    }

    async fn post_all(&self, path: &str, objects: Vec<Value>) -> Result<()> {
        for object in objects {
            let request = http::Request::post(path)
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(serde_json::to_vec(&object)?)?;
            self.client.request::<Value>(request).await?;
        }
        Ok(())
    }
}

pub(crate) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}
