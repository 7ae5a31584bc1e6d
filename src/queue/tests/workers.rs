//! Reconciles that succeed, fail, panic and hang.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{
    super::{Action, Failure, Unfinished, WorkQueue, workers, workers_with_hook},
    HOUR, MS, get, settle,
};

type Log = Arc<Mutex<Vec<(&'static str, Duration)>>>;

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// The start times of the runs of the key.
fn runs(log: &Log, key: &str) -> Vec<Duration> {
    log.lock().unwrap().iter().filter(|(other, _)| *other == key).map(|(_, at)| *at).collect()
}

/// An error whose drop panics.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_key_is_retried_alone_while_others_go_on() {
    let (queue, log, start) = (WorkQueue::new(), Log::default(), Instant::now());
    let failures = Arc::new(Mutex::new(Vec::new()));
    let workers = workers_with_hook(
        &queue,
        2,
        {
            let log = Arc::clone(&log);
            move |key: &'static str| {
                log.lock().unwrap().push((key, start.elapsed()));
                let attempt = runs(&log, key).len();
                assert!(key != "panics at once" || attempt > 3, "no future at all");
                async move {
                    tokio::task::yield_now().await;
                    assert!(key != "panics" || attempt > 3, "within the future");
                    match key {
                        "fails" if attempt <= 3 => Err(None),
                        "explodes" if attempt <= 3 => Err(Some(Grenade)),
                        _ => Ok(Action::await_change()),
                    }
                }
            }
        },
        {
            let failures = Arc::clone(&failures);
            move |key: &&'static str, failure: Failure<'_, Option<Grenade>>| {
                failures.lock().unwrap().push((*key, matches!(failure, Failure::Panicked)));
                panic!("a hook may panic too");
            }
        },
    );
    let invalid = ["fails", "panics", "panics at once", "explodes"];
    queue.add_all(invalid);
    sleep(MS).await;
    queue.add_all(["good 1", "good 2"]);
    sleep(HOUR).await;
    for key in invalid {
        assert_eq!(runs(&log, key), [0, 5, 15, 35].map(|at| at * MS), "{key}");
        assert_eq!(queue.retries(&key), 0, "forgotten after the success");
    }
    for key in ["good 1", "good 2"] {
        assert_eq!(runs(&log, key), [MS], "{key}");
    }
    assert_eq!((queue.stats().retries, queue.stats().work.count()), (12, 18));
    let failures = failures.lock().unwrap().clone();
    let seen = |failure| failures.iter().filter(|other| **other == failure).count();
    // The grenade causes two failures: an error, then a panic of its drop.
    assert_eq!((seen(("fails", false)), seen(("fails", true))), (3, 0));
    assert_eq!((seen(("panics", false)), seen(("panics", true))), (0, 3));
    assert_eq!((seen(("panics at once", true)), seen(("explodes", false))), (3, 3));
    assert_eq!(workers.shutdown(HOUR).await, Ok(()));
    assert_eq!(alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn requeue_after_forgets_and_comes_back_at_the_time() {
    let (queue, log, start) = (WorkQueue::new(), Log::default(), Instant::now());
    let workers = workers(&queue, 1, {
        let log = Arc::clone(&log);
        move |key| {
            log.lock().unwrap().push((key, start.elapsed()));
            let attempt = log.lock().unwrap().len();
            async move {
                match attempt {
                    1 => Err(()),
                    2 | 3 => Ok(Action::requeue(60_000 * MS)),
                    4 => Err(()),
                    _ => Ok(Action::await_change()),
                }
            }
        }
    });
    queue.add("a");
    sleep(HOUR).await;
    // The failure of the fourth run counts as the first: 5 ms, not 10.
    assert_eq!(runs(&log, "a"), [0, 5, 60_005, 120_005, 120_010].map(|at| at * MS));
    workers.shutdown(HOUR).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_more_than_n_reconciles_run_at_once_and_shutdown_finishes_what_is_queued() {
    let queue = WorkQueue::new();
    let (running, most, start) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Instant::now());
    let workers = workers(&queue, 4, {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        move |_key: u32| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sleep(10 * MS).await;
                running.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, ()>(Action::await_change())
            }
        }
    });
    queue.add_all(0..40);
    assert_eq!(workers.shutdown(HOUR).await, Ok(()));
    assert_eq!((most.load(Ordering::Relaxed), start.elapsed()), (4, 100 * MS));
    assert_eq!((queue.stats().work.count(), alive_tasks()), (40, 0));
}

#[tokio::test(start_paused = true)]
async fn shutdown_aborts_at_its_deadline_and_joins_every_task() {
    let (queue, start) = (WorkQueue::new(), Instant::now());
    let workers = workers(&queue, 3, async |key: &'static str| {
        if key == "hangs" {
            std::future::pending::<()>().await;
        }
        Err::<Action, _>(())
    });
    queue.add_all(["hangs", "fails"]);
    sleep(MS).await;
    assert_eq!(queue.stats().longest_running, MS);
    assert_eq!(
        timeout(HOUR, workers.shutdown(100 * MS)).await.unwrap(),
        Err(Unfinished { discarded: 0, in_flight: 1 }),
        "the retry that was waiting is no unfinished work"
    );
    assert_eq!((start.elapsed(), alive_tasks()), (101 * MS, 0));
    assert_eq!((queue.stats().processing, queue.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_stops_the_workers_and_gives_back_what_they_were_at() {
    let queue = WorkQueue::new();
    let workers = workers(&queue, 2, async |_: &'static str| {
        std::future::pending::<()>().await;
        Ok::<_, ()>(Action::await_change())
    });
    queue.add_all(["a", "b", "c"]);
    settle().await;
    assert_eq!(queue.stats().processing, 2);
    drop(workers);
    settle().await;
    assert_eq!((alive_tasks(), queue.stats().processing, queue.len()), (0, 0, 3));
    assert_eq!(*get(&queue).await, "c", "no failure, no delay: behind what waited already");
    assert_eq!(queue.retries(&"a"), 0);
}

#[tokio::test(start_paused = true)]
async fn zero_workers_is_one() {
    let queue = WorkQueue::new();
    let workers = workers(&queue, 0, async |_: &'static str| Ok::<_, ()>(Action::await_change()));
    queue.add("a");
    assert_eq!(workers.shutdown(HOUR).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_endless_work_lets_others_run() {
    let queue = WorkQueue::new();
    let workers = workers(&queue, 1, {
        let queue = queue.clone();
        move |n: u64| {
            queue.add(n + 1);
            std::future::ready(Ok::<_, ()>(Action::await_change()))
        }
    });
    queue.add(0);
    settle().await; // returns, although the queue is never empty
    assert!(queue.stats().adds > 100);
    queue.shut_down();
    workers.shutdown(HOUR).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stats_follow_the_work() {
    let queue = WorkQueue::new();
    queue.add_all(["a", "b"]);
    queue.add_after("later", HOUR);
    sleep(30 * MS).await;
    let a = get(&queue).await;
    sleep(20 * MS).await;
    let b = get(&queue).await;
    sleep(10 * MS).await;
    let now = queue.stats();
    assert_eq!((now.depth, now.delayed, now.processing, now.adds), (0, 1, 2, 2));
    assert_eq!((now.longest_running, now.unfinished), (30 * MS, 40 * MS));
    assert_eq!((now.wait.count(), now.wait.sum(), now.wait.max()), (2, 80 * MS, 50 * MS));
    assert_eq!(now.work.count(), 0);
    a.done();
    b.done();
    let after = queue.stats();
    assert_eq!((after.processing, after.unfinished), (0, Duration::ZERO));
    assert_eq!((after.work.count(), after.work.sum(), after.work.max()), (2, 40 * MS, 30 * MS));
}
