//! An API server in this process, which creates and deletes objects and injects a few faults.

use std::time::Duration;

use kube_client::Client;
use kube_informer::Informer;
use kube_informer::testing::{ApiServer, ApiStatus, Fault, FaultAction, Kind};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

/// The kinds to show.
pub const KINDS: [&str; 3] = ["pods", "deployments.apps", "subnets.kubeovn.io"];

/// The time between two changes.
const STEP: Duration = Duration::from_millis(100);

/// A server, and the task that changes its objects.
pub struct Demo {
    server: ApiServer,
    churn: JoinHandle<Result<(), ApiStatus>>,
}

impl Demo {
    /// # Errors
    ///
    /// When the server rejects the first objects.
    pub fn start() -> Result<Self, ApiStatus> {
        let subnets = Kind::cluster("kubeovn.io", "v1", "Subnet", "subnets");
        let deployments = Kind::namespaced("apps", "v1", "Deployment", "deployments");
        let server = ApiServer::builder()
            .kind(subnets)
            .kind(deployments)
            .bookmark_interval(Duration::from_secs(1))
            .build();
        for number in 0..3 {
            server.create(object("kubeovn.io/v1", "Subnet", &format!("subnet-{number}")))?;
            server.create(object("apps/v1", "Deployment", &format!("web-{number}")))?;
        }
        let churn = tokio::spawn(churn(server.clone()));
        Ok(Self { server, churn })
    }

    pub fn client(&self) -> Client {
        Client::new(self.server.service(), "default")
    }

    pub async fn stop(self) {
        self.churn.abort();
        // Cancelled is as it should be.
        if let Ok(Err(status)) = self.churn.await {
            eprintln!("the demonstration failed: {}", status.message());
        }
    }
}

/// Takes two seconds for each batch, whatever its number of changes.
pub async fn follow_slowly<T: Send + Sync + 'static>(objects: Informer<T>) {
    let mut changes = objects.subscribe();
    while changes.next().await.is_some() {
        sleep(Duration::from_secs(2)).await;
    }
}

async fn churn(server: ApiServer) -> Result<(), ApiStatus> {
    let mut steps = interval(STEP);
    for step in 0_u32.. {
        steps.tick().await;
        let name = format!("pod-{step:04}");
        server.create(object("v1", "Pod", &name))?;
        let label = json!({ "metadata": { "labels": { "step": step.to_string() } } });
        server.merge_patch("deployments.apps", "default", &format!("web-{}", step % 3), label)?;
        if let Some(old) = step.checked_sub(15) {
            server.delete("pods", "default", &format!("pod-{old:04}"))?;
        }
        match step % 50 {
            // A connection breaks: the watch is opened again.
            15 => server.inject(Fault::new(FaultAction::CutStream).verb("watch").resource("pods")),
            // The server drops the history of pods: the informer lists them again.
            35 => server.inject(Fault::new(FaultAction::ErrorEvent(410)).verb("watch").resource("pods")),
            _ => {}
        }
    }
    Ok(())
}

fn object(api_version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } })
}
