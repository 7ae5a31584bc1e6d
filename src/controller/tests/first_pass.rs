//! What is reconciled at the start, when, and in which order.

use super::*;
use crate::controller::first_pass::Progress;
use crate::testing::Rule;

#[tokio::test(start_paused = true)]
async fn all_that_existed_is_reconciled_once_and_the_first_pass_says_so() {
    let bench = Bench::new();
    (0..20).for_each(|n| drop(bench.map(&format!("m{n:02}"), "1")));
    let seen = Seen::default();
    let controller = Controller::new(&bench.maps).concurrency(3);
    let handle = controller.handle();
    assert_eq!(handle.stats().first_pass, None);
    observe(controller, &seen);
    let found = first_pass(&handle).await;
    assert_eq!((found.keys, found.failed), (20, 0));
    assert_eq!(handle.stats().first_pass, Some(found));
    settle().await;
    let names = seen.names();
    assert_eq!((names.len(), counts(names).len()), (20, 20));
    assert_eq!(handle.stats().succeeded, 20);
}

#[tokio::test(start_paused = true)]
async fn the_first_pass_of_nothing_ends_at_once_and_counts_failures_once() {
    let bench = Bench::new();
    let empty = Controller::new(&bench.maps);
    let handle = empty.handle();
    observe(empty, &Seen::default());
    assert_eq!(first_pass(&handle).await.keys, 0);

    bench.map("good", "1");
    bench.map("bad", "1");
    bench.maps.wait_until(|maps| maps.len() == 2).await.unwrap();
    let controller = Controller::new(&bench.maps);
    let handle = controller.handle();
    spawn(controller, |map: Obj<ConfigMap>, _| async move {
        if Obj::name(&map) == "bad" { Err(std::io::Error::other("no")) } else { Ok(Action::await_change()) }
    });
    let found = first_pass(&handle).await;
    assert_eq!((found.keys, found.failed), (2, 1), "a key that fails for ever does not delay it");
}

#[test]
fn a_key_of_two_first_lists_counts_once_even_if_it_is_reconciled_in_between() {
    let (done, found) = tokio::sync::watch::channel(None);
    let progress = Progress::new(2, done);
    let (a, b) = (ObjectKey::new("default", "a"), ObjectKey::new("default", "b"));
    progress.note([&a]);
    progress.batch_queued();
    progress.reconciled(&a, true);
    progress.note([&a, &b]);
    progress.batch_queued();
    assert_eq!(*found.borrow(), None);
    progress.reconciled(&b, false);
    assert_eq!(found.borrow().map(|found| (found.keys, found.failed)), Some((2, 1)));
}

#[test]
fn a_reconcile_that_outlives_its_run_reports_no_first_pass() {
    let (done, found) = tokio::sync::watch::channel(None);
    let progress = Progress::new(1, done);
    let key = ObjectKey::new("default", "a");
    progress.note([&key]);
    progress.batch_queued();
    progress.close();
    progress.reconciled(&key, false);
    assert_eq!(*found.borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reconciled_before_all_informers_have_synced() {
    let bench = Bench::new();
    bench.server.deny(Rule::all().resource("secrets"));
    bench.map("m", "1");
    let seen = Seen::default();
    let controller = Controller::new(&bench.maps).watches(&bench.secrets, |_, _, _| {});
    let handle = controller.handle();
    observe(controller, &seen);
    tokio::time::sleep(100 * SECOND).await;
    assert!(bench.maps.is_synced() && seen.names().is_empty() && handle.stats().running);
    bench.server.allow(Rule::all().resource("secrets"));
    first_pass(&handle).await;
    assert_eq!(seen.names(), ["m"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_in_a_running_cluster_goes_before_the_initial_list() {
    let bench = Bench::new();
    (0..100).for_each(|n| drop(bench.map(&format!("m{n:02}"), "1")));
    let seen = Seen::default();
    let noted = seen.clone();
    let controller = Controller::new(&bench.maps);
    let handle = controller.handle();
    spawn(controller, move |map: Obj<ConfigMap>, ctx| {
        noted.push(ctx.key(), Some(&map));
        async {
            tokio::time::sleep(SECOND).await;
            Ok(Action::await_change())
        }
    });
    tokio::time::sleep(10 * SECOND).await;
    let early = seen.names();
    let late = (0..100).map(|n| format!("m{n:02}")).find(|name| !early.contains(name)).unwrap();
    bench.change(&late, "2");
    bench.map("new", "1");
    tokio::time::sleep(5 * SECOND).await;
    let stats = handle.stats().queue.unwrap();
    assert!(stats.depth_of(crate::queue::Priority::Low) > 80 && early.len() < 12);
    let names = seen.names();
    assert!(names[..4].contains(&late) && names[..4].contains(&"new".to_owned()), "{names:?}");
    first_pass(&handle).await;
}
