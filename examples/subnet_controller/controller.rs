//! The controller: triggers put keys into a queue, workers reconcile them.
//!
//! ```text
//! nads    -subscription-> its providers -> their subnets --.
//! pods    -subscription-> its networks --> their subnets ---+-> queue -> N workers -> status patch, if it differs
//! subnets -subscription-> new spec or gone ----------------'
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube_client::api::{Patch, PatchParams};
use kube_client::{Api, Client};
use kube_informer::queue::{Action, Failure, Options, WorkQueue, Workers, workers_with_hook};
use kube_informer::{ObjectKey, ResourceVersion};
use serde_json::json;
use tokio::task::JoinSet;

use crate::caches::Caches;
use crate::nad_source::NadSource;
use crate::reconcile::desired_status;
use crate::triggers;
use crate::types::Subnet;

/// How long a write may take to come back through the watch before the reconcile is tried again.
const READ_BACK: Duration = Duration::from_secs(10);

/// A running controller. Dropped, it ends at once; [`shutdown`](Self::shutdown) ends it well.
pub struct Controller {
    pub caches: Caches,
    pub queue: WorkQueue<ObjectKey>,
    triggers: JoinSet<()>,
    workers: Workers<ObjectKey>,
}

/// What to run.
pub struct Settings {
    pub nad_source: NadSource,
    pub workers: usize,
    /// Find out what would be written, and write nothing.
    pub dry_run: bool,
}

/// Is told what the controller does: for logs, and here for the measurements.
pub trait Observe: Clone + Send + Sync + 'static {
    /// Triggers have added keys; the queue is now this deep.
    fn queued(&self, _depth: usize) {}

    /// A reconcile has ended well.
    fn reconciled(&self, run: &Run<'_>);

    /// A reconcile has failed and will be tried again.
    fn failed(&self, subnet: &str, error: Option<&ReconcileError>);
}

/// A reconcile that ended well.
pub struct Run<'a> {
    pub subnet: &'a str,
    pub outcome: Outcome<'a>,
    /// The versions of NADs, subnets and pods it saw.
    pub seen: [Option<&'a ResourceVersion>; 3],
    /// How long it took to get the NAD; `None` when it did not have to.
    pub nad_took: Option<Duration>,
    /// How long it took in all.
    pub took: Duration,
    /// When its result was known to be stored, or that there was nothing to store.
    pub stored_at: Instant,
}

/// What came of a reconcile.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The subnet does not exist (any more).
    Gone,
    /// The status was right.
    Unchanged,
    /// The status was written.
    Written(&'a Subnet),
    /// The status would have been written, but for `dry_run`.
    WouldWrite(&'a Subnet),
}

/// Why a reconcile failed.
#[derive(Debug)]
pub enum ReconcileError {
    Nad(kube_client::Error),
    Patch(kube_client::Error),
    /// The write was accepted and has not come back through the watch.
    ReadBack(Option<kube_informer::Error>),
}

/// What the workers share.
struct Worker<O> {
    caches: Caches,
    subnets: Api<Subnet>,
    nad_source: NadSource,
    dry_run: bool,
    observe: O,
}

// === impl Controller ===

impl Controller {
    /// Starts a controller on caches that have synced.
    pub fn start(client: &Client, caches: Caches, settings: Settings, observe: impl Observe) -> Self {
        // Failures are the API server's: retry soon, then less and less often, up to every 30 s.
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

    /// Stops the triggers, lets the workers finish what is queued if that takes no longer than `within`, and
    /// stops the informers.
    pub async fn shutdown(mut self, within: Duration) {
        self.triggers.shutdown().await;
        // What is left undone will be found different, and done, at the next start.
        let _unfinished = self.workers.shutdown(within).await;
        self.caches.shutdown().await;
    }
}

// === impl Worker ===

impl<O: Observe> Worker<O> {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, ReconcileError> {
        let begin = Instant::now();
        let caches = &self.caches;
        let (nads, subnets, pods) =
            (caches.nads.snapshot(), caches.subnets.snapshot(), caches.pods.snapshot());
        let mut run = Run {
            subnet: key.name(),
            outcome: Outcome::Gone,
            seen: [nads.resource_version(), subnets.resource_version(), pods.resource_version()],
            nad_took: None,
            took: Duration::ZERO,
            stored_at: begin,
        };
        let Some(subnet) = subnets.get(key) else {
            self.observe.reconciled(run.end(begin));
            return Ok(Action::await_change());
        };

        let get_nad = Instant::now();
        let nad = self.nad_source.nad(caches, &nads, subnet.provider()).await.map_err(ReconcileError::Nad)?;
        run.nad_took = Some(get_nad.elapsed());

        let pods = pods.by_index(&caches.pods_by_network, &(subnet.provider(), key.name())).len();
        let status = desired_status(subnet, nad.as_deref(), pods);
        if subnet.status.as_ref() == Some(&status) {
            run.outcome = Outcome::Unchanged;
            self.observe.reconciled(run.end(begin));
            return Ok(Action::await_change());
        }
        if self.dry_run {
            let would = Subnet { status: Some(status), ..Subnet::clone(subnet) };
            run.outcome = Outcome::WouldWrite(&would);
            self.observe.reconciled(run.end(begin));
            return Ok(Action::await_change());
        }

        let patch = Patch::Merge(json!({"status": status}));
        let written = match self.subnets.patch_status(key.name(), &PatchParams::default(), &patch).await {
            // Deleted in the meantime: its deletion is on its way to the queue.
            Err(error) if is_not_found(&error) => {
                self.observe.reconciled(run.end(begin));
                return Ok(Action::await_change());
            }
            answer => answer.map_err(ReconcileError::Patch)?,
        };
        run.stored_at = Instant::now();

        // Read what was written before this key can be handled again: compared with a status from before the
        // write, the next one could take "differs" for "is the same", and leave it.
        let read_back = tokio::time::timeout(READ_BACK, caches.subnets.at_least(&written)).await;
        read_back
            .map_err(|_| ReconcileError::ReadBack(None))?
            .map_err(|e| ReconcileError::ReadBack(Some(e)))?;
        run.outcome = Outcome::Written(&written);
        run.took = begin.elapsed();
        self.observe.reconciled(&run);
        Ok(Action::await_change())
    }
}

impl Run<'_> {
    /// Ends a run that wrote nothing.
    fn end(&mut self, begin: Instant) -> &Self {
        self.stored_at = Instant::now();
        self.took = self.stored_at - begin;
        self
    }
}

fn is_not_found(error: &kube_client::Error) -> bool {
    matches!(error, kube_client::Error::Api(status) if status.code == 404)
}

// === impl ReconcileError ===

impl fmt::Display for ReconcileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nad(error) => write!(f, "get its NetworkAttachmentDefinition: {}", Brief(error)),
            Self::Patch(error) => write!(f, "patch its status: {}", Brief(error)),
            Self::ReadBack(Some(error)) => write!(f, "read its status back: {error}"),
            Self::ReadBack(None) => f.write_str("its status has not come back through the watch"),
        }
    }
}

impl std::error::Error for ReconcileError {}

/// A client error in one line. The messages of API servers and of JSON errors can hold parts of objects.
pub struct Brief<'a>(pub &'a kube_client::Error);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            kube_client::Error::Api(status) => {
                write!(f, "the API server answered {} {}", status.code, status.reason)
            }
            kube_client::Error::SerdeError(_) => {
                f.write_str("the API server's answer is not what was asked for")
            }
            kube_client::Error::Service(error) => {
                // The outer text is "client error (Connect)"; why is further in.
                let mut error: &dyn std::error::Error = error.as_ref();
                while let Some(source) = error.source() {
                    error = source;
                }
                write!(f, "{error}")
            }
            error => write!(f, "{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube_informer::testing::{ApiServer, Kind};
    use serde_json::Value;

    use super::*;

    #[derive(Clone)]
    struct Nobody;

    impl Observe for Nobody {
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

    /// Waits until the subnet says so of itself.
    async fn comes_to(caches: &Caches, name: &str, wanted: &str) {
        let such =
            caches.subnets.wait_until(|view| view.get(name).is_some_and(|its| reason(its) == Some(wanted)));
        let came = tokio::time::timeout(Duration::from_secs(60), such).await;
        came.unwrap_or_else(|_| panic!("{name} is not {wanted}: {:?}", caches.subnets.get(name))).unwrap();
    }

    /// A cluster without Multus has no NADs, and may get them later.
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
        let controller = Controller::start(&client, caches.clone(), settings, Nobody);
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
