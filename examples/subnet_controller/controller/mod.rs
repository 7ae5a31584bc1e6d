//! The subnet controller. **Copy this folder**: it uses nothing else of this example.
//!
//! ```text
//! nads    -subscription-> its providers -> their subnets --.
//! pods    -subscription-> its networks --> their subnets ---+-> queue -> N workers -> status patch, if it differs
//! subnets -subscription-> new spec or gone ----------------'
//! ```
//!
//! Read in this order: `types` (the kinds, as the API server has them), `nad` and `pod` (the part of each object that
//! the cache keeps), `caches` (informers and indexes), `triggers` (from a change to the keys to reconcile), `reconcile`
//! (reads snapshots, writes if needed) and `status` with `cidr` (the desired status, without I/O).
//! `nad_source` exists for the comparison: a controller of your own needs only its `Cached` side.

mod caches;
mod cidr;
mod nad;
mod nad_source;
mod observe;
mod pod;
mod reconcile;
mod status;
mod triggers;
mod types;

use std::sync::Arc;
use std::time::Duration;

use kube_client::{Api, Client};
use kube_informer::ObjectKey;
use kube_informer::queue::{Failure, Options, WorkQueue, Workers, workers_with_hook};
use tokio::task::JoinSet;

use self::reconcile::Worker;

pub use self::caches::Caches;
pub use self::nad::Nad;
pub use self::nad_source::NadSource;
pub use self::observe::{Observe, Outcome, Run};
pub use self::pod::PodNetworks;
pub use self::reconcile::{Brief, ReconcileError};
pub use self::status::desired_status;
pub use self::types::{LOGICAL_SWITCH, NetworkAttachmentDefinition, Pod, Subnet, SubnetStatus};

/// A running controller. Dropping it stops it at once; [`shutdown`](Self::shutdown) stops it gracefully.
pub struct Controller {
    pub caches: Caches,
    pub queue: WorkQueue<ObjectKey>,
    triggers: JoinSet<()>,
    workers: Workers<ObjectKey>,
}

/// Settings of the controller.
pub struct Settings {
    pub nad_source: NadSource,
    /// The number of reconciles that run at the same time.
    pub workers: usize,
    /// Compute the statuses, but write none.
    pub dry_run: bool,
}

// === impl Controller ===

impl Controller {
    /// Starts the triggers and the workers. The caches must have synced.
    pub fn start(client: &Client, caches: Caches, settings: Settings, observe: impl Observe) -> Self {
        // A reconcile fails only if a request fails: retry soon at first, then less often, at most every 30 s.
        let backoff = Options::new().backoff(Duration::from_millis(20), Duration::from_secs(30));
        let queue = WorkQueue::with_options(backoff);
        let mut triggers = JoinSet::new();
        triggers.spawn(triggers::subnets(caches.clone(), queue.clone(), observe.clone()));
        triggers.spawn(triggers::nads(caches.clone(), queue.clone(), observe.clone()));
        triggers.spawn(triggers::pods(caches.clone(), queue.clone(), observe.clone()));
        let worker = Arc::new(Worker {
            caches: caches.clone(),
            subnets: Api::all(client.clone()),
            nad_source: settings.nad_source,
            dry_run: settings.dry_run,
            observe: observe.clone(),
        });
        let reconcile = move |key: ObjectKey| {
            let worker = worker.clone();
            async move { worker.reconcile(&key).await }
        };
        let failed = move |key: &ObjectKey, failure: Failure<'_, ReconcileError>| match failure {
            Failure::Error(error) => observe.failed(key.name(), Some(error)),
            _ => observe.failed(key.name(), None),
        };
        let workers = workers_with_hook(&queue, settings.workers, reconcile, failed);
        Self { caches, queue, triggers, workers }
    }

    /// Stops the triggers, lets the workers drain the queue for at most `within`, and stops the informers.
    pub async fn shutdown(mut self, within: Duration) {
        self.triggers.shutdown().await;
        // The next start finds the statuses that are still wrong: its first batch queues every subnet.
        let _unfinished = self.workers.shutdown(within).await;
        self.caches.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use kube_informer::testing::{ApiServer, Kind};
    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone)]
    struct Silent;

    impl Observe for Silent {
        fn reconciled(&self, _: &Run<'_>) {}

        fn failed(&self, _: &str, _: Option<&ReconcileError>) {}
    }

    fn subnet(name: &str, provider: &str) -> Value {
        json!({"apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": name},
            "spec": {"cidrBlock": "10.0.0.0/24", "provider": provider}})
    }

    fn reason(subnet: &Subnet) -> Option<&str> {
        Some(subnet.status.as_ref()?.conditions.first()?.reason.as_str())
    }

    /// Waits until the subnet's condition has this reason.
    async fn comes_to(caches: &Caches, name: &str, wanted: &str) {
        let such =
            caches.subnets.wait_until(|view| view.get(name).is_some_and(|its| reason(its) == Some(wanted)));
        let came = tokio::time::timeout(Duration::from_secs(60), such).await;
        came.unwrap_or_else(|_| panic!("{name} is not {wanted}: {:?}", caches.subnets.get(name))).unwrap();
    }

    /// A cluster without Multus serves no NADs; Multus can be installed later.
    #[tokio::test(start_paused = true)]
    async fn without_nads_it_serves_the_default_network_and_the_others_once_they_come() {
        let server = ApiServer::builder()
            .kind(Kind::namespaced("", "v1", "Pod", "pods").built_in().with_status())
            .kind(Kind::cluster("kubeovn.io", "v1", "Subnet", "subnets").with_status())
            .build();
        for (name, provider) in [("default", "ovn"), ("one", "net1.default.ovn"), ("two", "net2.default.ovn")]
        {
            server.create(subnet(name, provider)).unwrap();
        }
        let client = Client::new(server.service(), "default");
        let caches = Caches::start(&client).await.unwrap();
        let settings = Settings { nad_source: NadSource::Cached, workers: 2, dry_run: false };
        let controller = Controller::start(&client, caches.clone(), settings, Silent);
        comes_to(&caches, "default", "Ready").await;
        for name in ["one", "two"] {
            comes_to(&caches, name, "NoNetworkAttachmentDefinition").await;
        }
        let before = caches.subnets.get("two").unwrap();

        let kind = "NetworkAttachmentDefinition";
        server
            .install(Kind::namespaced("k8s.cni.cncf.io", "v1", kind, "network-attachment-definitions"))
            .unwrap();
        server
            .create(json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": kind,
                "metadata": {"name": "net1", "namespace": "default"},
                "spec": {"config": json!({"type": "kube-ovn"}).to_string()}}))
            .unwrap();
        comes_to(&caches, "one", "Ready").await;
        assert_eq!(caches.nads.get(("default", "net1")).unwrap().cni_type.as_deref(), Ok("kube-ovn"));
        assert!(
            caches.subnets.snapshot().get("two").is_some_and(|now| kube_informer::Obj::ptr_eq(now, &before))
        );
        assert_eq!(server.requests().count("patch", "subnets.kubeovn.io/status"), 4);
        controller.shutdown(Duration::from_secs(5)).await;
    }
}
