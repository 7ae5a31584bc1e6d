//! A group of members on the in-process server, with a referee, and with connections that can fail.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube_client::Client;
use kube_client::client::Body;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tower::{ServiceExt as _, service_fn};

use super::super::Member;
use crate::shard::Ranges;
use crate::testing::{ApiBody, ApiServer};

pub(super) const LEASE: Duration = Duration::from_secs(15);
pub(super) const LEASES: &str = "leases.coordination.k8s.io";
/// For the slowest application below.
pub(super) const LIST: Duration = Duration::from_secs(2);

/// The server, and who works on what.
pub(super) struct Group {
    pub(super) server: ApiServer,
    referee: Referee,
}

/// Who works on which hashes.
#[derive(Clone, Default)]
struct Referee(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    works: Vec<(String, Ranges)>,
    longest_gap: Duration,
    gap_since: Option<Instant>,
}

/// The connection of a replica to the server.
#[derive(Clone, Default)]
pub(super) struct Link(Arc<State>);

#[derive(Default)]
struct State {
    reads_hang: AtomicBool,
    writes_hang: AtomicBool,
    /// The responses to writes are held back.
    responses_hang: AtomicBool,
    held_back: AtomicUsize,
    /// The number of responses, and up to which one nothing more arrives.
    responses: AtomicUsize,
    stalled: AtomicUsize,
    /// By how much the clock of the replica is ahead, in hours.
    ahead: AtomicI64,
}

/// What a replica differs in from others.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) slots: u16,
    pub(super) ahead: i64,
    /// Whether there is an application that follows the shares.
    pub(super) follows: bool,
}

/// A replica: a member, and an application that follows its share.
pub(super) struct Replica {
    pub(super) member: Member,
    /// Of the user, and of this run of it.
    pub(super) name: String,
    pub(super) run: String,
    pub(super) link: Link,
    task: JoinHandle<()>,
    referee: Referee,
}

// === impl Referee ===

impl Referee {
    /// From now on, `name` works on these ranges. Panics if another one does.
    fn works(&self, name: &str, ranges: Ranges) {
        let mut book = self.0.lock().unwrap();
        book.works.retain(|(other, _)| other != name);
        for (other, works) in &book.works {
            let both = works.intersection(&ranges);
            assert!(both.is_empty(), "{name} and {other} both work on {both}");
        }
        book.works.push((name.to_owned(), ranges));
        let all: Ranges = book.works.iter().flat_map(|(_, ranges)| ranges.iter()).collect();
        match (all.is_all(), book.gap_since) {
            (true, Some(since)) => {
                book.longest_gap = book.longest_gap.max(since.elapsed());
                book.gap_since = None;
            }
            (false, None) => book.gap_since = Some(Instant::now()),
            _ => {}
        }
    }
}

// === impl Group ===

impl Group {
    pub(super) fn new() -> Self {
        let names = ["a", "b", "c", "d", "e"];
        let server = names.iter().fold(ApiServer::builder(), |server, name| server.token(name, name)).build();
        Self { server, referee: Referee::default() }
    }

    pub(super) fn join(&self, name: &str) -> Replica {
        self.join_as(name, Setup::default())
    }

    pub(super) fn join_as(&self, name: &str, setup: Setup) -> Replica {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = format!("{name}{}", RUNS.fetch_add(1, Ordering::Relaxed));
        let link = Link::default();
        link.set_ahead(setup.ahead);
        let client = link.client(&self.server, name);
        let member = Member::builder(client, "group").name(name).lease(LEASE).slots(setup.slots).start();
        let (followed, referee) = (member.clone(), self.referee.clone());
        let task = match setup.follows {
            true => tokio::spawn(follow(followed, referee, run.clone())),
            false => tokio::spawn(async {}),
        };
        Replica { member, name: name.to_owned(), run, link, task, referee: self.referee.clone() }
    }

    /// This group, without a referee.
    pub(super) fn unwatched(&self) -> Self {
        Self { server: self.server.clone(), referee: Referee::default() }
    }

    /// Whether these hold everything, each about the same.
    pub(super) async fn is_split(&self, replicas: &[&Replica]) {
        let is_split = async {
            let share = 1.0 / replicas.len() as f64;
            let even = |replica: &&Replica| (replica.held().fraction() - share).abs() < 0.02;
            let held = || {
                replicas
                    .iter()
                    .map(|replica| replica.held())
                    .fold(Ranges::new(), |all, held| all.union(&held))
            };
            while !(replicas.iter().all(even) && held().is_all()) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let state = || {
            replicas
                .iter()
                .map(|replica| format!("{}: {:?}", replica.name, replica.member))
                .collect::<Vec<_>>()
        };
        timeout(Duration::from_secs(120), is_split).await.unwrap_or_else(|_| panic!("{:#?}", state()));
        assert!(!self.referee.0.is_poisoned(), "two have worked on one hash");
    }

    pub(super) fn leases(&self) -> Vec<Value> {
        let list = self.server.list(LEASES, None).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    pub(super) fn longest_gap(&self) -> Duration {
        self.referee.0.lock().unwrap().longest_gap
    }

    pub(super) fn forget_gaps(&self) {
        self.referee.0.lock().unwrap().longest_gap = Duration::ZERO;
    }
}

// === impl Link ===

impl Link {
    fn client(&self, server: &ApiServer, user: &str) -> Client {
        let bearer = HeaderValue::from_str(&format!("Bearer {user}")).unwrap();
        let (link, service) = (self.clone(), server.service());
        let service = service_fn(move |mut request: http::Request<Body>| {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            let (link, service) = (link.0.clone(), service.clone());
            async move {
                let is_read = request.method() == Method::GET;
                let hangs = if is_read { &link.reads_hang } else { &link.writes_hang };
                if hangs.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                let ahead = link.ahead.load(Ordering::Relaxed);
                let request = if is_read { request } else { shift(request, ahead).await };
                let response = service.oneshot(request).await;
                if !is_read && link.responses_hang.load(Ordering::Relaxed) {
                    link.held_back.fetch_add(1, Ordering::Relaxed);
                    while link.responses_hang.load(Ordering::Relaxed) {
                        sleep(Duration::from_millis(10)).await;
                    }
                }
                let number = link.responses.fetch_add(1, Ordering::Relaxed);
                response.map(|response| response.map(|body| stalls(body, link, number)))
            }
        });
        Client::new(service, "default")
    }

    /// Sets the clock of the replica.
    pub(super) fn set_ahead(&self, hours: i64) {
        self.0.ahead.store(hours, Ordering::Relaxed);
    }

    /// Whether lists and watches hang from now on; watches that run are cut.
    pub(super) fn hang_reads(&self, server: &ApiServer, hang: bool) {
        self.0.reads_hang.store(hang, Ordering::Relaxed);
        server.disconnect_watches();
    }

    /// Whether writes hang from now on, and never reach the server.
    pub(super) fn hang_writes(&self, hang: bool) {
        self.0.writes_hang.store(hang, Ordering::Relaxed);
    }

    /// Whether responses to writes, which the server has made, are held back.
    pub(super) fn hold_responses(&self, hold: bool) {
        self.0.responses_hang.store(hold, Ordering::Relaxed);
    }

    /// Of the responses that have begun, nothing more arrives.
    pub(super) fn stall(&self) {
        self.0.stalled.store(self.0.responses.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// How many responses were held back.
    pub(super) fn held_back(&self) -> usize {
        self.0.held_back.load(Ordering::Relaxed)
    }
}

/// The body of a response of this number.
fn stalls(body: ApiBody, link: Arc<State>, number: usize) -> impl HttpBody<Data = Bytes, Error = io::Error> {
    let frames = BodyStream::new(body).then(move |frame| {
        let link = link.clone();
        async move {
            if number < link.stalled.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            frame
        }
    });
    StreamBody::new(frames.boxed())
}

/// Writes the times of a process whose clock is ahead by so many hours.
async fn shift(request: http::Request<Body>, hours: i64) -> http::Request<Body> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let Ok(mut lease) = serde_json::from_slice::<Value>(&bytes) else {
        return http::Request::from_parts(head, Body::from(bytes));
    };
    if let Some(renewed) = lease["spec"]["renewTime"].as_str() {
        let renewed: Timestamp = renewed.parse().unwrap();
        lease["spec"]["renewTime"] = json!((renewed + SignedDuration::from_hours(hours)).to_string());
    }
    http::Request::from_parts(head, Body::from(lease.to_string().into_bytes()))
}

// === impl Setup ===

impl Default for Setup {
    fn default() -> Self {
        Self { slots: 128, ahead: 0, follows: true }
    }
}

// === impl Replica ===

impl Replica {
    pub(super) fn held(&self) -> Ranges {
        let share = self.member.share();
        share.held().clone()
    }

    /// The application follows the shares from now on.
    pub(super) fn begin_to_follow(&mut self) {
        self.task = tokio::spawn(follow(self.member.clone(), self.referee.clone(), self.run.clone()));
    }

    /// Ends as a killed process does.
    pub(super) fn kill(self) {
        self.task.abort();
        // What it worked on ends here, too.
        self.referee.works(&self.run, Ranges::new());
    }

    pub(super) async fn leave(self) {
        timeout(LEASE, self.member.leave()).await.unwrap();
        self.task.await.unwrap();
    }
}

/// Caches what the share says within 2 s, and finishes keys within 1 s.
async fn follow(member: Member, referee: Referee, name: String) {
    let mut shares = member.shares();
    // Ends with this task.
    let mut lists = JoinSet::new();
    while let Some(share) = shares.next().await {
        // Reconciles that run still touch what is released.
        referee.works(&name, share.held().union(share.releasing()));
        if !share.releasing().is_empty() {
            // A third of the Lease is 5 s, and this task may be behind by 1 s.
            sleep(Duration::from_secs(if share.is_lost() { 3 } else { 1 })).await;
            referee.works(&name, share.held().clone());
            member.finished(&share);
        }
        let (member, listed) = (member.clone(), share.clone());
        lists.abort_all();
        lists.spawn(async move {
            sleep(LIST).await;
            if member.share().to_cache() == listed.to_cache() {
                member.cached(&listed);
            }
        });
    }
    referee.works(&name, Ranges::new());
}
