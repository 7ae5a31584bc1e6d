//! Members on the in-process server, on a paused clock, with a referee.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::group::{Group, LEASE, LEASES, LIST, Replica};
use crate::testing::Rule;

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
    // Nothing else deletes its Lease, and one that joins would wait for its end.
    timeout(LEASE / 3, async {
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
