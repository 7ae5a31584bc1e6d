//! The subnet controller. **Copy this folder**: it uses nothing else of this example.
//!
//! ```text
//! nads    -changes-> its providers -> their subnets --.
//! pods    -changes-> its networks --> their subnets ---+-> queue -> reconcile -> status patch, if it differs
//! subnets -changes-> new spec or gone ----------------'
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
use kube_informer::Error;
use kube_informer::controller::{self, Action, Context, Handle, Options, changed};
use tokio::task::JoinSet;

use self::reconcile::{Shared, reconcile};

pub use self::caches::Caches;
pub use self::nad::Nad;
pub use self::nad_source::NadSource;
pub use self::observe::{Observe, Outcome, Run};
pub use self::pod::PodNetworks;
pub use self::reconcile::{Brief, ReconcileError};
pub use self::status::desired_status;
pub use self::types::{LOGICAL_SWITCH, NetworkAttachmentDefinition, Pod, Subnet, SubnetStatus};

/// How long the reconciles of queued keys may take when the controller stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A running controller. Dropping it stops it at once; [`shutdown`](Self::shutdown) stops it gracefully.
pub struct Controller {
    pub caches: Caches,
    pub handle: Handle,
    run: JoinSet<Result<controller::Ended, Error>>,
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
    /// Starts the controller as a task.
    pub fn start(client: &Client, caches: Caches, settings: Settings, observe: impl Observe) -> Self {
        let by_provider = caches.subnets_by_provider;
        let controller = controller::Controller::new(&caches.subnets)
            .with_deleted()
            // The generation changes with the spec, and not with the controller's own status patches.
            .when(changed::generation())
            .watches(&caches.nads, move |change, world, emit| {
                triggers::subnets_of_nad(change, world, &by_provider, emit);
            })
            .watches(&caches.pods, triggers::subnets_of_pod)
            .concurrency(settings.workers)
            // A reconcile fails only if a request fails: retry soon at first, then less often, at most every 30 s.
            .retries(Options::new().backoff(Duration::from_millis(20), Duration::from_secs(30)))
            .drain_within(DRAIN);
        let handle = controller.handle();
        let shared = Arc::new(Shared {
            caches: caches.clone(),
            subnets: Api::all(client.clone()),
            nad_source: settings.nad_source,
            dry_run: settings.dry_run,
            observe,
        });
        let mut run = JoinSet::new();
        run.spawn(async move { controller.run(reconcile, error_policy, shared).await });
        Self { caches, handle, run }
    }

    /// Stops the controller, which drains its queue for a moment, and then the informers.
    pub async fn shutdown(mut self) {
        self.handle.stop();
        // The next start finds the statuses that are still wrong: its first pass reconciles every subnet.
        let _unfinished = self.run.join_next().await;
        self.caches.shutdown().await;
    }
}

/// After an error, the subnet is reconciled again, with backoff.
fn error_policy<S, O: Observe>(_: S, error: &ReconcileError, ctx: Context<Shared<O>>) -> Action {
    ctx.observe.failed(ctx.key().name(), error);
    Action::retry()
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

        fn failed(&self, _: &str, _: &ReconcileError) {}
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
        controller.shutdown().await;
    }
}
