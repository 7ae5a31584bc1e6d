//! The order in which informers start.

use k8s_openapi::api::core::v1::{Namespace, Pod};

use super::*;

/// The resources of all requests, in order.
fn asked(server: &ApiServer) -> Vec<String> {
    let mut asked: Vec<_> = server.requests().recent().map(|request| request.resource.clone()).collect();
    asked.dedup();
    asked
}

#[tokio::test(start_paused = true)]
async fn informers_start_in_the_order_of_declaration() {
    for _ in 0..10 {
        let (server, registry) = world();
        let _handles = (
            registry.declare::<Secret>(),
            registry.declare::<ConfigMap>(),
            registry.declare::<Namespace>(),
            registry.declare::<Pod>(),
            registry.declare::<Secret>(),
        );
        registry.start();
        synced(&registry).await;
        assert_eq!(asked(&server), ["secrets", "configmaps", "namespaces", "pods"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_told_to_wait_lists_once_the_others_have_synced() {
    let (server, registry) = world();
    deny(&server, "secrets");
    // Later informers are declared first, and only the last one has a handle.
    let pods = registry.declare::<Pod>();
    pods.after(&registry.declare::<ConfigMap>()).unwrap();
    pods.after(&registry.declare::<Namespace>()).unwrap();
    registry.declare::<ConfigMap>().after(&registry.declare::<Secret>()).unwrap();
    assert_eq!(not_synced(&registry)[0], "pods: not started");
    registry.start();
    let mut informer = Box::pin({
        let informer = pods.informer();
        async move { informer.synced().await }
    });
    assert!(timeout(LONG, &mut informer).await.is_err(), "it did not wait");
    let wait = not_synced(&registry);
    assert_eq!(wait[0], "pods: waits for configmaps");
    assert_eq!(wait[1], "configmaps: waits for secrets");
    assert!(wait[2].starts_with("secrets: ") && wait[2].contains("403"), "{wait:?}");
    assert_eq!(asked(&server), ["namespaces", "secrets"]);

    allow(&server, "secrets");
    timeout(LONG, informer).await.expect("it waits for what has come").unwrap();
    assert_eq!(asked(&server), ["namespaces", "secrets", "configmaps", "pods"]);
}

#[tokio::test(start_paused = true)]
async fn a_circle_is_refused() {
    let (_server, registry) = world();
    let (maps, pods, secrets) =
        (registry.declare::<ConfigMap>(), registry.declare::<Pod>(), registry.declare::<Secret>());
    let itself = maps.after(&registry.declare::<ConfigMap>()).unwrap_err();
    assert!(itself.is_circular());
    maps.after(&pods).unwrap();
    pods.after(&secrets).unwrap();
    pods.after(&secrets).unwrap();
    for circle in [pods.after(&maps), secrets.after(&maps)] {
        let error = circle.unwrap_err();
        assert!(
            error.is_circular() && error.to_string().ends_with("for configmaps, which waits for it"),
            "{error}"
        );
    }
    registry.start();
    synced(&registry).await;
    maps.after(&secrets).expect("it did wait");
    assert!(maps.after(&registry.declare::<Namespace>()).unwrap_err().is_started());
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_before_it_has_synced_is_waited_for_in_vain_and_named() {
    let (server, registry) = world();
    deny(&server, "secrets");
    let (maps, secrets) = (registry.declare::<ConfigMap>(), registry.declare::<Secret>());
    maps.after(&secrets).unwrap();
    registry.start();
    let waiting = tokio::spawn({
        let registry = registry.clone();
        async move { registry.synced().await }
    });
    tokio::time::sleep(LONG).await;
    secrets.informer().shutdown().await;
    let error = timeout(LONG, waiting).await.unwrap().unwrap().unwrap_err();
    assert!(error.is_stopped() && error.to_string().starts_with("secrets: "), "{error}");
    tokio::time::sleep(LONG).await;
    assert_eq!(server.requests().count("watch", "configmaps"), 0);
    assert!(not_synced(&registry)[0].starts_with("configmaps: waits for secrets"), "{registry:?}");
    timeout(LONG, maps.informer().shutdown()).await.expect("it cannot be ended while it waits");
}
