//! Replicas of a controller that divide its objects, on a paused clock.

mod group;

use kube_runtime::watcher::Event;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use self::group::{Group, Replica, place};
use super::*;
use crate::Scope;
use crate::shard::{By, Member, hash};
use crate::testing::{Fault, FaultAction, Rule};

const LEASE: Duration = Duration::from_secs(15);
const LEASES: &str = "leases.coordination.k8s.io";
/// Each takes some seconds.
const RUNS: usize = 4;

#[tokio::test(start_paused = true)]
async fn replicas_divide_the_objects_and_each_is_reconciled_by_one() {
    for by in [By::Uid, By::Namespace] {
        let group = Group::new(by, 200);
        let a = group.join("a");
        group.is_reconciled().await;
        assert_eq!((group.referee.begun(), a.maps.snapshot().len()), (200, 200));
        let first = timeout(HOUR, a.handle.first_pass()).await.unwrap();
        assert_eq!((first.keys, first.failed), (200, 0));
        let b = group.join("b");
        group.is_split(&[&a, &b]).await;
        sleep(10 * SECOND).await;
        let of_b = b.maps.snapshot().len();
        assert_eq!(a.maps.snapshot().len() + of_b, 200, "each caches its own");
        assert!(of_b > 20, "{of_b}");
        assert_eq!(group.referee.begun(), of_b, "what b has gained, and nothing else, is reconciled again");
        (0..200).for_each(|number| group.change(number, 1));
        group.is_reconciled().await;
        assert_eq!(group.referee.begun(), 200);
        assert_eq!(a.handle.stats().aborted + b.handle.stats().aborted, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sharded_controller_that_stops_hands_over_at_once() {
    let group = Group::new(By::Uid, 100);
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    group.is_reconciled().await;
    let (member, begun) = (b.member.clone(), Instant::now());
    assert_eq!(b.stop().await.unwrap(), Ended::Stopped);
    group.is_split(&[&a]).await;
    assert!(begun.elapsed() < LEASE / 2, "{:?}", begun.elapsed());
    assert!(member.share().held().is_empty());
    (0..100).for_each(|number| group.change(number, 2));
    group.is_reconciled().await;
    // Its member has left for good.
    let maps = Informer::builder(Api::<ConfigMap>::all(group.client("b"))).scope(Scope::any([])).start();
    let again = spawn(Controller::new(&maps).sharded(&member, By::Uid, Scope::all()), |_, _| async {
        Reconciled::Ok(Action::await_change())
    });
    assert_eq!(ended(again).await.unwrap(), Ended::Left);
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_ends_before_its_object_goes_to_another_replica() {
    let mut group = Group::new(By::Uid, 30);
    group.takes = 7 * SECOND;
    let a = group.join("a");
    sleep(5 * SECOND).await;
    assert_eq!(a.handle.stats().active, 4);
    let b = group.join("b");
    // The referee panics if b begins before.
    group.is_split(&[&a, &b]).await;
    group.is_reconciled().await;
    assert!(b.handle.stats().succeeded > 0);
    assert_eq!(a.handle.stats().aborted, 0);
    assert!(a.handle.stats().not_held > 0, "keys that were queued went to b");
}

#[tokio::test(start_paused = true)]
async fn reconciles_are_dropped_when_the_lease_is_lost() {
    let mut group = Group::new(By::Uid, 40);
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    group.is_reconciled().await;
    group.takes = HOUR;
    // From now on, reconciles of c hang.
    let c = group.join("c");
    group.is_split(&[&a, &b, &c]).await;
    sleep(SECOND).await;
    assert_eq!(c.handle.stats().active, 4);
    group.server.deny(Rule::all().user("c").verb("update").resource(LEASES));
    group.is_split(&[&a, &b]).await;
    group.is_reconciled().await;
    assert_eq!((c.handle.stats().active, c.handle.stats().aborted), (0, 4));
    assert!(c.member.share().is_lost());
}

/// As if the process had been stopped for half a minute: nothing runs, and then everything is due at once.
#[tokio::test(start_paused = true)]
async fn a_reconcile_of_a_paused_process_does_not_go_on() {
    let mut group = Group::new(By::Uid, 8);
    group.takes = 2 * SECOND;
    let a = group.join("a");
    while a.handle.stats().active == 0 {
        sleep(SECOND / 10).await;
    }
    let before = group.referee.0.lock().unwrap().done.len();
    tokio::time::advance(2 * LEASE).await;
    sleep(SECOND / 100).await;
    assert_eq!(group.referee.0.lock().unwrap().done.len(), before, "its sleep is over, but it is not polled");
    assert_eq!(a.handle.stats().aborted, 4);
    // It gets its ranges again.
    group.is_reconciled().await;
}

#[tokio::test(start_paused = true)]
async fn no_replica_reconciles_during_an_outage_and_all_go_on_after_it() {
    let mut group = Group::new(By::Uid, 200);
    group.takes = 2 * SECOND;
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    sleep(SECOND).await;
    // The first lists are still being reconciled.
    group.server.inject(Fault::new(FaultAction::Respond { code: 503, retry_after: None }).times(0));
    group.server.disconnect_watches();
    sleep(8 * SECOND).await;
    assert!(group.referee.begun() > 0, "the Leases are valid for some time");
    sleep(4 * SECOND).await;
    group.referee.begun();
    sleep(48 * SECOND).await;
    assert_eq!(group.referee.begun(), 0);
    assert!(a.handle.stats().aborted > 0 && a.handle.stats().active + b.handle.stats().active == 0);
    assert_eq!(a.maps.snapshot().len() + b.maps.snapshot().len(), 200, "the caches stay");
    group.server.clear_faults();
    group.is_split(&[&a, &b]).await;
    group.is_reconciled().await;
}

#[tokio::test(start_paused = true)]
async fn deleted_objects_are_reconciled_by_their_replica() {
    for by in [By::Uid, By::Namespace] {
        let group = Group::new(by, 60);
        let (a, b) = (group.join("a"), group.join("b"));
        group.is_split(&[&a, &b]).await;
        group.is_reconciled().await;
        group.referee.begun();
        for number in 0..60 {
            let (namespace, name) = place(number);
            group.server.delete("configmaps", &*namespace, &name).unwrap();
        }
        sleep(20 * SECOND).await;
        let book = group.referee.0.lock().unwrap();
        assert_eq!((book.begun, book.deleted), (60, 60));
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_sharded_controller_is_cached_by_namespace() {
    let group = Group::new(By::Namespace, 40);
    for number in 0..40 {
        let (namespace, name) = place(number);
        let metadata = json!({ "namespace": namespace, "name": name });
        group.server.create(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata })).unwrap();
    }
    let mut replicas = Vec::new();
    for name in ["a", "b"] {
        let client = group.client(name);
        let member = Member::builder(client.clone(), "group").name(name).lease(LEASE).start();
        let maps = Informer::builder(Api::<ConfigMap>::all(client.clone())).scope(Scope::any([])).start();
        let secrets = Informer::builder(Api::<Secret>::all(client)).scope(Scope::any([])).start();
        let controller = Controller::new(&maps)
            .watches(&secrets, |change, _, emit| emit(change.key().to_owned()))
            .sharded(&member, By::Namespace, Scope::all())
            .follows(&secrets, Scope::all());
        let seen = Seen::default();
        let (handle, run) = (controller.handle(), observe(controller, &seen));
        replicas.push((Replica { member, maps, handle, run }, secrets, seen));
    }
    group.is_split(&[&replicas[0].0, &replicas[1].0]).await;
    settle().await;
    let mut cached = 0;
    for (replica, secrets, seen) in &replicas {
        let secrets = secrets.snapshot();
        assert!(secrets.iter().all(|secret| replica.member.holds(hash(Obj::key(secret).namespace()))));
        assert_eq!(secrets.len(), replica.maps.snapshot().len());
        cached += secrets.len();
        seen.take();
    }
    assert_eq!(cached, 40);
    let patch = json!({ "metadata": { "labels": { "changed": "yes" } } });
    group.server.merge_patch("secrets", "n3", "m3", patch).unwrap();
    settle().await;
    let seen: Vec<_> = replicas.iter().flat_map(|(.., seen)| seen.names()).collect();
    assert_eq!(seen, ["m3"], "by the one that holds n3");
}

#[tokio::test(start_paused = true)]
async fn a_replica_whose_informers_have_not_synced_gets_nothing() {
    let group = Group::new(By::Uid, 20);
    let a = group.join("a");
    group.is_split(&[&a]).await;
    let secrets = Rule::all().user("b").resource("secrets");
    group.server.deny(secrets.clone());
    let client = group.client("b");
    let member = Member::builder(client.clone(), "group").name("b").lease(LEASE).start();
    let maps = Informer::builder(Api::<ConfigMap>::all(client.clone())).scope(Scope::any([])).start();
    let controller = Controller::new(&maps)
        .owns(&Informer::builder(Api::<Secret>::all(client)).start())
        .sharded(&member, By::Uid, Scope::all());
    let (handle, run) = (controller.handle(), observe(controller, &Seen::default()));
    let b = Replica { member, maps, handle, run };
    sleep(2 * LEASE).await;
    assert!(b.member.live() == 2 && b.member.share().held().is_empty(), "{:?}", b.member);
    group.is_split(&[&a]).await;
    group.server.allow(secrets);
    group.is_split(&[&a, &b]).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_belongs_to_one_controller() {
    let group = Group::new(By::Uid, 3);
    let a = group.join("a");
    group.is_reconciled().await;
    let other = Controller::new(&a.maps).sharded(&a.member, By::Uid, Scope::all());
    let other = spawn(other, |_, _| async { Reconciled::Ok(Action::await_change()) });
    assert!(ended(other).await.unwrap_err().is_running());
}

#[tokio::test(start_paused = true)]
async fn an_informer_that_cannot_change_its_scope_ends_the_run() {
    let group = Group::new(By::Uid, 3);
    let client = group.client("a");
    let member = Member::builder(client, "group").start();
    let events = futures_util::stream::pending::<Result<Event<ConfigMap>, kube_runtime::watcher::Error>>();
    let maps = Informer::from_stream(events).start();
    let controller = Controller::new(&maps).sharded(&member, By::Uid, Scope::all());
    let run = spawn(controller, |_, _| async { Reconciled::Ok(Action::await_change()) });
    assert!(ended(run).await.unwrap_err().is_unsupported());
}

#[test]
#[should_panic(expected = "sharded by namespace")]
fn follows_panics_unless_sharded_by_namespace() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    let bench = Bench::new();
    let member = Member::builder(bench.client.clone(), "group").start();
    let controller = Controller::new(&bench.maps).sharded(&member, By::Uid, Scope::all());
    drop(controller.follows(&bench.secrets, Scope::all()));
}

/// Runs of three minutes with kills, stops, joins, and Leases that cannot be renewed, while objects change.
#[tokio::test(start_paused = true)]
async fn replicas_come_and_go_and_no_key_has_two() {
    for run in 0..RUNS {
        let seed: u64 = rand::random();
        println!("run {run}: seed {seed}");
        come_and_go(seed, if run % 2 == 0 { By::Uid } else { By::Namespace }).await;
    }
}

async fn come_and_go(seed: u64, by: By) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut group = Group::new(by, 150);
    group.takes = SECOND / 2;
    let mut replicas: Vec<(&str, Replica)> = Vec::new();
    let names = ["a", "b", "c", "d", "e"];
    let begun = Instant::now();
    let mut value = 0;
    while begun.elapsed() < 180 * SECOND {
        let free = names.iter().find(|name| replicas.iter().all(|(other, _)| other != *name));
        let at = |rng: &mut SmallRng, count: usize| rng.random_range(0..count);
        match (free, replicas.len(), rng.random_range(0..100)) {
            (Some(name), 0..2, _) | (Some(name), _, 0..30) => replicas.push((name, group.join(name))),
            (_, count, 30..50) if count > 1 => replicas.swap_remove(at(&mut rng, count)).1.kill(),
            (_, count, 50..70) if count > 1 => {
                let (_, replica) = replicas.swap_remove(at(&mut rng, count));
                tokio::spawn(replica.stop());
            }
            (_, count, _) => {
                let user = replicas[at(&mut rng, count)].0;
                let renewals = Rule::all().user(user).verb("update").resource(LEASES);
                group.server.deny(renewals.clone());
                let (server, seconds) = (group.server.clone(), rng.random_range(1..25));
                tokio::spawn(async move {
                    sleep(seconds * SECOND).await;
                    server.allow(renewals);
                });
            }
        }
        let pause = Instant::now() + Duration::from_millis(rng.random_range(0..12_000));
        while Instant::now() < pause {
            value += 1;
            match rng.random_range(0..20) {
                0 => {
                    let (namespace, name) = place(rng.random_range(0..150));
                    let _ = group.server.delete("configmaps", &*namespace, &name);
                }
                1 => group.create(rng.random_range(0..150)),
                _ => group.change(rng.random_range(0..150), value),
            }
            sleep(SECOND / 20).await;
        }
    }
    sleep(2 * LEASE).await;
    group.is_split(&replicas.iter().map(|(_, replica)| replica).collect::<Vec<_>>()).await;
    group.is_reconciled().await;
    for (_, replica) in replicas {
        replica.kill();
    }
}
