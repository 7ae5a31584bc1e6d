//! Shutdown, and what it drops.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;

use super::*;

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_those_whose_handles_are_gone() {
    let (_server, registry) = world();
    let before = tasks();
    let maps = registry.declare::<ConfigMap>();
    registry.start();
    synced(&registry).await;
    // One informer is dropped, another of the same kind is declared and dropped, and one was never started.
    drop(maps);
    let again = registry.declare::<ConfigMap>();
    registry.start();
    drop(again);
    let _idle = registry.declare::<Secret>();
    assert!(tasks() > before);
    timeout(LONG, registry.shutdown()).await.unwrap();
    assert_eq!(tasks(), before);
    timeout(LONG, registry.shutdown()).await.expect("there is nothing to wait for");
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_remembered() {
    let (_server, registry) = world();
    for _ in 0..50 {
        let maps = registry.declare::<ConfigMap>();
        registry.start();
        synced(&registry).await;
        let informer = maps.informer();
        drop(maps);
        ended(informer).await;
    }
    assert_eq!(lock(&registry.inner.running).len(), 1);
}

/// A value of an application that uses its own handle when it is dropped.
struct Meddler {
    declared: SharedInformer<ConfigMap>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Meddler {
    fn drop(&mut self) {
        let error = self.declared.index(|_: &ConfigMap| 0).unwrap_err();
        assert!(error.is_stopped() && error.to_string().contains("configmaps"), "{error}");
        assert!(self.declared.config(Config::new()).is_err());
        let _ = self.declared.informer().shutdown().now_or_never();
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn closures_are_dropped_without_a_lock() {
    type End = fn(Registry, Informer<ConfigMap>);
    let ends: [End; 3] = [
        |registry, _| assert!(registry.shutdown().now_or_never().is_some()),
        |_, informer| assert!(informer.shutdown().now_or_never().is_some()),
        |registry, _| drop(registry),
    ];
    for end in ends {
        let (_server, registry) = world();
        let dropped = Arc::new(AtomicUsize::new(0));
        let declared = registry.declare::<ConfigMap>();
        let captured = Meddler { declared: declared.clone(), dropped: dropped.clone() };
        let index = declared.index(move |_: &ConfigMap| captured.dropped.load(Ordering::Relaxed));
        assert!(index.is_ok());
        end(registry, declared.informer());
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }
}
