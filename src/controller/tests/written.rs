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

/// Runs a controller that writes on each pass, and `then` what it is given with the response. Returns its statistics
/// after a while.
async fn always_writing<F>(controller: Controller<ConfigMap>, bench: &Bench, then: F) -> super::super::Stats
where
    F: Fn(Context<()>, ConfigMap) -> BoxFuture<'static, Action> + Send + Sync + 'static,
{
    bench.map("m", "0");
    let (api, handle, then) = (bench.api(), controller.handle(), Arc::new(then));
    let run = spawn(controller, move |map: Obj<ConfigMap>, ctx| {
        let (api, then) = (api.clone(), then.clone());
        async move {
            let next = value(&map).parse::<u32>().unwrap() + 1;
            tokio::time::sleep(SECOND / 10).await;
            let patch = Patch::Merge(json!({ "data": { "value": next.to_string() } }));
            let written = api.patch("m", &PatchParams::default(), &patch).await.unwrap();
            Ok(then(ctx, written).await)
        }
    });
    tokio::time::sleep(10 * SECOND).await;
    let stats = handle.stats();
    assert!(stats.succeeded > 10, "{stats:?}");
    run.abort();
    stats
}

#[tokio::test(start_paused = true)]
async fn a_loop_is_found_when_events_come_before_responses_and_with_several_writes() {
    let bench = Bench::new();
    let stats = always_writing(Controller::new(&bench.maps), &bench, |ctx, written| {
        Box::pin(async move {
            tokio::time::sleep(SECOND / 10).await; // the event arrives
            ctx.written(&written);
            Action::await_change()
        })
    });
    let stats = stats.await;
    assert!(stats.own_write_loops > stats.succeeded - 5, "{stats:?}");

    let bench = Bench::new();
    let api = bench.api();
    let stats = always_writing(Controller::new(&bench.maps), &bench, move |ctx, written| {
        let api = api.clone();
        Box::pin(async move {
            ctx.written(&written);
            let version = written.metadata.resource_version.as_deref();
            let patch = Patch::Merge(json!({ "metadata": { "labels": { "after": version } } }));
            ctx.written(&api.patch("m", &PatchParams::default(), &patch).await.unwrap());
            Action::await_change()
        })
    });
    let stats = stats.await;
    assert!(stats.own_write_loops > stats.succeeded - 5, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_writes_on_each_pass_for_another_cause_is_no_loop() {
    // It asks for the next pass itself.
    let bench = Bench::new();
    let ignoring = Controller::new(&bench.maps).when(|_: &Obj<ConfigMap>, _: &Obj<ConfigMap>| false);
    let stats = always_writing(ignoring, &bench, |ctx, written| {
        ctx.written(&written);
        Box::pin(async { Action::requeue(SECOND / 10) })
    });
    assert_eq!(stats.await.own_write_loops, 0);

    // Something else queues the key during each pass, or after it, besides the event of the write.
    for during in [true, false] {
        let bench = Bench::new();
        let controller = Controller::new(&bench.maps);
        let handle = controller.handle();
        let stats = always_writing(controller, &bench, move |ctx, written| {
            let handle = handle.clone();
            Box::pin(async move {
                ctx.written(&written);
                if during {
                    handle.enqueue(ctx.key().clone());
                } else {
                    tokio::spawn(async move { handle.enqueue(ctx.key().clone()) });
                }
                Action::await_change()
            })
        });
        assert_eq!(stats.await.own_write_loops, 0, "during it: {during}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cause_is_judged_by_all_versions_of_the_last_reconcile() {
    use crate::ResourceVersion as Version;
    use crate::controller::written::{Begin, Cause, Writes, Written};
    use crate::queue::Priority;

    let view = Bench::new().maps.snapshot();
    let key = ObjectKey::new("default", "m");
    // The versions that two reconciles in a row write, those noted during the second and after it, and what the cause
    // of the third one is.
    type Noted<'a> = &'a [Option<&'a str>];
    type Case<'a> = (&'a [&'a str], &'a [&'a str], Noted<'a>, Noted<'a>, bool);
    let cases: [Case<'_>; 8] = [
        (&["1"], &["2"], &[], &[Some("2")], true),
        (&["1"], &["2", "3"], &[], &[Some("2"), Some("3")], true),
        (&["1"], &["2", "3"], &[Some("2")], &[Some("3")], true),
        (&["1"], &["2"], &[Some("1"), Some("2")], &[], true),
        (&["1"], &["2"], &[Some("9")], &[Some("2")], false),
        (&["1"], &["2"], &[Some("2")], &[Some("9")], false),
        (&["1"], &["2"], &[Some("2")], &[None], false),
        (&["1"], &["2"], &[], &[], false),
    ];
    for case @ (first, second, during, after, own_write) in cases {
        let writes = Writes::default();
        let begin = || match writes.begin(&key, &view, Priority::Normal) {
            Begin::Ready(cause) => cause,
            other => panic!("{other:?}"),
        };
        let end = |cause: Cause, versions: &[&str]| {
            let versions = versions.iter().map(|version| Version::from(*version)).collect();
            let until = tokio::time::Instant::now();
            writes.end(&key, cause, Some(Written { versions, epoch: view.epoch, until }));
        };
        let note = |versions: &[Option<&str>]| {
            versions.iter().for_each(|version| writes.note(&key, version.map(Version::from).as_ref()));
        };
        end(begin(), first);
        let cause = begin();
        note(during);
        end(cause, second);
        note(after);
        assert_eq!(begin().own_write, own_write, "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_waits_keeps_the_highest_of_its_priorities() {
    use crate::controller::written::{Begin, Cause, Writes, Written};
    use crate::queue::Priority;

    let bench = Bench::new();
    bench.map("m", "0");
    bench.maps.synced().await.unwrap();
    let (writes, view, key) = (Writes::default(), bench.maps.snapshot(), ObjectKey::new("default", "m"));
    let versions = vec![crate::ResourceVersion::from("9999999")];
    let until = tokio::time::Instant::now() + HOUR;
    writes.end(&key, Cause::default(), Some(Written { versions, epoch: view.epoch, until }));
    for priority in [Priority::Low, Priority::Normal, Priority::Low] {
        assert_eq!(writes.begin(&key, &view, priority), Begin::Parked);
    }
    assert_eq!(writes.close(), [(key.clone(), Priority::Normal)]);
    assert_eq!(writes.begin(&key, &view, Priority::Low), Begin::Wait(until), "its worker waits");
}

#[tokio::test(start_paused = true)]
async fn a_drain_includes_the_key_that_waits_for_its_write() {
    for (recovers, informer_stops) in [(true, false), (false, false), (false, true)] {
        let bench = Bench::new();
        bench.map("m", "0");
        bench.maps.synced().await.unwrap();
        hold_watches(&bench.server);
        let (reconcile, stale) = counting(&bench, true);
        let controller = Controller::new(&bench.maps).written_within(20 * SECOND);
        let handle = controller.handle();
        let run = spawn(controller, reconcile);
        tokio::time::sleep(SECOND).await;
        handle.enqueue(ObjectKey::new("default", "m"));
        tokio::time::sleep(SECOND).await;
        assert_eq!((handle.stats().waited_for_write, handle.stats().succeeded), (1, 1));
        if informer_stops {
            bench.maps.shutdown().await;
        } else {
            handle.stop();
        }
        tokio::time::sleep(SECOND).await;
        if recovers {
            bench.server.clear_faults();
        }
        let ended = ended(run).await;
        assert_eq!(ended.is_err(), informer_stops, "{ended:?}");
        assert_eq!(handle.stats().succeeded, 2);
        assert_eq!(stale.load(SeqCst), usize::from(!recovers));
        assert_eq!(handle.stats().write_not_received, u64::from(!recovers));
    }
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
async fn a_write_of_another_kind_with_the_same_name_is_not_waited_for() {
    let bench = Bench::new();
    bench.map("m", "0");
    let controller = Controller::new(&bench.maps);
    let (handle, client) = (controller.handle(), bench.client.clone());
    spawn(controller, move |map: Obj<ConfigMap>, ctx| {
        let secrets = Api::<Secret>::namespaced(client.clone(), "default");
        async move {
            let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "m" },
                "stringData": { "x": value(&map) } });
            let patch = Patch::Apply(secret);
            ctx.written(&secrets.patch("m", &PatchParams::apply("test"), &patch).await.unwrap());
            Ok(Action::await_change())
        }
    });
    settle().await;
    handle.enqueue(ObjectKey::new("default", "m"));
    settle().await;
    assert_eq!((handle.stats().waited_for_write, handle.stats().succeeded), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn the_response_for_another_object_is_not_waited_for() {
    let bench = Bench::new();
    bench.map("m", "0");
    let other: ConfigMap = serde_json::from_value(bench.map("other", "0")).unwrap();
    let ctx = Context::new(Arc::new(()), ObjectKey::new("default", "m"));
    ctx.written(&other);
    assert!(ctx.versions().is_empty());
    let mine: ConfigMap =
        serde_json::from_value(bench.server.get("configmaps", "default", "m").unwrap()).unwrap();
    ctx.written(&mine);
    assert_eq!(ctx.versions().len(), 1);
}
