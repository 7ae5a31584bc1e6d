//! Members on the in-process server, on a paused clock, with a referee.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use kube_client::Client;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt as _;

use super::super::Member;
use crate::shard::Ranges;
use crate::testing::{ApiServer, Rule};

const LEASE: Duration = Duration::from_secs(15);
const LEASES: &str = "leases.coordination.k8s.io";
/// For the slowest application below.
const LIST: Duration = Duration::from_secs(2);

/// The server, and who works on what.
struct Group {
    server: ApiServer,
    referee: Referee,
}

/// Each hash that begins with one of 16 digits, and who works on it.
#[derive(Clone, Default)]
struct Referee(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    works: Vec<(String, Ranges)>,
    longest_gap: Duration,
    gap_since: Option<Instant>,
}

/// A replica: a member, and an application that follows its share.
struct Replica {
    member: Member,
    /// Of the user, and of this run of it.
    name: String,
    run: String,
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
    fn new() -> Self {
        let names = ["a", "b", "c", "d", "e"];
        let server = names.iter().fold(ApiServer::builder(), |server, name| server.token(name, name)).build();
        Self { server, referee: Referee::default() }
    }

    fn join(&self, name: &str) -> Replica {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = format!("{name}{}", RUNS.fetch_add(1, Ordering::Relaxed));
        let bearer = HeaderValue::from_str(&format!("Bearer {name}")).unwrap();
        let service = self.server.service().map_request(move |mut request: http::Request<_>| {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            request
        });
        let member =
            Member::builder(Client::new(service, "default"), "group").name(name).lease(LEASE).start();
        let task = tokio::spawn(follow(member.clone(), self.referee.clone(), run.clone()));
        Replica { member, name: name.to_owned(), run, task, referee: self.referee.clone() }
    }

    /// Whether these hold everything, each about the same.
    async fn is_split(&self, replicas: &[&Replica]) {
        let is_split = async {
            let share = 1.0 / replicas.len() as f64;
            let even = |replica: &&Replica| (replica.held().fraction() - share).abs() < 0.01;
            while !replicas.iter().all(even) {
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
        let all: Ranges =
            replicas.iter().flat_map(|replica| replica.held().iter().collect::<Vec<_>>()).collect();
        assert!(all.is_all(), "{all}");
    }

    fn leases(&self) -> Vec<Value> {
        let list = self.server.list(LEASES, None).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    fn longest_gap(&self) -> Duration {
        self.referee.0.lock().unwrap().longest_gap
    }

    fn forget_gaps(&self) {
        self.referee.0.lock().unwrap().longest_gap = Duration::ZERO;
    }
}

// === impl Replica ===

impl Replica {
    fn held(&self) -> Ranges {
        let share = self.member.share();
        share.held().clone()
    }

    /// Ends as a killed process does.
    fn kill(self) {
        self.task.abort();
        // What it worked on ends here, too.
        self.referee.works(&self.run, Ranges::new());
    }

    async fn leave(self) {
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

#[tokio::test(start_paused = true)]
async fn one_member_holds_everything_until_another_joins() {
    let group = Group::new();
    let a = group.join("a");
    group.is_split(&[&a]).await;
    assert_eq!(a.member.live(), 1);
    assert!(a.member.holds(0) && a.member.holds(u64::MAX));
    let lease = &group.leases()[0];
    assert_eq!(lease["metadata"]["labels"]["kube-informer/shards"], "group");
    assert_eq!(
        lease["metadata"]["annotations"]["kube-informer/held"],
        "0x0000000000000000..0x10000000000000000"
    );
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 15);
    group.forget_gaps();
    let b = group.join("b");
    group.is_split(&[&a, &b]).await;
    assert_ne!(a.member.holds(0), b.member.holds(0));
    assert_eq!(group.longest_gap(), Duration::ZERO, "only a's own keys hold it up");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_hands_over_before_its_lease_ends() {
    let group = Group::new();
    let (a, b, c) = (group.join("a"), group.join("b"), group.join("c"));
    group.is_split(&[&a, &b, &c]).await;
    group.forget_gaps();
    let begun = Instant::now();
    b.leave().await;
    group.is_split(&[&a, &c]).await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(group.longest_gap() < LIST + Duration::from_secs(2), "{:?}", group.longest_gap());
    assert_eq!(group.leases().len(), 2, "it has deleted its Lease");
    a.leave().await;
    c.leave().await;
    assert!(group.leases().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_ranges_of_a_killed_member_are_taken_over_when_its_lease_has_ended() {
    let group = Group::new();
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    group.forget_gaps();
    let begun = Instant::now();
    b.kill();
    group.is_split(&[&a]).await;
    let took = begun.elapsed();
    assert!(
        took > LEASE - Duration::from_secs(3) && took < LEASE + LIST + Duration::from_secs(2),
        "{took:?}"
    );
    assert!(group.longest_gap() <= took, "{:?}", group.longest_gap());
    // Nothing else deletes its Lease.
    timeout(4 * LEASE, async {
        while group.leases().len() > 1 {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_member_that_cannot_renew_stops_before_another_takes_over() {
    let group = Group::new();
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    let hash = a.held().iter().next().unwrap().first();
    let renewals = Rule::all().user("a").verb("update").resource(LEASES);
    group.server.deny(renewals.clone());
    let begun = Instant::now();
    while a.member.holds(hash) {
        sleep(Duration::from_millis(10)).await;
    }
    let stopped = begun.elapsed();
    assert!(stopped > Duration::from_secs(7) && stopped <= Duration::from_millis(10_020), "{stopped:?}");
    sleep(Duration::from_millis(10)).await;
    assert!(a.member.share().is_lost() && a.held().is_empty(), "{:?}", a.member);
    assert_eq!(a.member.last_error().and_then(|error| error.http_code()), Some(403));
    while !b.member.holds(hash) {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(begun.elapsed() > stopped + Duration::from_secs(4), "{:?} after {stopped:?}", begun.elapsed());
    group.is_split(&[&b]).await;
    // And back.
    group.server.allow(renewals);
    group.is_split(&[&a, &b]).await;
    assert!(!a.member.share().is_lost() && a.member.last_error().is_none(), "{:?}", a.member);
}

#[tokio::test(start_paused = true)]
async fn a_member_without_rights_holds_nothing_and_says_why() {
    let group = Group::new();
    let leases = Rule::all().user("a").resource(LEASES);
    group.server.deny(leases.clone());
    let a = group.join("a");
    let b = group.join("b");
    group.is_split(&[&b]).await;
    assert!(a.held().is_empty() && !a.member.holds(0), "{:?}", a.member);
    assert_eq!(a.member.last_error().and_then(|error| error.http_code()), Some(403));
    group.server.allow(leases);
    group.is_split(&[&a, &b]).await;
    // It can leave, too, without ever having had a Lease.
    group.server.deny(Rule::all().user("c").resource(LEASES));
    let c = group.join("c");
    sleep(Duration::from_secs(3)).await;
    c.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_created_again_and_nothing_moves() {
    let group = Group::new();
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    let (before, name) = (a.held(), group.leases()[0]["metadata"]["name"].as_str().unwrap().to_owned());
    group.forget_gaps();
    group.server.delete(LEASES, Some("default"), &name).unwrap();
    sleep(2 * LEASE).await;
    group.is_split(&[&a, &b]).await;
    assert_eq!(a.held(), before);
    assert_eq!(group.longest_gap(), Duration::ZERO);
}

/// Someone writes nonsense on a Lease, or removes what it says: what it held is what it may hold.
#[tokio::test(start_paused = true)]
async fn an_unreadable_lease_holds_everything_until_it_ends() {
    for annotations in [json!({ "kube-informer/held": "all" }), json!({})] {
        holds_everything_until_it_ends(annotations).await;
    }
}

async fn holds_everything_until_it_ends(annotations: serde_json::Value) {
    let group = Group::new();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {
            "name": "stranger", "namespace": "default",
            "labels": { "kube-informer/shards": "group" }, "annotations": annotations,
        },
        "spec": { "holderIdentity": "stranger", "leaseDurationSeconds": 15 },
    });
    group.server.create(lease).unwrap();
    let a = group.join("a");
    sleep(LEASE - Duration::from_secs(2)).await;
    assert!(a.held().is_empty(), "{:?}", a.member);
    group.is_split(&[&a]).await;
}

#[tokio::test(start_paused = true)]
async fn members_come_and_go_and_no_hash_has_two() {
    let group = Group::new();
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut replicas: Vec<Replica> = Vec::new();
    let names = ["a", "b", "c", "d", "e"];
    for round in 0..60_u32 {
        let pick = rng.random_range(0..100);
        let free = names.iter().find(|name| replicas.iter().all(|replica| replica.name != **name));
        match (free, replicas.len()) {
            (Some(name), 0..2) => replicas.push(group.join(name)),
            (Some(name), _) if pick < 35 => replicas.push(group.join(name)),
            (_, count) if pick < 55 => replicas.swap_remove(round as usize % count).kill(),
            (_, count) if pick < 75 => {
                let leaving = replicas.swap_remove(round as usize % count);
                tokio::spawn(leaving.leave());
            }
            _ => {
                let user = &replicas[round as usize % replicas.len()].name;
                let renewals = Rule::all().user(user).verb("update").resource(LEASES);
                group.server.deny(renewals.clone());
                let (server, seconds) = (group.server.clone(), rng.random_range(1..25));
                tokio::spawn(async move {
                    sleep(Duration::from_secs(seconds)).await;
                    server.allow(renewals);
                });
            }
        }
        sleep(Duration::from_millis(rng.random_range(0..12_000))).await;
    }
    sleep(3 * LEASE).await;
    group.is_split(&replicas.iter().collect::<Vec<_>>()).await;
}
