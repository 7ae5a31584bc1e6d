//! An API server in this process, which creates and deletes objects and injects a few faults.

use std::sync::Arc;
use std::time::Duration;

use kube_client::Client;
use kube_informer::controller::{Action, Context, Controller, Ended, Handle};
use kube_informer::testing::{ApiServer, ApiStatus, Fault, FaultAction, Kind};
use kube_informer::{Error, Informer, Obj};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

use crate::inspected::{Inspected, LABEL, Row};

/// The kinds to show.
pub const KINDS: [&str; 3] = ["pods", "deployments.apps", "subnets.kubeovn.io"];

/// The time between two changes.
const STEP: Duration = Duration::from_millis(100);

/// Where the pods are, and of which applications: the more often, the earlier.
const NAMESPACES: [&str; 5] = ["shop", "data", "edge", "monitoring", "batch"];
const APPS: [&str; 6] = ["web", "cart", "search", "mail", "stats", "cron"];

/// How many pods there are at first.
const LIVE: u32 = 90;

/// What uses the informer of pods.
pub struct Consumers {
    /// Of a controller.
    pub pods: Handle,
    run: JoinHandle<Result<Ended, Error>>,
    follower: JoinHandle<()>,
}

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
        for namespace in NAMESPACES {
            server.create(object("v1", "Namespace", None, namespace))?;
        }
        for number in 0..3 {
            server.create(object("kubeovn.io/v1", "Subnet", None, &format!("subnet-{number}")))?;
        }
        for app in APPS {
            server.create(object("apps/v1", "Deployment", Some("shop"), app))?;
        }
        for step in 0..LIVE {
            server.create(pod(step))?;
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

impl Consumers {
    /// A controller that is just fast enough and sometimes fails, and a subscription that reads a batch only every two
    /// seconds.
    pub fn start(pods: &Inspected) -> Self {
        let controller =
            Controller::new(&pods.objects).with_deleted().concurrency(2).finish_within(Duration::ZERO);
        let handle = controller.handle();
        let run =
            tokio::spawn(
                async move { controller.run(reconcile, |_, _, _| Action::retry(), Arc::new(())).await },
            );
        let follower = tokio::spawn(follow_slowly(pods.objects.clone()));
        Self { pods: handle, run, follower }
    }

    pub async fn stop(self) {
        self.follower.abort();
        self.pods.stop();
        // Keys that are left are of no use.
        let _unfinished = self.run.await;
    }
}

/// Takes 4 to 144 ms, always the same for one key.
async fn reconcile(pod: Option<Obj<Row>>, ctx: Context<()>) -> Result<Action, &'static str> {
    let number = ctx.key().name().trim_start_matches("pod-").parse::<u64>().unwrap_or_default();
    sleep(Duration::from_millis(4 + number * number * 7 % 140)).await;
    if pod.is_some() && number % 13 == 0 { Err("it fails") } else { Ok(Action::await_change()) }
}

/// Takes two seconds for each batch, whatever its number of changes.
async fn follow_slowly<T: Send + Sync + 'static>(objects: Informer<T>) {
    let mut changes = objects.subscribe();
    while changes.next().await.is_some() {
        sleep(Duration::from_secs(2)).await;
    }
}

async fn churn(server: ApiServer) -> Result<(), ApiStatus> {
    let mut steps = interval(STEP);
    let mut oldest = 0;
    for step in 0_u32.. {
        steps.tick().await;
        let newest = LIVE + step;
        server.create(pod(newest))?;
        let label = json!({ "metadata": { "labels": { "step": step.to_string() } } });
        server.merge_patch("deployments.apps", "shop", pick(&APPS, step), label)?;
        // Their number rises and falls.
        let live = f64::from(LIVE) * (1.0 + 0.4 * (f64::from(step) / 40.0).sin());
        while f64::from(newest - oldest) > live {
            server.delete("pods", pick(&NAMESPACES, oldest), &pod_name(oldest))?;
            oldest += 1;
        }
        // All at once, so that the queue has something to do.
        if step % 130 == 60 {
            for number in newest - 40..newest {
                let label = json!({ "metadata": { "labels": { "step": step.to_string() } } });
                server.merge_patch("pods", pick(&NAMESPACES, number), &pod_name(number), label)?;
            }
        }
        match step % 300 {
            // A connection breaks: the watch is opened again.
            15 | 115 | 215 => {
                server.inject(Fault::new(FaultAction::CutStream).verb("watch").resource("pods"))
            }
            // The server drops the history of pods: the informer lists them again.
            35 => server.inject(Fault::new(FaultAction::ErrorEvent(410)).verb("watch").resource("pods")),
            _ => {}
        }
    }
    Ok(())
}

fn pod(number: u32) -> Value {
    let mut pod = object("v1", "Pod", Some(pick(&NAMESPACES, number)), &pod_name(number));
    pod["metadata"]["labels"] = json!({ LABEL: pick(&APPS, number.wrapping_mul(7) / 3) });
    pod
}

fn pod_name(number: u32) -> String {
    format!("pod-{number:04}")
}

/// The first of n is picked n times as often as the last.
fn pick(from: &[&'static str], number: u32) -> &'static str {
    let count = from.len() as u32;
    let mut number = number % (count * (count + 1) / 2);
    for (place, name) in (0..).zip(from) {
        match number.checked_sub(count - place) {
            Some(rest) => number = rest,
            None => return name,
        }
    }
    ""
}

fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name, "namespace": namespace } })
}
