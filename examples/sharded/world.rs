//! The API server, and the objects on it: in this process by default, or a cluster.

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube_client::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Api, Client, Config};
use kube_informer::client_config;
use kube_informer::testing::{ApiServer, Serving};
use serde_json::json;

use crate::unix::cli::Cli;

/// The label of all objects of a run.
pub const RUN: &str = "example.dev/run";
/// The annotation that the controller owns.
pub const SEEN: &str = "example.dev/seen";
/// The key of the data that the controller copies.
pub const VALUE: &str = "value";

/// The number of namespaces that the objects are in.
const NAMESPACES: u32 = 10;
/// The size of each object besides its metadata, in bytes.
const SIZE: usize = 1024;
/// The number of requests at the same time.
const REQUESTS: usize = 16;
/// The number of objects in a page of a list.
const PAGE: u32 = 2000;

/// See the [module](self). An API server in this process ends when it is dropped.
pub struct World {
    client: Client,
    serving: Option<Serving>,
    run: String,
    objects: u32,
}

/// An object, as the API server has it.
pub struct Found {
    pub key: String,
    pub uid: String,
    pub version: String,
    /// Whether the controller has copied the value.
    pub is_right: bool,
}

/// The namespaces of a run.
pub fn namespace(run: &str, number: u32) -> String {
    format!("sharded-{run}-{number}")
}

/// A client, over a network.
///
/// # Errors
///
/// When the kubeconfig is invalid, or its context was not meant.
pub async fn connect(cli: &Cli) -> anyhow::Result<Client> {
    let config = match &cli.replica.server {
        Some(url) => Config::new(url.parse().context("the URL of the server")?),
        None => {
            let kubeconfig = Kubeconfig::read().context("--cluster")?;
            let context =
                cli.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
            if cli.context.is_none() && !context.starts_with("kind-") {
                bail!("`{context}` is not a kind cluster; to use it, add --context {context}");
            }
            let options = KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .with_context(|| format!("context `{context}`"))?
        }
    };
    Ok(Client::try_from(client_config(config))?)
}

// === impl World ===

impl World {
    /// Starts the API server, or connects to it.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub async fn start(cli: &Cli) -> anyhow::Result<Self> {
        let run = format!("{:06x}", rand::random::<u32>() & 0xff_ffff);
        let (client, serving) = if cli.cluster {
            (connect(cli).await?, None)
        } else {
            let server = ApiServer::builder().shards(!cli.no_filter).build();
            let serving = server.serve().await.context("listen on a loopback port")?;
            (Client::new(server.service(), "default"), Some(serving))
        };
        Ok(Self { client, serving, run, objects: cli.objects })
    }

    /// The arguments of a replica that uses it.
    pub fn arguments(&self) -> Vec<String> {
        let server = self.serving.iter().map(|serving| format!("--server={}", serving.url()));
        server.chain([format!("--run={}", self.run)]).collect()
    }

    pub fn objects(&self) -> u32 {
        self.objects
    }

    /// Creates all objects; `created` is called after each. With `seen`, as if a controller had reconciled them.
    ///
    /// # Errors
    ///
    /// When the API server refuses one.
    pub async fn create_all(&self, seen: bool, created: impl Fn()) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for number in 0..NAMESPACES {
            let metadata = json!({ "name": namespace(&self.run, number), "labels": { RUN: self.run } });
            let namespace = serde_json::from_value(json!({ "metadata": metadata }))?;
            namespaces.create(&PostParams::default(), &namespace).await.context("create a namespace")?;
        }
        stream::iter(0..self.objects)
            .map(|number| self.create(number, seen.then_some("0"), "0"))
            .buffer_unordered(REQUESTS)
            .try_for_each(|()| {
                created();
                async { Ok(()) }
            })
            .await
    }

    /// Gives an object a value.
    ///
    /// # Errors
    ///
    /// When the API server refuses it.
    pub async fn change(&self, number: u32, value: &str) -> anyhow::Result<()> {
        let (api, name) = self.object(number);
        let patch = Patch::Merge(json!({ "data": { VALUE: value } }));
        api.patch(&name, &PatchParams::default(), &patch).await.with_context(|| format!("patch {name}"))?;
        Ok(())
    }

    /// Deletes an object and creates it again, with another uid.
    ///
    /// # Errors
    ///
    /// When the API server refuses it.
    pub async fn replace(&self, number: u32, value: &str) -> anyhow::Result<()> {
        let (api, name) = self.object(number);
        api.delete(&name, &DeleteParams::default()).await.with_context(|| format!("delete {name}"))?;
        self.create(number, None, value).await
    }

    /// All objects.
    ///
    /// # Errors
    ///
    /// When the API server does not return them.
    pub async fn list(&self) -> anyhow::Result<Vec<Found>> {
        let maps: Api<ConfigMap> = Api::all(self.client.clone());
        let mut params = ListParams::default().labels(&format!("{RUN}={}", self.run)).limit(PAGE);
        let mut found = Vec::new();
        loop {
            let page = maps.list(&params).await.context("list the objects")?;
            found.extend(page.items.into_iter().map(Found::from));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// Deletes the namespaces of the run from a cluster.
    ///
    /// # Errors
    ///
    /// When a namespace cannot be deleted.
    pub async fn delete_all(&self) -> anyhow::Result<()> {
        if self.serving.is_some() {
            return Ok(()); // the API server ends with this process
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let labels = format!("{RUN}={}", self.run);
        println!("deleting the namespaces with the label {labels}");
        for namespace in (0..NAMESPACES).map(|number| namespace(&self.run, number)) {
            match namespaces.delete(&namespace, &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube_client::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    let manual = format!("not deleted; use: kubectl delete namespaces -l {labels}");
                    return Err(error).context(manual);
                }
            }
        }
        Ok(())
    }

    fn object(&self, number: u32) -> (Api<ConfigMap>, String) {
        let namespace = namespace(&self.run, number % NAMESPACES);
        (Api::namespaced(self.client.clone(), &namespace), format!("map-{number:06}"))
    }

    async fn create(&self, number: u32, seen: Option<&str>, value: &str) -> anyhow::Result<()> {
        let (api, name) = self.object(number);
        let annotations = seen.map(|seen| json!({ SEEN: seen }));
        let map = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { RUN: self.run }, "annotations": annotations },
            "data": { VALUE: value, "content": "x".repeat(SIZE) },
        }))?;
        api.create(&PostParams::default(), &map).await.with_context(|| format!("create {name}"))?;
        Ok(())
    }
}

impl From<ConfigMap> for Found {
    fn from(map: ConfigMap) -> Self {
        let metadata = map.metadata;
        let seen = metadata.annotations.as_ref().and_then(|annotations| annotations.get(SEEN));
        let value = map.data.as_ref().and_then(|data| data.get(VALUE));
        Self {
            is_right: seen.is_some() && seen == value,
            key: format!("{}/{}", metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default()),
            uid: metadata.uid.unwrap_or_default(),
            version: metadata.resource_version.unwrap_or_default(),
        }
    }
}
