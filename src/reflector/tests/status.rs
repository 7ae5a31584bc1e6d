//! The content of the status, and when it wakes its receivers.

use super::*;
use crate::reflector::Phase;

#[tokio::test(start_paused = true)]
async fn phases_follow_the_work() {
    let reflector = Harness::paged(vec![
        later(Answer::Error(api(500, "InternalError"))),
        later(page(10, &[("a", 1)], None)),
        Answer::Watch(vec![pause(10.0), put("b", 11), Step::Never]),
    ]);
    let mut status = reflector.status.clone();
    let seen = tokio::spawn(async move {
        let mut phases = vec![status.borrow_and_update().phase];
        while status.changed().await.is_ok() {
            let phase = status.borrow_and_update().phase;
            if phases.last() != Some(&phase) {
                phases.push(phase);
            }
        }
        phases
    });
    reflector.work(20.0).await;
    let status = reflector.status();
    assert_eq!((reflector.tally.lists(), reflector.tally.watches(), status.failures), (1, 1, 0));
    assert!(status.synced && status.ordered_versions && status.stale_since.is_none());
    assert_eq!(status.last_error.unwrap().http_code(), Some(500), "kept after recovery");
    reflector.stop.cancel();
    reflector.task.await.unwrap();
    let phases = seen.await.unwrap();
    let all =
        [Phase::Idle, Phase::Listing, Phase::BackingOff, Phase::Listing, Phase::Watching, Phase::Stopped];
    assert_eq!(phases, all[phases.len().abs_diff(all.len())..], "Idle may have been missed");
}

#[tokio::test(start_paused = true)]
async fn stale_lasts_from_the_first_failure_until_the_server_is_followed_again() {
    let reflector = Harness::paged(vec![
        page(10, &[], None),
        Answer::Watch(vec![pause(50.0), Step::Error(refused())]),
        Answer::Error(refused()),
        Answer::Error(refused()),
        Answer::Watch(vec![pause(100.0), bookmark(11), Step::Never]),
    ]);
    reflector.work(49.0).await;
    assert!(reflector.status().stale_since.is_none());
    reflector.work(1.5).await;
    let since = reflector.status().stale_since.expect("the watch broke");
    assert!((0.49..0.51).contains(&since.elapsed().as_secs_f64()));
    reflector.work(1.0).await;
    // A watch that is open for a second without an event counts as working.
    reflector.work(3.0).await;
    assert_eq!(reflector.status().stale_since, None);
    assert_eq!(reflector.status().failures, 0);
    assert_eq!(reflector.source.requests().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn versions_without_an_order_are_said_to_be_so() {
    let answer = Answer::Page(Page {
        items: items([]),
        resource_version: ResourceVersion::from("opaque"),
        continue_token: None,
        is_sharded: false,
    });
    let reflector = Harness::paged(vec![answer, Answer::Watch(vec![Step::Never])]);
    reflector.work(1.0).await;
    assert!(!reflector.status().ordered_versions);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_stays_absent_wakes_nobody() {
    let reflector = Harness::streaming(times(100, || Answer::Error(api(404, "NotFound"))).collect());
    reflector.work(5.0).await;
    let mut status = reflector.status.clone();
    status.mark_unchanged();
    reflector.work(100.0).await;
    assert!(!status.has_changed().unwrap());
    assert!(reflector.source.requests().len() > 10);
}
