//! Members whose connection, clock, name, Lease or application is not as it should be.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance, sleep, timeout};

use super::group::{Group, LEASE, LEASES, LIST, Replica, Setup};
use crate::testing::{Fault, FaultAction, Rule};

const SECOND: Duration = Duration::from_secs(1);

/// Waits until it is so. On a paused clock, this costs nothing.
async fn until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let reached = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(within, reached).await.unwrap_or_else(|_| panic!("{what}: not within {within:?}"));
}

#[tokio::test(start_paused = true)]
async fn members_with_different_numbers_of_slots_share_all_hashes() {
    let group = Group::new();
    let few = Setup { slots: 64, ..Setup::default() };
    let (a, b, c) = (group.join_as("a", few), group.join_as("b", few), group.join_as("c", few));
    group.is_split(&[&a, &b, &c]).await;
    // A rolling update, in which the new version has more slots.
    let d = group.join("d");
    group.is_split(&[&a, &b, &c, &d]).await;
    a.leave().await;
    let e = group.join("e");
    group.is_split(&[&b, &c, &d, &e]).await;
    b.kill();
    group.is_split(&[&c, &d, &e]).await;
    c.leave().await;
    // And back: the last one with more has left.
    let a = group.join_as("a", few);
    d.leave().await;
    e.leave().await;
    group.is_split(&[&a]).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_minute_stops_all_and_all_go_on_after_it() {
    let silent = FaultAction::Hang;
    let broken = FaultAction::Respond { code: 503, retry_after: None };
    for action in [silent, broken, FaultAction::Reset] {
        let group = Group::new();
        let replicas = [group.join("a"), group.join("b"), group.join("c")];
        group.is_split(&replicas.each_ref()).await;
        let held = replicas.each_ref().map(Replica::held);
        group.server.inject(Fault::new(action).times(0));
        group.server.disconnect_watches();
        let begun = Instant::now();
        // For a while, they go on ...
        sleep(7 * SECOND).await;
        assert_eq!(replicas.each_ref().map(Replica::held), held);
        // ... but not longer than their Leases allow.
        sleep(3 * SECOND + Duration::from_millis(20)).await;
        for replica in &replicas {
            assert!(replica.member.share().is_lost() && replica.held().is_empty(), "{:?}", replica.member);
            assert!(!replica.member.holds(0) && replica.member.last_error().is_some());
        }
        sleep(begun + 60 * SECOND - Instant::now()).await;
        let uncovered = replicas[0].member.uncovered(40 * SECOND);
        assert!(uncovered.is_all(), "{uncovered}");
        group.server.clear_faults();
        let ended = Instant::now();
        group.is_split(&replicas.each_ref()).await;
        assert!(ended.elapsed() < LEASE + LIST, "{:?}", ended.elapsed());
        sleep(LEASE).await;
        group.is_split(&replicas.each_ref()).await;
        assert!(replicas[0].member.uncovered(Duration::ZERO).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn two_members_of_one_name_have_a_share_each() {
    let group = Group::new();
    let (a, b, other) = (group.join("a"), group.join("b"), group.join("a"));
    group.is_split(&[&a, &b, &other]).await;
    a.kill();
    group.is_split(&[&b, &other]).await;
    // It starts again while its last run seems to be live.
    let again = group.join("a");
    other.kill();
    group.is_split(&[&b, &again]).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_sees_nothing_keeps_what_it_holds_and_gets_no_more() {
    let group = Group::new();
    let (a, b, c) = (group.join("a"), group.join("b"), group.join("c"));
    group.is_split(&[&a, &b, &c]).await;
    group.forget_gaps();
    a.link.hang_reads(&group.server, true);
    let held = a.held();
    c.kill();
    let rest = || b.held().fraction() + held.fraction() > 0.999;
    until("b has the rest", 3 * LEASE, rest).await;
    assert!(group.longest_gap() < LEASE + LEASE / 3 + LIST + 3 * SECOND, "{:?}", group.longest_gap());
    assert_eq!(a.held(), held);
    assert!(a.member.last_error().is_some(), "{:?}", a.member);
    assert!(b.member.uncovered(Duration::ZERO).is_empty());
    // Later it sees again.
    a.link.hang_reads(&group.server, false);
    group.is_split(&[&a, &b]).await;
    assert!(a.member.last_error().is_none(), "{:?}", a.member.last_error());
}

/// As over a connection that is half open: no request fails.
#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_noticed_within_the_time_of_a_lease() {
    let group = Group::new();
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    a.link.stall();
    let begun = Instant::now();
    b.kill();
    group.is_split(&[&a]).await;
    assert!(begun.elapsed() < LEASE + LIST + 4 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_writes_hang_stops_and_sees_the_others_go_on() {
    let group = Group::new();
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    a.link.hang_writes(true);
    let begun = Instant::now();
    until("a is lost", LEASE, || a.member.share().is_lost()).await;
    assert!(begun.elapsed() <= 2 * LEASE / 3 + Duration::from_millis(20), "{:?}", begun.elapsed());
    group.is_split(&[&b]).await;
    until("a sees that b has all", LEASE, || a.member.uncovered(Duration::ZERO).is_empty()).await;
    a.link.hang_writes(false);
    group.is_split(&[&a, &b]).await;
}

/// Without the right to read, it would wait for ranges that it cannot see.
#[tokio::test(start_paused = true)]
async fn a_member_without_the_right_to_read_has_no_lease_and_says_why() {
    let group = Group::new();
    group.server.deny(Rule::all().user("a").verb("list").verb("watch").resource(LEASES));
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&b]).await;
    assert_eq!(group.leases().len(), 1);
    assert_eq!(a.member.last_error().and_then(|error| error.http_code()), Some(403));
    assert!(a.member.uncovered(Duration::ZERO).is_all(), "as it sees it");
    a.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_an_hour_off_changes_nothing() {
    let group = Group::new();
    let ahead = |ahead| Setup { ahead, ..Setup::default() };
    let (a, b, c) = (group.join("a"), group.join_as("b", ahead(1)), group.join_as("c", ahead(-1)));
    group.is_split(&[&a, &b, &c]).await;
    let times: std::collections::BTreeSet<String> = group
        .leases()
        .iter()
        .map(|lease| lease["spec"]["renewTime"].as_str().unwrap()[..13].to_owned())
        .collect();
    assert_eq!(times.len(), 3, "{times:?}");
    sleep(4 * LEASE).await;
    group.is_split(&[&a, &b, &c]).await;
    assert_eq!(a.member.live(), 3);
    group.forget_gaps();
    let begun = Instant::now();
    b.kill();
    group.is_split(&[&a, &c]).await;
    let took = begun.elapsed();
    assert!(took > LEASE - 3 * SECOND && took < LEASE + LIST + 3 * SECOND, "{took:?}");
    // A clock jumps, far back.
    c.link.set_ahead(-30);
    sleep(2 * LEASE).await;
    group.is_split(&[&a, &c]).await;
    assert!(group.longest_gap() <= took, "{:?}", group.longest_gap());
}

#[tokio::test(start_paused = true)]
async fn a_range_that_no_application_caches_is_uncovered() {
    let group = Group::new();
    let a = group.join("a");
    group.is_split(&[&a]).await;
    // Its application never says that anything is cached.
    let mut b = group.join_as("b", Setup { follows: false, ..Setup::default() });
    until("a sees b", LEASE, || a.member.live() == 2).await;
    sleep(LEASE).await;
    assert!(a.held().is_all() && a.member.uncovered(Duration::ZERO).is_empty(), "a keeps it: {:?}", a.member);
    a.kill();
    let c = group.join("c");
    until("c has its half", 3 * LEASE, || c.held().fraction() > 0.4).await;
    until("the rest has no member", 3 * LEASE, || !c.member.uncovered(LEASE).is_empty()).await;
    sleep(4 * LEASE).await;
    let uncovered = c.member.uncovered(3 * LEASE);
    assert_eq!(uncovered, c.held().complement());
    assert!(c.member.uncovered(100 * LEASE).is_empty());
    b.begin_to_follow();
    group.is_split(&[&b, &c]).await;
    assert!(c.member.uncovered(Duration::ZERO).is_empty());
}

/// Nothing else would say why no member works.
#[tokio::test(start_paused = true)]
async fn what_a_stranger_blocks_is_uncovered() {
    let group = Group::new();
    let stranger = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {
            "name": "stranger", "namespace": "default", "labels": { "kube-informer/shards": "group" },
        },
        "spec": { "holderIdentity": "stranger", "leaseDurationSeconds": 1_000_000 },
    });
    group.server.create(stranger).unwrap();
    let a = group.join("a");
    until("it is reported", 2 * LEASE, || a.member.uncovered(LEASE).is_all()).await;
    assert!(a.held().is_empty());
    assert_eq!(a.member.share().to_cache().fraction(), 1.0, "a stranger has no share");
    group.server.delete(LEASES, Some("default"), "stranger").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_member_alone_takes_over_from_members_that_were_all_killed() {
    let group = Group::new();
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    a.kill();
    b.kill();
    sleep(3 * SECOND).await;
    let (c, begun) = (group.join("c"), Instant::now());
    group.is_split(&[&c]).await;
    assert!(begun.elapsed() < LEASE + LIST + 3 * SECOND, "{:?}", begun.elapsed());
}

/// Something writes to all Leases from time to time.
#[tokio::test(start_paused = true)]
async fn a_killed_member_is_not_kept_alive_by_writes_of_others() {
    let group = Group::new();
    let (a, b) = (group.join("a"), group.join("b"));
    group.is_split(&[&a, &b]).await;
    b.kill();
    let (server, begun) = (group.server.clone(), Instant::now());
    let touching = tokio::spawn(async move {
        for number in 0.. {
            sleep(3 * SECOND).await;
            for lease in server.list(LEASES, None).unwrap()["items"].as_array().unwrap() {
                let name = lease["metadata"]["name"].as_str().unwrap();
                let touch = json!({ "metadata": { "annotations": { "touched": format!("{number}") } } });
                server.merge_patch(LEASES, Some("default"), name, touch).unwrap();
            }
        }
    });
    group.is_split(&[&a]).await;
    assert!(begun.elapsed() < LEASE + LIST + 3 * SECOND, "{:?}", begun.elapsed());
    touching.abort();
}

/// The response of a renewal arrives when the process goes on, which is too late.
#[tokio::test(start_paused = true)]
async fn a_process_that_was_paused_during_a_renewal_has_lost_its_lease() {
    let group = Group::new();
    let a = group.join_as("a", Setup::default());
    group.is_split(&[&a]).await;
    a.link.hold_responses(true);
    until("a renewal is in flight", LEASE, || a.link.held_back() > 0).await;
    a.link.hold_responses(false);
    // So that it stays as it is after that.
    a.link.hang_writes(true);
    advance(LEASE).await;
    until("it has noticed", SECOND, || a.member.share().is_lost()).await;
    assert!(a.held().is_empty(), "{:?}", a.member);
    a.link.hang_writes(false);
    group.is_split(&[&a]).await;
}

/// Its own Lease, which it sees before the response to its creation, is not that of another member.
#[tokio::test(start_paused = true)]
async fn a_member_that_sees_its_lease_early_does_not_take_it_for_another() {
    let group = Group::new();
    let a = group.join("a");
    a.link.hold_responses(true);
    until("its Lease is there", LEASE, || group.leases().len() == 1).await;
    sleep(SECOND).await;
    assert_eq!(a.member.live(), 0, "it is none yet, and there is no other");
    a.link.hold_responses(false);
    group.is_split(&[&a]).await;
    sleep(8 * LEASE).await;
    assert_eq!(group.server.requests().count("delete", LEASES), 0);
}

/// A response that is lost, and then the member leaves.
#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_while_its_lease_is_created_deletes_it() {
    let group = Group::new();
    let a = group.join("a");
    a.link.hold_responses(true);
    until("its Lease is there", LEASE, || group.leases().len() == 1).await;
    // The creation times out, and the next attempt finds the Lease.
    until("it has tried again", LEASE, || a.link.held_back() > 1).await;
    let member = a.member.clone();
    let leaving = tokio::spawn(async move { member.leave().await });
    sleep(SECOND).await;
    a.link.hold_responses(false);
    timeout(LEASE, leaving).await.unwrap().unwrap();
    assert!(group.leases().is_empty(), "{:?}", group.leases());
}

/// The new member cannot know of the claim of the other. Once they see each other, one of them stops.
#[tokio::test(start_paused = true)]
async fn two_that_hold_one_hash_after_a_lease_was_deleted_do_not_stay_so() {
    let group = Group::new();
    let a = group.join("a");
    group.is_split(&[&a]).await;
    a.link.hang_writes(true);
    let name = group.leases()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    group.server.delete(LEASES, Some("default"), &name).unwrap();
    let c = group.unwatched().join("c");
    until("c has all", 8 * SECOND, || c.held().is_all()).await;
    let both = || a.held().intersection(&c.held());
    assert!(!both().is_empty(), "a has not lost its Lease yet: {:?}", a.member);
    a.link.hang_writes(false);
    let all = || a.held().union(&c.held());
    until("they have divided all", LEASE + LIST, || both().is_empty() && all().is_all()).await;
}

/// It is the time without an announcement in which others can be mistaken.
#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_created_again_at_once() {
    let group = Group::new();
    let a = group.join("a");
    group.is_split(&[&a]).await;
    let name = group.leases()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    // Just after a renewal.
    let renewed = group.leases()[0]["metadata"]["resourceVersion"].clone();
    until("it is renewed", LEASE, || group.leases()[0]["metadata"]["resourceVersion"] != renewed).await;
    group.server.delete(LEASES, Some("default"), &name).unwrap();
    until("it is back", SECOND / 2, || group.leases().len() == 1).await;
    assert!(a.held().is_all());
}
