//! A leader election by a crate of others, which applies its lease without force.

use std::time::Duration;

use kube_client::Client;
use kube_informer::testing::ApiServer;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use serde_json::json;

const LEASES: &str = "leases.coordination.k8s.io";

async fn candidate(server: &ApiServer, name: &str) -> LeaseManager {
    let client = Client::new(server.service(), "default");
    let builder = LeaseManagerBuilder::new(client, "leader").with_namespace("default").with_identity(name);
    builder.build().await.unwrap()
}

/// Its next change, which on the paused clock is there soon or never.
async fn changed(candidate: &LeaseManager) -> bool {
    let changed = tokio::time::timeout(Duration::from_secs(3600), candidate.changed());
    changed.await.expect("the lease changes").unwrap()
}

fn holder(server: &ApiServer) -> Option<String> {
    let lease = server.get(LEASES, "default", "leader").unwrap();
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_acquired_released_and_lost() {
    let server = ApiServer::new();
    let (a, b) = (candidate(&server, "a").await, candidate(&server, "b").await);
    assert!(changed(&a).await);
    assert_eq!(holder(&server).as_deref(), Some("a"));

    a.release().await.unwrap();
    assert!(!changed(&a).await);
    assert_eq!(holder(&server), None);
    assert!(changed(&b).await);
    assert_eq!(holder(&server).as_deref(), Some("b"));

    // Taken from it by force; it sees that when it renews.
    let taken = json!({ "spec": { "holderIdentity": "c" } });
    server.merge_patch(LEASES, "default", "leader", taken).unwrap();
    assert!(!changed(&b).await);
    assert_eq!(holder(&server).as_deref(), Some("c"));
}
