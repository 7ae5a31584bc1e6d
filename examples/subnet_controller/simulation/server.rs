//! The API server of the simulation: in this process, on threads of its own, so that its CPU time is not counted as
//! the controller's.

use anyhow::{Context as _, anyhow};
use kube_informer::testing::{ApiServer, Kind, Serving};
use serde_json::Value;
use tokio::runtime::{self, Runtime};

use super::model::Write;

/// The name of all threads that are not the controller's.
pub const THREADS: &str = "api-server";

/// See the [module](self). Dropped, it stops.
pub struct Server {
    api: ApiServer,
    serving: Serving,
    runtime: Option<Runtime>,
}

// === impl Server ===

impl Server {
    /// Starts an empty server on a free loopback port.
    ///
    /// # Errors
    ///
    /// When it cannot start a thread or bind a port.
    pub fn start() -> anyhow::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(THREADS)
            .enable_all()
            .build()
            .context("start the API server's thread")?;
        let api = ApiServer::builder()
            .without_built_ins()
            .kind(Kind::namespaced("", "v1", "Pod", "pods").built_in().with_status())
            .kind(Kind::cluster("kubeovn.io", "v1", "Subnet", "subnets").with_status())
            .kind(Kind::namespaced(
                "k8s.cni.cncf.io",
                "v1",
                "NetworkAttachmentDefinition",
                "network-attachment-definitions",
            ))
            .build();
        let (sender, receiver) = std::sync::mpsc::channel();
        let serve = api.clone();
        runtime.spawn(async move {
            let _gone = sender.send(serve.serve().await);
        });
        let serving = receiver.recv()?.context("listen on a loopback port")?;
        Ok(Self { api, serving, runtime: Some(runtime) })
    }

    pub fn url(&self) -> String {
        self.serving.url()
    }

    /// Applies a change inside the server, and returns a version of its kind that includes it.
    ///
    /// # Errors
    ///
    /// When the server would return one.
    pub fn apply(&self, write: Write) -> anyhow::Result<u64> {
        let before = self.api.resource_version();
        let (what, answer) = match write {
            Write::Create(object) => ("create an object".to_owned(), self.api.create(object)),
            Write::Patch { resource, namespace, name, patch } => {
                let answer = self.api.merge_patch(resource, namespace.as_deref(), &name, patch);
                (format!("patch {resource} {name}"), answer)
            }
            Write::Delete { resource, namespace, name } => {
                let answer = self.api.delete(resource, namespace.as_deref(), &name);
                (format!("delete {resource} {name}"), answer)
            }
        };
        let answer = answer.map_err(|status| anyhow!("{what} in the simulation's server: {status}"))?;
        // The response to a deletion has no resourceVersion. It is at most the next one: there is no other client that
        // deletes.
        let version = answer["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
        Ok(version.unwrap_or(before + 1))
    }

    /// All objects of a resource.
    ///
    /// # Errors
    ///
    /// When the server does not serve it.
    pub fn objects(&self, resource: &str) -> anyhow::Result<Vec<Value>> {
        let mut list =
            self.api.list(resource, None).map_err(|status| anyhow!("list {resource}: {status}"))?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(anyhow!("list {resource}: no items")),
        }
    }

    /// The number of requests so far: reads and writes.
    pub fn requests(&self) -> (u64, u64) {
        let requests = self.api.requests();
        (requests.reads(), requests.writes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not waiting for its threads: this may be an async context.
            runtime.shutdown_background();
        }
    }
}
