//! A reconcile's own writes.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_core::future::BoxFuture;
use kube_client::api::{Patch, PatchParams};

use super::*;
use crate::testing::{Fault, FaultAction};

/// No watch delivers anything until the faults are cleared.
fn hold_watches(server: &ApiServer) {
    let down = FaultAction::Respond { code: 503, retry_after: None };
    server.inject(Fault::new(down.clone()).verb("watch").times(0));
    server.inject(Fault::new(down).verb("list").times(0));
    server.disconnect_watches();
}

type Counting = Box<dyn Fn(Obj<ConfigMap>, Context<()>) -> BoxFuture<'static, Reconciled> + Send + Sync>;

/// Increments the value of "m", which must not be older than the write before. Reports its write if `reports`. Also
/// returns how often it was.
fn counting(bench: &Bench, reports: bool) -> (Counting, Arc<AtomicUsize>) {
    let (api, stale) = (bench.api(), Arc::new(AtomicUsize::new(0)));
    let (found, last) = (stale.clone(), Arc::new(AtomicUsize::new(0)));
    let reconcile = move |map: Obj<ConfigMap>, ctx: Context<()>| {
        let (api, found, last) = (api.clone(), found.clone(), last.clone());
        Box::pin(async move {
            if Obj::name(&map) != "m" {
                return Ok(Action::await_change());
            }
            let seen: usize = value(&map).parse().unwrap();
            if seen < last.load(SeqCst) {
                found.fetch_add(1, SeqCst);
            }
            if seen < 3 {
                let patch = Patch::Merge(json!({ "data": { "value": (seen + 1).to_string() } }));
                let written = api.patch("m", &PatchParams::default(), &patch).await.unwrap();
                last.store(seen + 1, SeqCst);
                if reports {
                    ctx.written(&written);
                }
            }
            Ok(Action::await_change())
        }) as _
    };
    (Box::new(reconcile), stale)
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_never_sees_a_primary_older_than_its_last_write() {
    for reports in [true, false] {
        let bench = Bench::new();
        bench.map("m", "0");
        bench.map("other", "0");
        bench.maps.synced().await.unwrap();
        hold_watches(&bench.server);
        let (reconcile, stale) = counting(&bench, reports);
        let controller = Controller::new(&bench.maps);
        let handle = controller.handle();
        let run = spawn(controller, reconcile);
        tokio::time::sleep(SECOND).await;
        // Something else queues the key while the cache is behind.
        handle.enqueue(ObjectKey::new("default", "m"));
        handle.enqueue(ObjectKey::new("default", "other"));
        tokio::time::sleep(SECOND).await;
        let stats = handle.stats();
        if !reports {
            assert!(stale.load(SeqCst) > 0, "without the report, the test finds an older object");
            run.abort();
            continue;
        }
        assert_eq!((stats.waited_for_write, stats.active), (1, 0), "it waits, and holds no worker");
        assert_eq!(stats.succeeded, 3, "the other key is reconciled meanwhile");
        bench.server.clear_faults();
        tokio::time::sleep(20 * SECOND).await;
        assert_eq!(value(&bench.maps.get(("default", "m")).unwrap()), "3");
        assert_eq!((stale.load(SeqCst), handle.stats().write_not_received), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_arrives_delays_its_key_for_a_limited_time() {
    let bench = Bench::new();
    bench.map("m", "0");
    bench.maps.synced().await.unwrap();
    hold_watches(&bench.server);
    let (reconcile, stale) = counting(&bench, true);
    let controller = Controller::new(&bench.maps).written_within(10 * SECOND);
    let handle = controller.handle();
    spawn(controller, reconcile);
    tokio::time::sleep(SECOND).await;
    handle.enqueue(ObjectKey::new("default", "m"));
    tokio::time::sleep(8 * SECOND).await;
    assert_eq!((handle.stats().succeeded, handle.stats().write_not_received), (1, 0));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!((handle.stats().succeeded, handle.stats().write_not_received), (2, 1));
    assert_eq!(stale.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_writes_on_each_pass_is_counted() {
    let bench = Bench::new();
    bench.map("m", "0");
    let api = bench.api();
    let controller = Controller::new(&bench.maps);
    let handle = controller.handle();
    spawn(controller, move |map: Obj<ConfigMap>, ctx| {
        let api = api.clone();
        async move {
            let next = value(&map).parse::<u32>().unwrap() + 1;
            tokio::time::sleep(SECOND / 10).await;
            let patch = Patch::Merge(json!({ "data": { "value": next.to_string() } }));
            ctx.written(&api.patch("m", &PatchParams::default(), &patch).await.unwrap());
            Ok(Action::await_change())
        }
    });
    tokio::time::sleep(10 * SECOND).await;
    let stats = handle.stats();
    assert!(stats.succeeded > 50 && stats.own_write_loops > stats.succeeded - 5, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn writes_that_others_cause_are_no_loop() {
    let bench = Bench::new();
    bench.map("m", "0");
    let api = bench.api();
    let controller = Controller::new(&bench.maps).written_within(Duration::MAX);
    let handle = controller.handle();
    // Copies the value to a label: a write for each change of another client, and none for its own.
    spawn(controller, move |map: Obj<ConfigMap>, ctx| {
        let api = api.clone();
        async move {
            let label = map.metadata.labels.as_ref().and_then(|labels| labels.get("value").cloned());
            if label != Some(value(&map)) {
                let patch = Patch::Merge(json!({ "metadata": { "labels": { "value": value(&map) } } }));
                ctx.written(&api.patch("m", &PatchParams::default(), &patch).await.unwrap());
            }
            Ok(Action::await_change())
        }
    });
    for round in 0..20 {
        bench.change("m", &round.to_string());
        tokio::time::sleep(SECOND).await;
    }
    let stats = handle.stats();
    assert_eq!((stats.own_write_loops, stats.write_not_received), (0, 0));
    assert!(stats.succeeded >= 40);
}

#[tokio::test(start_paused = true)]
async fn the_response_for_another_object_is_not_waited_for() {
    let bench = Bench::new();
    bench.map("m", "0");
    let other: ConfigMap = serde_json::from_value(bench.map("other", "0")).unwrap();
    let ctx = Context::new(Arc::new(()), ObjectKey::new("default", "m"));
    ctx.written(&other);
    assert_eq!(ctx.last_written(), None);
    let mine: ConfigMap =
        serde_json::from_value(bench.server.get("configmaps", "default", "m").unwrap()).unwrap();
    ctx.written(&mine);
    assert!(ctx.last_written().is_some());
}
