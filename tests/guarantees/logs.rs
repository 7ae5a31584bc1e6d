//! What an informer logs at the default level: one line for each change that an operator acts on.

use std::time::Duration;

use kube_client::Api;
use kube_informer::shard::Member;
use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Absent, Config, Informer};
use serde_json::json;
use tokio::time::sleep;

use crate::captured::Captured;
use crate::faults::respond;
use crate::member::follow;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn one_warning_for_each_streak_of_failures_and_one_line_when_it_is_over() {
    let server = server();
    let log = Captured::default();
    let _capturing = log.info();
    let api = Api::<Widget>::namespaced(kube_client::Client::new(server.service(), "default"), "a");
    let informer = Informer::builder(api).labels("app=web").start();
    let span = "informer{kind=\"widgets.example.com\" scope=in a with labels app=web}:";
    informer.synced().await.unwrap();
    settle().await;
    assert_eq!(log.lines(), [format!("INFO {span} synced")]);

    // A watch that ends in order, or breaks and recovers, is not logged.
    server.disconnect_watches();
    settle().await;
    assert_eq!(log.lines(), [""; 0]);

    for (fault, error) in
        [(respond(503), "503"), (FaultAction::Reset, "the request failed"), (respond(500), "500")]
    {
        server.inject(Fault::new(fault).times(0));
        server.disconnect_watches();
        sleep(Duration::from_secs(600)).await;
        let lines = log.lines();
        let [line] = &lines[..] else { panic!("not one line for a streak: {lines:#?}") };
        assert!(line.starts_with(&format!("WARN {span} cannot follow the API server; retrying")), "{line}");
        assert!(line.contains(error), "{line}");
        server.clear_faults();
        sleep(Duration::from_secs(60)).await;
        let lines = log.lines();
        let [line] = &lines[..] else { panic!("not one line for a recovery: {lines:#?}") };
        assert!(line.starts_with(&format!("INFO {span} recovered stale=Some(6")), "{line}");
    }
    informer.shutdown().await;
    assert_eq!(log.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_refused_or_not_installed_is_a_warning_of_its_own() {
    let server = server();
    assert!(server.uninstall(WIDGETS));
    let log = Captured::default();
    let _capturing = log.info();
    let waiting = Informer::builder(api(&server)).start();
    sleep(Duration::from_secs(600)).await;
    let lines = log.lines();
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(line.starts_with("WARN ") && line.contains("does not serve the kind"), "{line}");
    waiting.shutdown().await;

    let empty = Informer::builder(api(&server)).config(Config::new().absent(Absent::Empty)).start();
    empty.synced().await.unwrap();
    sleep(Duration::from_secs(600)).await;
    let lines = log.lines();
    assert!(
        matches!(&lines[..], [absent, synced] if absent.contains("the kind is not installed") && synced.contains("synced")),
        "{lines:#?}"
    );
}

/// As long as nothing else says why no member works.
#[tokio::test(start_paused = true)]
async fn hashes_without_a_member_are_one_warning_and_one_line_when_it_is_over() {
    let server = ApiServer::new();
    let log = Captured::default();
    let _capturing = log.info();
    let stranger = |seconds: u32| {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "x", "namespace": "default", "labels": { "kube-informer/shards": "group" } },
            "spec": { "holderIdentity": "x", "leaseDurationSeconds": seconds },
        })
    };
    server.create(stranger(300)).unwrap();
    let member = Member::builder(kube_client::Client::new(server.service(), "default"), "group").start();
    let follows = follow(&member);
    sleep(Duration::from_secs(200)).await;
    let ours = |log: &Captured| -> Vec<String> {
        let lines = log.lines().into_iter();
        lines
            .filter_map(|line| Some(line.split_once("kube_informer::shard::member::task: ")?.1.to_owned()))
            .collect()
    };
    let all = "0x0000000000000000..0x10000000000000000";
    assert_eq!(ours(&log), [format!("hashes have no member group=group hashes={all}")]);
    assert!(member.uncovered(Duration::from_secs(199)).is_all());
    sleep(Duration::from_secs(200)).await;
    assert_eq!(ours(&log), ["all hashes have a member again group=group"]);
    assert!(member.share().held().is_all());
    member.leave().await;
    follows.await.unwrap();
}
