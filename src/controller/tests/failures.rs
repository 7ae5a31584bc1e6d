//! Reconciles and closures that fail, panic or hang.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;

/// Runs a controller of two objects, "good" and "bad"; `bad` is what becomes of the first reconciles of the bad one.
async fn with_bad<Fut>(
    times: usize,
    bad: impl Fn() -> Fut + Send + Sync + 'static,
) -> (super::super::Stats, Vec<String>)
where
    Fut: Future<Output = Reconciled> + Send + 'static,
{
    let bench = Bench::new();
    bench.map("bad", "1");
    bench.map("good", "1");
    let (seen, failures) = (Seen::default(), AtomicUsize::new(0));
    let noted = seen.clone();
    let controller = Controller::new(&bench.maps).timeout(10 * SECOND);
    let handle = controller.handle();
    spawn(controller, move |map: Obj<ConfigMap>, ctx| {
        noted.push(ctx.key(), Some(&map));
        let fails = Obj::name(&map) == "bad" && failures.fetch_add(1, SeqCst) < times;
        let bad = fails.then(&bad);
        async move {
            match bad {
                Some(bad) => bad.await,
                None => Ok(Action::await_change()),
            }
        }
    });
    tokio::time::sleep(100 * SECOND).await;
    (handle.stats(), seen.names())
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_fails_is_retried_with_backoff_and_concerns_only_its_key() {
    let (stats, seen) = with_bad(3, || async { Err(std::io::Error::other("no")) }).await;
    assert_eq!(counts(seen), BTreeMap::from([("bad".to_owned(), 4), ("good".to_owned(), 1)]));
    assert_eq!((stats.failed, stats.succeeded, stats.queue.unwrap().retries), (3, 2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_panics_is_retried_with_backoff_and_concerns_only_its_key() {
    let (stats, seen) = with_bad(2, || async { panic!("a test") }).await;
    assert_eq!(counts(seen), BTreeMap::from([("bad".to_owned(), 3), ("good".to_owned(), 1)]));
    assert_eq!((stats.panicked, stats.succeeded, stats.active), (2, 2, 0));
    // Before it returns its future.
    let (stats, _) = with_bad(1, || -> std::future::Ready<Reconciled> { panic!("a test") }).await;
    assert_eq!((stats.panicked, stats.succeeded, stats.active), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_hangs_is_dropped_at_the_time_limit_and_retried() {
    let (stats, seen) = with_bad(1, std::future::pending).await;
    assert_eq!(counts(seen), BTreeMap::from([("bad".to_owned(), 2), ("good".to_owned(), 1)]));
    assert_eq!((stats.timed_out, stats.succeeded, stats.active), (1, 2, 0));
    assert!(stats.durations.max() >= 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_error_for_ever_is_retried_ever_more_rarely() {
    let (stats, _) = with_bad(usize::MAX, || async { Err(std::io::Error::other("no")) }).await;
    assert!((10..20).contains(&stats.failed), "{} retries in 100 s, delays double from 5 ms", stats.failed);
}

#[tokio::test(start_paused = true)]
async fn the_error_policy_decides_when_a_key_is_retried_and_may_panic() {
    let bench = Bench::new();
    bench.map("m", "1");
    let controller = Controller::new(&bench.maps);
    let handle = controller.handle();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let policy = move |map: Obj<ConfigMap>, error: &std::io::Error, _: Context<()>| {
        assert_eq!((Obj::name(&map), error.to_string().as_str()), ("m", "no"));
        match counted.fetch_add(1, SeqCst) {
            0 => panic!("a test"),
            1 | 2 => Action::requeue(20 * SECOND),
            _ => Action::await_change(),
        }
    };
    let reconcile =
        |_: Obj<ConfigMap>, _: Context<()>| async { Reconciled::Err(std::io::Error::other("no")) };
    let run = tokio::spawn(async move { controller.run(reconcile, policy, Arc::new(())).await });
    for (seconds, expected) in [(5, 2), (20, 3), (20, 4), (1000, 4)] {
        tokio::time::sleep(seconds * SECOND).await;
        assert_eq!(calls.load(SeqCst), expected);
    }
    assert_eq!((handle.stats().panicked, handle.stats().failed), (1, 3));
    handle.stop();
    assert!(ended(run).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_mapping_or_predicate_that_panics_is_counted_and_stops_nothing() {
    let bench = Bench::new();
    bench.map("m", "1");
    bench.secret("harmless");
    let seen = Seen::default();
    let controller = Controller::new(&bench.maps)
        .when(|_: &Obj<ConfigMap>, _: &Obj<ConfigMap>| -> bool { panic!("a test") })
        .watches(&bench.secrets, |change, _, emit| {
            assert_ne!(change.key().name(), "harmful");
            emit(ObjectKey::new("default", "m"));
        });
    let handle = controller.handle();
    observe(controller, &seen);
    settle().await;
    seen.take();
    bench.secret("harmful");
    settle().await;
    assert_eq!((seen.names().len(), handle.stats().mapping_panics), (0, 1));
    bench.change("m", "2");
    settle().await;
    assert_eq!((seen.names().len(), handle.stats().mapping_panics), (1, 2), "a change is not hidden");
    bench.secret("other");
    settle().await;
    assert_eq!(seen.names(), ["m"]);
}
