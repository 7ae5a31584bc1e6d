//! What a registry shows of its informers.

use super::*;
use crate::Phase;
use crate::testing::{Fault, FaultAction};

#[tokio::test(start_paused = true)]
async fn every_informer_with_a_handle_is_shown_in_the_order_of_declaration() {
    let (_server, registry) = world();
    assert!(registry.stats().is_empty());
    let text = registry.declare_in::<Text>(Scope::namespace("default").labels("text=one"));
    let dropped = registry.declare::<Secret>();
    let length = registry.declare::<Length>();
    registry.start();
    synced(&registry).await;
    drop(dropped);
    let changes = text.informer().subscribe();
    let [first, second] = &registry.stats()[..] else { panic!("{registry:?}") };
    assert_eq!((first.kind.as_str(), first.stored.as_str()), ("configmaps", "Text"));
    assert_eq!(first.scope, Scope::namespace("default").labels("text=one"));
    assert_eq!((first.stats.objects, first.stats.subscribers), (1, 1));
    assert_eq!(
        (second.kind.as_str(), second.stored.as_str(), &second.scope),
        ("configmaps", "Length", &Scope::all())
    );
    assert_eq!((second.stats.objects, second.status.phase), (3, Phase::Watching));
    assert_eq!(second.stale_for(), Duration::ZERO);
    let line = first.to_string();
    assert!(
        line.starts_with("configmaps in default with labels text=one: watching, 1 object at version "),
        "{line}"
    );
    drop((changes, length));
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_for_longer_than_the_limit_is_stale_and_says_why() {
    let (server, registry) = world();
    let limit = Duration::from_secs(60);
    let maps = registry.declare::<ConfigMap>();
    deny(&server, "secrets");
    let secrets = registry.declare::<Secret>();
    registry.start();
    timeout(LONG, maps.informer().synced()).await.unwrap().unwrap();
    tokio::time::sleep(2 * limit).await;
    assert!(registry.stale(limit).is_empty(), "secrets have not synced: {registry:?}");

    server.inject(Fault::new(FaultAction::Reset).resource("configmaps").times(0));
    server.disconnect_watches();
    tokio::time::sleep(limit / 2).await;
    assert!(registry.stale(limit).is_empty());
    tokio::time::sleep(limit).await;
    let [stale] = &registry.stale(limit)[..] else { panic!("{registry:?}") };
    assert_eq!(stale.kind, "configmaps");
    let line = stale.to_string();
    assert!(
        line.starts_with("configmaps: backing off, stale for ")
            && line.contains("configmaps: the request failed"),
        "{line}"
    );

    server.clear_faults();
    tokio::time::sleep(limit).await;
    assert!(registry.stale(limit).is_empty(), "{registry:?}");
    maps.informer().shutdown().await;
    tokio::time::sleep(2 * limit).await;
    assert_eq!(registry.stale(limit)[0].status.phase, Phase::Stopped);
    drop(secrets);
}
