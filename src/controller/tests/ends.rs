//! How a run ends, and what comes after.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;

/// A controller whose reconciles take this long, and the numbers of those that began and ended.
fn slow(
    controller: Controller<ConfigMap>,
    takes: Duration,
) -> (JoinHandle<Result<Ended, Error>>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (begun, finished) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (begun.clone(), finished.clone());
    let run = spawn(controller, move |_: Obj<ConfigMap>, _| {
        let (begun, finished) = counters.clone();
        begun.fetch_add(1, SeqCst);
        async move {
            tokio::time::sleep(takes).await;
            finished.fetch_add(1, SeqCst);
            Ok(Action::await_change())
        }
    });
    (run, begun, finished)
}

fn bench(maps: usize) -> Bench {
    let bench = Bench::new();
    (0..maps).for_each(|n| drop(bench.map(&format!("m{n}"), "1")));
    bench
}

#[tokio::test(start_paused = true)]
async fn a_stop_drains_the_queue_by_default() {
    let bench = bench(10);
    let controller = Controller::new(&bench.maps).concurrency(2);
    let handle = controller.handle();
    let (run, begun, finished) = slow(controller, SECOND);
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!((begun.load(SeqCst), handle.stats().active), (2, 2));
    handle.stop();
    tokio::time::sleep(SECOND).await;
    assert!(!handle.enqueue(ObjectKey::new("default", "m0")), "too late: it is draining");
    assert_eq!(ended(run).await.unwrap(), Ended::Stopped);
    assert_eq!((finished.load(SeqCst), handle.stats().running), (10, false));
}

#[tokio::test(start_paused = true)]
async fn with_finish_within_a_stop_lets_only_running_reconciles_end() {
    let bench = bench(10);
    let controller = Controller::new(&bench.maps).concurrency(2).finish_within(10 * SECOND);
    let handle = controller.handle();
    let (run, begun, finished) = slow(controller, 3 * SECOND);
    tokio::time::sleep(SECOND).await;
    handle.stop();
    assert!(ended(run).await.is_ok());
    assert_eq!((begun.load(SeqCst), finished.load(SeqCst)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn with_finish_within_no_reconcile_begins_after_a_stop() {
    let bench = bench(10);
    let controller = Controller::new(&bench.maps).finish_within(10 * SECOND);
    let (handle, permits) = (controller.handle(), Arc::new(tokio::sync::Semaphore::new(0)));
    let (begun, ends) = (Arc::new(AtomicUsize::new(0)), permits.clone());
    let counted = begun.clone();
    let run = spawn(controller, move |_: Obj<ConfigMap>, _| {
        counted.fetch_add(1, SeqCst);
        let ends = ends.clone();
        async move {
            ends.acquire().await.unwrap().forget();
            Ok(Action::await_change())
        }
    });
    settle().await;
    // The run is woken first, and then the worker, while the run ends its tasks.
    handle.stop();
    permits.add_permits(10);
    assert_eq!(ended(run).await.unwrap(), Ended::Stopped);
    assert_eq!(begun.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn reconciles_that_hang_are_aborted_at_the_time_limit() {
    for drains in [true, false] {
        let bench = bench(3);
        let controller = Controller::new(&bench.maps);
        let limit = 7 * SECOND;
        let controller =
            if drains { controller.drain_within(limit) } else { controller.finish_within(limit) };
        let handle = controller.handle();
        let (run, begun, finished) = slow(controller, HOUR);
        settle().await;
        handle.stop();
        let error = ended(run).await.unwrap_err();
        assert!(error.is_unfinished() && !error.is_stopped(), "{error}");
        assert_eq!((begun.load(SeqCst), finished.load(SeqCst), handle.stats().active), (1, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_aborts_its_reconciles_and_can_be_repeated() {
    let bench = bench(3);
    let controller = Controller::new(&bench.maps);
    let handle = controller.handle();
    let (run, begun, _) = slow(controller, HOUR);
    settle().await;
    assert_eq!((begun.load(SeqCst), handle.stats().running), (1, true));
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    settle().await;
    assert_eq!((handle.stats().active, handle.stats().running), (0, false));
    assert_eq!(handle.stats().queue.unwrap().depth, 0, "no worker can claim another key");
    assert!(!handle.enqueue(ObjectKey::new("default", "m0")));
}

#[tokio::test(start_paused = true)]
async fn a_controller_runs_again_after_it_ended_and_only_then() {
    let bench = bench(3);
    let controller = Arc::new(Controller::new(&bench.maps));
    let (handle, seen) = (controller.handle(), Seen::default());
    let start = || {
        let (controller, seen) = (controller.clone(), seen.clone());
        tokio::spawn(async move {
            let reconcile = move |map: Obj<ConfigMap>, ctx: Context<()>| {
                seen.push(ctx.key(), Some(&map));
                async { Reconciled::Ok(Action::await_change()) }
            };
            controller.run(reconcile, |_, _, _| Action::retry(), Arc::new(())).await
        })
    };
    for round in 1..=3 {
        let run = start();
        first_pass(&handle).await;
        assert_eq!(seen.names().len(), 3, "each run begins with everything");
        assert!(ended(start()).await.unwrap_err().is_running());
        assert_eq!(handle.stats().runs, round);
        handle.stop();
        assert!(ended(run).await.is_ok());
        assert_eq!(handle.stats().first_pass, None);
    }
    bench.change("m0", "2");
    settle().await;
    assert!(seen.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_when_its_signal_comes_also_before_its_informers_have_synced() {
    let bench = bench(1);
    bench.server.deny(crate::testing::Rule::all());
    let controller = Controller::new(&bench.maps);
    let reconcile = |_: Obj<ConfigMap>, _: Context<()>| async { Reconciled::Ok(Action::await_change()) };
    let signal = tokio::time::sleep(SECOND);
    let run = controller.run_until(reconcile, |_, _, _| Action::retry(), Arc::new(()), signal);
    assert_eq!(timeout(HOUR, run).await.unwrap().unwrap(), Ended::Until);
}

#[tokio::test(start_paused = true)]
async fn a_signal_is_not_polled_while_the_run_ends() {
    let bench = bench(3);
    let controller = Controller::new(&bench.maps);
    let reconcile = |_: Obj<ConfigMap>, _: Context<()>| async {
        tokio::time::sleep(SECOND).await;
        Reconciled::Ok(Action::await_change())
    };
    let mut signal = Box::pin(async { tokio::time::sleep(SECOND / 2).await });
    let mut done = false;
    let signal = std::future::poll_fn(move |cx| {
        assert!(!done, "polled after it was complete");
        let poll = signal.as_mut().poll(cx);
        done = poll.is_ready();
        poll
    });
    let run = controller.run_until(reconcile, |_, _, _| Action::retry(), Arc::new(()), signal);
    assert_eq!(timeout(HOUR, run).await.unwrap().unwrap(), Ended::Until);
    assert_eq!(controller.handle().stats().succeeded, 3);
}

#[tokio::test(start_paused = true)]
async fn a_shut_down_ends_the_present_run_and_all_later_ones() {
    let bench = bench(1);
    let controller = Controller::new(&bench.maps);
    let handle = controller.handle();
    let run = || {
        let reconcile = |_: Obj<ConfigMap>, _: Context<()>| async { Reconciled::Ok(Action::await_change()) };
        controller.run_until(reconcile, |_, _, _| Action::retry(), Arc::new(()), std::future::ready(()))
    };
    handle.stop();
    assert_eq!(run().await.unwrap(), Ended::Until, "a stop concerns the present run only");
    let reconcile = |_: Obj<ConfigMap>, _: Context<()>| async { Reconciled::Ok(Action::await_change()) };
    let present = controller.run(reconcile, |_, _, _| Action::retry(), Arc::new(()));
    let ends = async {
        first_pass(&handle).await;
        handle.shut_down();
    };
    let (present, ()) = timeout(HOUR, async { tokio::join!(present, ends) }).await.unwrap();
    assert_eq!(present.unwrap(), Ended::Stopped);
    let succeeded = handle.stats().succeeded;
    bench.server.deny(crate::testing::Rule::all());
    for _ in 0..2 {
        assert_eq!(run().await.unwrap(), Ended::Stopped);
    }
    assert_eq!((handle.stats().succeeded, handle.stats().running), (succeeded, false));
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_when_one_of_its_informers_stops() {
    for stops_first in [true, false] {
        let bench = bench(1);
        let controller = Controller::new(&bench.maps).watches(&bench.secrets, |_, _, _| {});
        if stops_first {
            bench.secrets.shutdown().await;
        }
        let run = observe(controller, &Seen::default());
        settle().await;
        bench.secrets.shutdown().await;
        let error = ended(run).await.unwrap_err();
        assert!(error.is_stopped(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_when_an_informer_stops_while_it_waits_for_another() {
    let bench = bench(1);
    bench.server.deny(crate::testing::Rule::all().resource("secrets"));
    let run = observe(Controller::new(&bench.maps).watches(&bench.secrets, |_, _, _| {}), &Seen::default());
    settle().await;
    bench.maps.shutdown().await;
    assert!(ended(run).await.unwrap_err().is_stopped());
}

#[tokio::test(start_paused = true)]
async fn keys_can_be_queued_by_hand() {
    let bench = bench(1);
    let seen = Seen::default();
    let controller = Controller::new(&bench.maps);
    let handle = controller.handle();
    assert!(!handle.enqueue(ObjectKey::new("default", "m0")), "it does not run");
    observe(controller, &seen);
    settle().await;
    assert!(handle.enqueue(ObjectKey::new("default", "m0")));
    assert!(handle.enqueue(ObjectKey::new("default", "never created")));
    settle().await;
    assert_eq!(seen.names(), ["m0", "m0"]);
    assert_eq!(handle.stats().skipped, 1);
}
