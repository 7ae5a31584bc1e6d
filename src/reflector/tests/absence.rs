//! Kinds that are not served: the informer waits, shows an empty cache, or clears the cache, as configured.

use super::*;
use crate::config::Absent;
use crate::reflector::Phase;

fn not_found() -> Answer<()> {
    Answer::Error(api(404, "NotFound"))
}

fn start(script: Vec<Answer<()>>, absent: Absent) -> Harness {
    Harness::start(script, Settings { streaming: false, absent, ..Settings::default() })
}

#[tokio::test(start_paused = true)]
async fn an_optional_kind_that_discovery_does_not_know_counts_as_synced_until_it_comes() {
    let reflector = start(
        vec![not_found(), Answer::Served(false), not_found(), not_found(), page(10, &[("a", 1)], None)],
        Absent::Empty,
    );
    reflector.work(1.0).await;
    let status = reflector.status();
    assert!(status.synced && status.phase == Phase::Absent);
    assert!(status.stale_since.is_none() && status.failures == 0, "it is known: {status:?}");
    assert_eq!(reflector.calls(), ["absent"]);
    let mut news = reflector.status.clone();
    news.mark_unchanged();
    reflector.work(20.0).await;
    assert!(!news.has_changed().unwrap(), "still absent is no news");
    assert!(reflector.status().failures == 0 && reflector.status().stale_since.is_none());
    reflector.work(15.0).await;
    reflector.asked(&[
        "list limit=500",
        "served?",
        "list limit=500",
        "list limit=500",
        "list limit=500",
        "watch from=10",
    ]);
    reflector.holds(&[("a", 1)], 10);
    assert_eq!(reflector.calls(), ["absent", "begin", "commit 10"]);
}

#[tokio::test(start_paused = true)]
async fn an_optional_kind_is_waited_for_when_it_is_served_or_nobody_knows() {
    let reflector = start(
        vec![
            not_found(),
            Answer::Served(true),
            not_found(),
            Answer::Error(api(503, "ServiceUnavailable")),
            page(10, &[], None),
        ],
        Absent::Empty,
    );
    reflector.work(12.0).await;
    assert!(!reflector.status().synced && reflector.status().stale_since.is_some());
    assert_eq!(reflector.calls(), Vec::<String>::new());
    reflector.work(12.0).await;
    assert_eq!(reflector.calls(), ["begin", "commit 10"]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_vanishes_is_given_up_when_discovery_says_so_twice() {
    let reflector = start(
        vec![
            page(10, &[("a", 1)], None),
            Answer::Watch(vec![pause(5.0), Step::Error(api(404, "NotFound"))]),
            Answer::Served(false),
            not_found(),
            Answer::Served(false),
            not_found(),
            page(30, &[("b", 25)], None),
            Answer::Watch(vec![Step::Never]),
        ],
        Absent::Clear,
    );
    reflector.work(8.0).await;
    reflector.holds(&[("a", 1)], 10);
    assert!(reflector.status().stale_since.is_some(), "once is not enough");
    reflector.work(10.0).await;
    assert_eq!(reflector.calls(), ["begin", "commit 10", "absent"]);
    let status = reflector.status();
    assert!(status.phase == Phase::Absent);
    assert!(status.synced && status.stale_since.is_none(), "{status:?}");
    reflector.work(25.0).await;
    reflector.holds(&[("b", 25)], 30);
    assert_eq!(reflector.source.unplayed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_some_version_serves_or_that_comes_back_in_between_stays() {
    let reflector = start(
        vec![
            page(10, &[("a", 1)], None),
            Answer::Watch(vec![pause(5.0), Step::Error(api(404, "NotFound"))]),
            Answer::Served(false),
            not_found(),
            Answer::Served(true), // in another version
            not_found(),
            Answer::Served(false), // counts as the first check
            page(10, &[("a", 1)], None),
            Answer::Watch(vec![pause(5.0), Step::Error(api(404, "NotFound"))]),
            Answer::Served(false), // the first check again, after a list
            not_found(),
            Answer::Error(api(500, "InternalError")),
        ],
        Absent::Clear,
    );
    reflector.work(70.0).await;
    assert_eq!(reflector.source.unplayed(), 0);
    reflector.holds(&[("a", 1)], 10);
    assert!(!reflector.calls().contains(&String::from("absent")), "{:?}", reflector.calls());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_what_nobody_wants_to_know() {
    let reflector = start(vec![not_found(), not_found(), page(10, &[], None)], Absent::Wait);
    reflector.work(25.0).await;
    reflector.asked(&["list limit=500", "list limit=500", "list limit=500", "watch from=10"]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_served_again_may_be_behind_until_it_is_listed() {
    let reflector = Harness::start(
        [Answer::Error(api(404, "NotFound")), Answer::Served(false)]
            .into_iter()
            .chain(times(20, || Answer::Error(api(500, "InternalError"))))
            .collect(),
        Settings { streaming: false, absent: Absent::Empty, ..Settings::default() },
    );
    reflector.work(1.0).await;
    assert!(reflector.status().stale_since.is_none(), "it is known to be absent");
    reflector.work(11.0).await;
    assert!(reflector.status().stale_since.is_some() && reflector.status().phase == Phase::BackingOff);
}
