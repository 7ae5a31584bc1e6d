//! The controller of `examples/leader`, with its election: what happens when the lease is lost and regained.

#[path = "../../examples/leader/election.rs"]
mod election;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use kube_informer::controller::{Action, Context, Controller, Ended};
use kube_informer::testing::{ApiServer, Fault, FaultAction, Rule};
use kube_informer::{Informer, Obj};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::election::Election;

const LEASES: &str = "leases.coordination.k8s.io";
const SECOND: Duration = Duration::from_secs(1);
const MAPS: usize = 5;

/// What happened, in its order, such as "a leads", "a begins m1", "a finishes m1", "a has lost", "a ended".
#[derive(Clone, Default)]
struct Log(watch::Sender<Vec<String>>);

struct Replica {
    stop: CancellationToken,
    run: JoinHandle<()>,
}

/// How a replica reconciles, and when it ends.
#[derive(Clone, Copy)]
struct Pace {
    lease: (u64, u64),
    takes: Duration,
    finish_within: Duration,
    next: fn() -> Action,
}

/// A lease of 30 s, of which a renewal is due after 25 s: in the middle of the third reconcile.
const SLOW: Pace = Pace {
    lease: (30, 5),
    takes: Duration::from_secs(10),
    finish_within: Duration::from_secs(7),
    next: Action::await_change,
};

impl Log {
    fn add(&self, entry: String) {
        self.0.send_modify(|log| log.push(entry));
    }

    fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Waits until this entry is there for the nth time.
    async fn has(&self, entry: &str, n: usize) {
        self.until(|log| log.iter().filter(|known| *known == entry).count() >= n).await;
    }

    async fn until(&self, mut done: impl FnMut(&[String]) -> bool) {
        let mut log = self.0.subscribe();
        let waits = timeout(300 * SECOND, log.wait_for(|log| done(log)));
        assert!(matches!(waits.await, Ok(Ok(_))), "it never happened: {:#?}", self.all());
    }
}

async fn start(name: &'static str, client: Client, pace: Pace, log: &Log) -> Replica {
    let stop = CancellationToken::new();
    let election = Election::new(client.clone(), "leader", name, pace.lease, stop.clone()).await.unwrap();
    let maps = Informer::builder(Api::<ConfigMap>::all(client)).start();
    let controller = Controller::new(&maps).finish_within(pace.finish_within);
    let (handle, stopped) = (controller.handle(), stop.clone());
    tokio::spawn(async move {
        stopped.cancelled().await;
        handle.shut_down();
    });
    let log = Arc::new(log.clone());
    let run = tokio::spawn(async move {
        let reconcile = move |map: Obj<ConfigMap>, log: Context<Log>| async move {
            log.add(format!("{name} begins {}", Obj::name(&map)));
            sleep(pace.takes).await;
            log.add(format!("{name} finishes {}", Obj::name(&map)));
            Ok::<_, std::io::Error>((pace.next)())
        };
        while election.gained().await {
            log.add(format!("{name} leads"));
            let lost = async {
                election.lost().await;
                log.add(format!("{name} has lost"));
            };
            let ended = controller.run_until(reconcile, |_, _, _| Action::retry(), log.clone(), lost).await;
            log.add(match ended {
                Ok(Ended::Until) => format!("{name} ended"),
                Ok(_) => format!("{name} stopped"),
                Err(error) if error.is_unfinished() => format!("{name} aborted"),
                Err(error) => panic!("{error}"),
            });
            election.resign().await;
        }
    });
    Replica { stop, run }
}

impl Replica {
    async fn stop(self) {
        self.stop.cancel();
        timeout(3600 * SECOND, self.run).await.expect("the replica stops").unwrap();
    }
}

fn server() -> ApiServer {
    let server = ApiServer::new();
    (0..MAPS).for_each(|n| create(&server, &format!("m{n}")));
    server
}

fn create(server: &ApiServer, name: &str) {
    let metadata = json!({ "namespace": "default", "name": name });
    server.create(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap();
}

fn client(server: &ApiServer) -> Client {
    Client::new(server.service(), "default")
}

fn holder(server: &ApiServer) -> Value {
    server.get(LEASES, "default", "leader").unwrap()["spec"]["holderIdentity"].take()
}

fn renewal(action: FaultAction) -> Fault {
    Fault::new(action).verb("patch").resource(LEASES)
}

fn count(log: &[String], what: &str) -> usize {
    log.iter().filter(|entry| entry.contains(what)).count()
}

/// The entries up to the end of the first run, and those after it.
fn runs(log: &[String]) -> (&[String], &[String]) {
    let ended = |entry: &String| entry == "a ended" || entry == "a aborted";
    log.split_at(log.iter().position(ended).map_or(log.len(), |end| end + 1))
}

fn after_the_first_run(log: &[String], entry: &str) -> bool {
    runs(log).1.iter().any(|known| known == entry)
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_reconciles_finish_within_the_limit_or_are_aborted() {
    for (finish_within, end, finished) in [(7 * SECOND, "a ended", 3), (2 * SECOND, "a aborted", 2)] {
        let (server, log) = (server(), Log::default());
        let replica = start("a", client(&server), Pace { finish_within, ..SLOW }, &log).await;
        log.has("a leads", 1).await;
        server.inject(renewal(FaultAction::Respond { code: 500, retry_after: None }));
        log.has(end, 1).await;
        let all = log.all();
        let first = runs(&all).0;
        let lost = first.iter().position(|entry| entry == "a has lost").unwrap();
        assert_eq!(count(first, "begins"), 3, "{all:#?}");
        assert_eq!(count(&first[..lost], "begins"), 3, "none begins after the loss: {all:#?}");
        assert_eq!(count(first, "finishes"), finished, "{all:#?}");

        // Regained, it begins with everything.
        log.until(|log| (0..MAPS).all(|n| after_the_first_run(log, &format!("a begins m{n}")))).await;
        replica.stop().await;
        assert_eq!(holder(&server), Value::Null, "it gave the lease up");
        assert_eq!(reads(&server), 1, "the cache stayed warm");
    }
}

/// Lists and watches of config maps.
fn reads(server: &ApiServer) -> u64 {
    server.requests().sum(|verb, kind, _| kind == "configmaps" && matches!(verb, "list" | "watch"))
}

#[tokio::test(start_paused = true)]
async fn a_renewal_without_a_response_is_a_loss_at_the_clients_timeout() {
    let (server, log) = (server(), Log::default());
    let service = server.service();
    let timed = tower::service_fn(move |request: http::Request<kube_client::client::Body>| {
        let (service, watch) = (service.clone(), request.uri().path().contains("configmaps"));
        async move {
            let limit = if watch { 3600 * SECOND } else { SECOND };
            timeout(limit, service.oneshot(request))
                .await
                .map_err(|_| std::io::Error::other("timed out"))?
                .map_err(std::io::Error::other)
        }
    });
    let replica = start("a", Client::new(timed, "default"), SLOW, &log).await;
    log.has("a leads", 1).await;
    server.inject(renewal(FaultAction::Hang));
    log.has("a leads", 2).await;
    assert_eq!(count(runs(&log.all()).0, "finishes"), 3);
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reconciled_while_another_replica_has_the_lease() {
    let (server, log) = (server(), Log::default());
    let replica = start("a", client(&server), SLOW, &log).await;
    log.has("a leads", 1).await;
    server.merge_patch(LEASES, "default", "leader", json!({ "spec": { "holderIdentity": "c" } })).unwrap();
    log.has("a ended", 1).await;
    create(&server, "new");
    sleep(60 * SECOND).await;
    assert_eq!(runs(&log.all()).1, [""; 0]);
    replica.stop().await;
    assert_eq!(holder(&server), "c", "it releases only its own lease");
}

// The lease manager compares the times in a lease with the system's clock, so that a takeover takes real seconds.
#[tokio::test]
async fn replicas_take_over_and_never_reconcile_at_the_same_time() {
    const BUSY: Pace = Pace {
        lease: (3, 2),
        takes: Duration::from_millis(5),
        finish_within: Duration::from_millis(500),
        next: || Action::requeue(Duration::from_millis(5)),
    };
    let (server, log) = (server(), Log::default());
    let as_user = |name: &str| {
        server.add_token(name, name);
        let bearer: http::HeaderValue = format!("Bearer {name}").parse().unwrap();
        let service = server.service().map_request(move |mut request: http::Request<_>| {
            request.headers_mut().insert(http::header::AUTHORIZATION, bearer.clone());
            request
        });
        Client::new(service, "default")
    };
    let a = start("a", as_user("a"), BUSY, &log).await;
    log.has("a finishes m4", 1).await;
    let b = start("b", as_user("b"), BUSY, &log).await;

    let renewals = Rule::all().user("a").verb("patch").resource(LEASES);
    server.deny(renewals.clone());
    log.has("a ended", 1).await;
    create(&server, "meanwhile");
    for name in ["m0", "m1", "m2", "m3", "m4", "meanwhile"] {
        log.has(&format!("b finishes {name}"), 1).await;
    }
    server.allow(renewals);
    b.stop().await;
    log.has("a leads", 2).await;
    log.has("a finishes meanwhile", 1).await;
    for n in 0..MAPS {
        log.until(|log| after_the_first_run(log, &format!("a begins m{n}"))).await;
    }
    a.stop().await;

    // Each reconcile is finished by the replica that began it, before the other one begins.
    let all = log.all();
    let mut running: Option<&str> = None;
    for entry in all.iter().filter(|entry| entry.contains(" begins ") || entry.contains(" finishes ")) {
        let (replica, what) = entry.split_once(' ').unwrap();
        if what.starts_with("begins") {
            assert_eq!(running, None, "{entry}");
            running = Some(replica);
        } else {
            assert_eq!(running.take(), Some(replica), "{entry}");
        }
    }
    let order: Vec<&str> =
        all.iter().filter(|entry| entry.ends_with("leads")).map(|entry| &entry[..1]).collect();
    assert_eq!(order, ["a", "b", "a"]);
    assert_eq!(reads(&server), 2, "each replica lists and watches once");
}
