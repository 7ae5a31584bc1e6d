//! Waiting for the client's own writes, and for any state.

use std::time::Duration;

use futures_util::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_informer::testing::{ApiServer, FaultAction};
use tokio::time::timeout;

use crate::support::*;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn at_least_answers_with_a_snapshot_that_contains_the_write() {
    let server = server();
    populate(&server, 5, 1);
    server.set_latency(Duration::from_millis(20));
    let indexed = start(kept(&server));
    let informer = &indexed.informer;
    // Also before the first list.
    for round in 2..30 {
        set(&server, "a", "w001", round);
        let written = from_json(&server.get(WIDGETS, "a", "w001").unwrap());
        let snapshot = timeout(SOON, informer.at_least(&written)).await.unwrap().unwrap();
        assert_eq!(snapshot.get(("a", "w001")).unwrap().number, round);
        indexed.assert_consistent(&snapshot);
        // A write that is already cached returns at once.
        assert!(informer.at_least(&written).now_or_never().is_some());
        if round % 7 == 0 {
            settle().await;
            set(&server, "a", "w002", round);
            force_relist(&server);
        }
    }
    let old = from_json(&server.get(WIDGETS, "a", "w001").unwrap());
    set(&server, "a", "w001", 100);
    assert!(informer.at_least(&old).now_or_never().is_some(), "something newer will do");
}

#[tokio::test(start_paused = true)]
async fn at_least_is_reached_by_a_bookmark_where_the_write_is_not_ours_to_see() {
    let server = server();
    populate(&server, 2, 1);
    let informer = kept(&server).labels("app=web").start();
    informer.synced().await.unwrap();
    settle().await;
    set(&server, "a", "w001", 2);
    let written = from_json(&server.get(WIDGETS, "a", "w001").unwrap());
    let snapshot = timeout(Duration::from_secs(70), informer.at_least(&written)).await.unwrap().unwrap();
    assert!(snapshot.is_empty());
}

#[tokio::test(start_paused = true)]
async fn at_least_errs_where_it_cannot_know_and_when_the_informer_stops() {
    let server = server();
    populate(&server, 2, 1);
    let informer = kept(&server).start();
    informer.synced().await.unwrap();
    let mut written = from_json(&server.get(WIDGETS, "a", "w001").unwrap());
    for version in [None, Some("one".to_owned())] {
        written.metadata.resource_version = version;
        assert!(informer.at_least(&written).await.unwrap_err().is_version_unordered());
    }
    assert!(informer.at_least(&ConfigMap::default()).await.unwrap_err().is_version_unordered());
    // A version far in the future: many callers wait, some are cancelled, and all others end with the
    // informer.
    written.metadata.resource_version = Some("99999999999999999999999999".to_owned());
    let waiters: Vec<_> = (0..100)
        .map(|_| {
            let (informer, written) = (informer.clone(), written.clone());
            tokio::spawn(async move { informer.at_least(&written).await.map(drop) })
        })
        .collect();
    assert!(timeout(Duration::from_secs(3600), informer.at_least(&written)).await.is_err());
    informer.shutdown().await;
    for waiter in waiters {
        assert!(waiter.await.unwrap().unwrap_err().is_stopped());
    }
}

#[tokio::test(start_paused = true)]
async fn every_waiter_of_a_state_is_woken_by_it() {
    let server = server();
    populate(&server, 2, 0);
    let indexed = start(kept(&server));
    let waiters: Vec<_> = (1..=100_u64)
        .map(|number| {
            let informer = indexed.informer.clone();
            tokio::spawn(async move {
                let reached = |view: &kube_informer::View<Kept>| {
                    view.get(("a", "w001")).is_some_and(|kept| kept.number >= number)
                };
                let snapshot = informer.wait_until(reached).await.unwrap();
                snapshot.get(("a", "w001")).unwrap().number
            })
        })
        .collect();
    for number in 1..=100 {
        set(&server, "a", "w001", number);
        if number % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for (number, waiter) in (1..).zip(waiters) {
        assert!(timeout(SOON, waiter).await.expect("woken").unwrap() >= number);
    }
    // A wait for a delete works in the same way, also with a fault in between.
    settle().await;
    server.inject(kube_informer::testing::Fault::new(FaultAction::CutStream).verb("watch"));
    server.delete(WIDGETS, "a", "w001").unwrap();
    let gone = indexed.informer.wait_until(|view| view.get(("a", "w001")).is_none());
    timeout(SOON, gone).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_reached_last_is_still_found_after_the_end() {
    let server: ApiServer = server();
    populate(&server, 2, 1);
    let informer = kept(&server).start();
    informer.synced().await.unwrap();
    informer.shutdown().await;
    assert!(informer.wait_until(|view| view.len() == 2).await.is_ok());
    assert!(informer.wait_until(|view| view.len() == 3).await.unwrap_err().is_stopped());
}
