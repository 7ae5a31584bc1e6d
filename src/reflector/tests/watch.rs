//! Watches: how they end, and what follows. S: scenarios of client-go's tests; N: own scenarios.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::reflector::Phase;

fn listed() -> Answer<()> {
    page(10, &[("a", 1)], None)
}

#[tokio::test(start_paused = true)]
async fn each_form_of_410_is_followed_by_a_list_at_once_and_only_repeated_ones_wait() {
    // At the start of a watch; in a stream (ERROR events and bare statuses are handled alike). Lists: s54,
    // s55.
    type Form = fn() -> Answer<()>;
    let forms: [Form; 2] =
        [|| Answer::Error(expired()), || Answer::Watch(vec![Step::Error(api(500, "Expired"))])];
    for form in forms {
        let reflector = Harness::paged(vec![
            listed(),
            form(),
            page(20, &[("a", 1)], None),
            form(),
            page(30, &[("a", 1)], None),
            form(),
            page(40, &[("b", 39)], None),
            Answer::Watch(vec![Step::Never]),
        ]);
        reflector.work(40.0).await;
        let list = "list limit=500";
        let requests = ["watch from=10", list, "watch from=20", list, "watch from=30", list, "watch from=40"];
        reflector.played(&[&[list], &requests[..]].concat(), &[("b", 39)], 40);
        let gaps = reflector.gaps();
        assert!(
            // The fourth list waits for the budget.
            gaps[1] < 0.001 && (0.4..=0.8).contains(&gaps[3]) && (8.0..=10.1).contains(&gaps[5]),
            "{gaps:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_410_after_things_went_well_is_a_first_one_again() {
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Error(expired()),
        listed(),
        Answer::Watch(vec![pause(2.0), Step::Error(expired())]),
        listed(),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(10.0).await;
    assert_eq!(reflector.source.unplayed(), 0);
    assert!(reflector.gaps()[3] < 2.001, "{:?}", reflector.gaps());
}

#[tokio::test(start_paused = true)]
async fn s72_a_streaming_list_that_ends_after_its_end_is_followed_by_a_watch_at_once() {
    for lasts in [pause(0.0), pause(60.0)] {
        let reflector = Harness::streaming(vec![
            Answer::Watch(vec![put("a", 1), end_of_list(2), put("a", 3), lasts]),
            Answer::Watch(vec![Step::Never]),
        ]);
        reflector.work(61.0).await;
        reflector.played(&["stream", "watch from=3"], &[("a", 3)], 3);
        assert!(reflector.gaps()[0] <= 60.101 && reflector.status().last_error.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_renewal_takes_100_ms_at_most_and_does_not_list() {
    let minute = |version| [pause(60.0), bookmark(version)];
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch((11..16).flat_map(minute).collect()),
        Answer::Watch((16..21).flat_map(minute).collect()),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(10.0).await;
    let mut stale = 0.0;
    for _ in 0..62_000 {
        reflector.work(0.01).await;
        let now = reflector.status();
        assert!(now.failures == 0 && now.phase == Phase::Watching);
        stale += if now.stale_since.is_some() { 0.01 } else { 0.0 };
    }
    assert!(stale <= 0.22, "stale for {stale} s");
    reflector.played(&["list limit=500", "watch from=10", "watch from=15", "watch from=20"], &[("a", 1)], 20);
    assert!(reflector.gaps().iter().all(|gap| *gap <= 300.101));
    assert_eq!(reflector.tally.watches(), 3);
}

#[tokio::test(start_paused = true)]
async fn s58_too_many_requests_wait_as_told_and_do_not_list() {
    let slow_down = || asks_for(429, "TooManyRequests", Some(3));
    let mut script = vec![listed()];
    script.extend(times(3, || Answer::Error(slow_down())));
    script.push(page(10, &[("a", 1)], Some("more")));
    script.push(Answer::Watch(vec![Step::Error(slow_down())]));
    script.push(Answer::Watch(vec![put("a", 12), Step::Never]));
    let reflector = Harness::paged(script);
    reflector.work(60.0).await;
    let watch = "watch from=10";
    reflector.played(
        &["list limit=500", watch, watch, watch, "list limit=1", watch, watch],
        &[("a", 12)],
        12,
    );
    let gaps = reflector.gaps();
    assert!(gaps[4] <= 0.1, "a server that answers is watched at once: {gaps:?}");
    assert!(gaps[1..4].iter().chain(&gaps[5..]).all(|gap| *gap >= 3.0), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn s59_a_refused_connection_is_tried_less_and_less_often_without_a_list() {
    let mut script = vec![listed()];
    script.extend(times(500, || Answer::Error(refused())));
    let reflector = Harness::paged(script);
    reflector.work(600.0).await;
    let (requests, gaps) = (reflector.source.requests(), reflector.gaps());
    let cheap = |request: &String| request == "watch from=10" || request == "list limit=1";
    assert!(requests[1..].iter().all(cheap), "{requests:?}");
    assert!((100..=190).contains(&requests.len()), "{}", requests.len());
    assert!(gaps[1] <= 0.075 && gaps.last() >= Some(&2.5), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 7.5), "{gaps:?}");
    reflector.holds(&[("a", 1)], 10);
    let status = reflector.status();
    assert!(status.synced && status.last_error.unwrap().is_transport());
    assert!(status.stale_since.unwrap().elapsed() > Duration::from_secs(599));
}

#[tokio::test(start_paused = true)]
async fn s59_back_on_the_network_the_watch_goes_on_where_it_was() {
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch(vec![pause(30.0), put("b", 11), Step::Error(refused())]),
        Answer::Error(refused()),
        Answer::Watch(vec![put("c", 12), Step::Never]),
    ]);
    reflector.work(40.0).await;
    reflector.played(
        &["list limit=500", "watch from=10", "watch from=11", "watch from=11"],
        &[("a", 1), ("b", 11), ("c", 12)],
        12,
    );
    assert!(reflector.gaps()[1] <= 30.101, "a connection that was fine is opened again at once");
}

#[tokio::test(start_paused = true)]
async fn s60_after_errors_of_the_server_a_list_is_made_where_there_is_something_to_hear() {
    let mut script = vec![listed()];
    script.extend(times(3, || Answer::Watch(vec![Step::Error(api(500, "InternalError"))])));
    script.extend([
        page(19, &[], Some("more")),
        Answer::Error(api(500, "InternalError")),
        page(20, &[("a", 15)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    let reflector = Harness::paged(script);
    reflector.work(20.0).await;
    let watch = "watch from=10";
    let requests =
        ["list limit=500", watch, watch, watch, "list limit=1", watch, "list from=10", "watch from=20"];
    reflector.played(&requests, &[("a", 15)], 20);
    let gaps = reflector.gaps();
    assert!(gaps[1..4].windows(2).all(|pair| pair[0] <= pair[1]), "{gaps:?}");
    assert_eq!(reflector.status().phase, Phase::Watching);
}

#[tokio::test(start_paused = true)]
async fn where_watches_never_work_the_kind_is_polled_and_the_status_says_so() {
    // Watches that end at once, are cut at the head or in the first line, get no response, or are forbidden
    // or not allowed.
    type Form = fn() -> Answer<()>;
    let forms: [(Form, u64); 6] = [
        (|| Answer::Watch(vec![]), 20),
        (|| Answer::Error(refused()), 20),
        (|| Answer::Watch(vec![Step::Error(cut())]), 20),
        (|| Answer::After(Duration::from_secs(30), Box::new(Answer::Error(timeout()))), 150),
        (|| Answer::Error(api(403, "Forbidden")), 35),
        (|| Answer::Error(api(405, "MethodNotAllowed")), 35),
    ];
    for (n, (form, soon)) in forms.into_iter().enumerate() {
        let world = Arc::new(AtomicU64::new(10));
        let (served, answers) = (world.clone(), move |request: &str| {
            let version = world.load(Ordering::Relaxed);
            if request.starts_with("watch") { form() } else { page(version, &[("a", version)], None) }
        });
        let reflector = Harness::answered(answers, Settings { streaming: false, ..Settings::default() });
        reflector.work(1.0).await;
        reflector.holds(&[("a", 10)], 10);
        served.store(20, Ordering::Relaxed);
        reflector.work(soon as f64).await;
        reflector.holds(&[("a", 20)], 20);
        assert_eq!(reflector.status().phase, Phase::Polling, "form {n}");
        assert!(reflector.status().stale_since.is_some(), "it may be behind");
        let before = reflector.source.requests().len();
        for version in 3..23 {
            served.store(10 * version, Ordering::Relaxed);
            // Before each list, the informer waits for a watch that hangs.
            reflector.work(if n == 3 { 64.0 } else { 34.0 }).await;
            reflector.holds(&[("a", 10 * version)], 10 * version);
            assert!(reflector.status().stale_since.unwrap().elapsed() <= Duration::from_secs(64));
        }
        let asked = reflector.source.requests().len() - before;
        assert!((36..=75).contains(&asked), "form {n}: {asked} requests");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_cuts_each_watch_after_an_event_is_asked_once_a_second() {
    let mut script = vec![listed()];
    script.extend((0..400).map(|n| Answer::Watch(vec![put("a", 11 + n)])));
    let reflector = Harness::paged(script);
    reflector.work(60.0).await;
    let asked = reflector.source.requests().len();
    assert!((60..=72).contains(&asked), "{asked} requests");
    assert!(reflector.gaps()[1..10].iter().all(|gap| *gap <= 0.1), "the first ones at once");
}

#[tokio::test(start_paused = true)]
async fn any_wait_is_a_time_in_which_the_state_may_be_behind() {
    // Each watch ends in order soon after an event. This is no error, but no events arrive between two
    // watches.
    let mut script = vec![listed()];
    script.extend((0..400).map(|n| Answer::Watch(vec![put("a", 11 + n), pause(0.1)])));
    let reflector = Harness::paged(script);
    reflector.work(30.0).await;
    let (mut stale, mut open) = (0, 0);
    for _ in 0..1000 {
        reflector.work(0.01).await;
        match reflector.source.open() {
            0 => stale += usize::from(reflector.status().stale_since.is_some()),
            _ => open += 1,
        }
        assert!(reflector.source.open() == 1 || reflector.status().stale_since.is_some());
    }
    assert!(stale > 500 && open > 50, "{stale} {open}");
    assert_eq!(reflector.tally.errors(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_bookmarks_come_each_minute_a_half_open_connection_is_found_soon_after_one_is_due() {
    let minute = |version| [pause(60.0), bookmark(version)];
    let mut steps: Vec<_> = (11..14).flat_map(minute).collect();
    steps.push(Step::Never);
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch(steps),
        page(99, &[], Some("more")), // the probe: something was written, perhaps of this kind
        Answer::Watch(vec![put("b", 50), Step::Never]),
    ]);
    reflector.work(180.0 + 67.0).await;
    reflector.asked(&["list limit=500", "watch from=10"]);
    reflector.work(2.0).await;
    let requests = ["list limit=500", "watch from=10", "list limit=1", "watch from=13"];
    reflector.played(&requests, &[("a", 1), ("b", 50)], 50);
}

#[tokio::test(start_paused = true)]
async fn an_open_watch_that_never_says_anything_is_replaced_by_lists() {
    // A proxy that sends the head of a response but not its body.
    let world = Arc::new(AtomicU64::new(10));
    let (served, answers) = (world.clone(), move |request: &str| {
        let version = world.load(Ordering::Relaxed);
        if request.starts_with("watch") {
            Answer::Watch(vec![Step::Never])
        } else {
            page(version, &[("a", version)], None)
        }
    });
    let reflector = Harness::answered(answers, Settings { streaming: false, ..Settings::default() });
    reflector.work(1.0).await;
    served.store(20, Ordering::Relaxed);
    reflector.work(370.0).await;
    reflector.holds(&[("a", 20)], 20);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_vanishes_leaves_the_state_stale() {
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch(vec![pause(5.0), Step::Error(api(404, "NotFound"))]),
        Answer::Error(api(404, "NotFound")),
        page(20, &[], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(16.0).await;
    reflector.holds(&[("a", 1)], 10);
    assert_eq!(reflector.status().phase, Phase::Absent);
    assert!(reflector.status().stale_since.is_some());
    reflector.work(15.0).await;
    reflector.played(
        &["list limit=500", "watch from=10", "list limit=500", "list limit=500", "watch from=20"],
        &[],
        20,
    );
}

#[tokio::test(start_paused = true)]
async fn a_garbled_watch_is_followed_by_a_list() {
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch(vec![put("a", 11), Step::Error(garbage())]),
        page(12, &[("a", 11)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(2.0).await;
    reflector.played(&["list limit=500", "watch from=10", "list from=11", "watch from=12"], &[("a", 11)], 12);
}

#[tokio::test(start_paused = true)]
async fn an_event_below_its_stream_breaks_the_stream_and_is_not_taken_in() {
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch(vec![put("b", 15), put("a", 12), put("c", 16), Step::Never]),
        page(20, &[("a", 12), ("b", 15)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(2.0).await;
    reflector.played(
        &["list limit=500", "watch from=10", "list limit=500", "watch from=20"],
        &[("a", 12), ("b", 15)],
        20,
    );
    assert_eq!(reflector.source.open(), 1, "the broken watch was dropped");
    assert!(reflector.status().last_error.unwrap().is_protocol());
}

#[tokio::test(start_paused = true)]
async fn s63_bookmarks_move_the_version_and_wake_nobody() {
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch(vec![pause(30.0), bookmark(30), pause(30.0), gone("a", 40), Step::Never]),
    ]);
    reflector.work(10.0).await;
    let mut status = reflector.status.clone();
    status.mark_unchanged();
    reflector.work(25.0).await;
    reflector.holds(&[("a", 1)], 30);
    assert_eq!(reflector.calls().last().unwrap(), "apply 1");
    reflector.work(30.0).await;
    reflector.holds(&[], 40);
    assert!(!status.has_changed().unwrap(), "nothing worth waking for has happened");
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_is_taken_in_at_once_up_to_a_bound() {
    let events = (0..10_000).map(|n| put("a", 11 + n)).chain([pause(1.0), put("b", 20_000), Step::Never]);
    let reflector = Harness::paged(vec![listed(), Answer::Watch(events.collect())]);
    reflector.work(2.0).await;
    assert_eq!(
        reflector.calls(),
        ["begin", "commit 10", "apply 4096", "apply 4096", "apply 1808", "apply 1"]
    );
}

#[tokio::test(start_paused = true)]
async fn n9_an_object_that_does_not_decode_does_not_end_the_watch() {
    let invalid = |name, version| Step::Event(WatchEvent::Applied(Err(broken(name, version))));
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch(vec![invalid(Some("b"), Some(11)), invalid(None, None), put("c", 12), Step::Never]),
    ]);
    reflector.work(2.0).await;
    reflector.played(&["list limit=500", "watch from=10"], &[("a", 1), ("c", 12)], 12);
    assert_eq!(reflector.model.lock().unwrap().invalid, 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_compared_with_a_consistent_read() {
    let script = vec![
        listed(),
        Answer::Watch(vec![Step::Never]),
        page(10, &[("a", 1)], Some("more")), // the same version: nothing has changed
        page(15, &[("a", 1)], Some("more")), // something was written since, perhaps of this kind
        Answer::Watch(vec![put("a", 14), Step::Never]),
    ];
    // Long enough that the watch does not end by itself.
    let watch_grace = Duration::from_secs(600);
    let reflector = Harness::start(script, Settings { streaming: false, watch_grace, ..Settings::default() });
    reflector.work(179.0).await;
    reflector.asked(&["list limit=500", "watch from=10"]);
    reflector.work(2.0).await;
    reflector.asked(&["list limit=500", "watch from=10", "list limit=1"]);
    assert_eq!(reflector.source.open(), 1);
    reflector.work(180.0).await;
    reflector.played(
        &["list limit=500", "watch from=10", "list limit=1", "list limit=1", "watch from=10"],
        &[("a", 14)],
        14,
    );
    assert_eq!(reflector.source.open(), 1, "the half-open watch was dropped");
    assert!(reflector.status().stale_since.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_restored_server_is_found_out_by_its_silence() {
    let reflector = Harness::paged(vec![
        page(100, &[("a", 90)], None),
        Answer::Watch(vec![Step::Never]),
        page(50, &[("a", 5)], None), // the probe
        page(51, &[("a", 5)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(182.0).await;
    reflector.played(
        &["list limit=500", "watch from=100", "list limit=1", "list limit=500", "watch from=51"],
        &[("a", 5)],
        51,
    );
    assert_eq!(reflector.calls(), ["begin", "commit 100", "new epoch", "commit 51"]);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_dropped_when_the_server_does_not_answer_either() {
    let reflector = Harness::paged(vec![
        listed(),
        Answer::Watch(vec![Step::Never]),
        Answer::Error(refused()), // the probe
        Answer::After(Duration::from_secs(2), Box::new(Answer::Error(refused()))),
        Answer::Watch(vec![put("a", 11), Step::Never]),
    ]);
    reflector.work(179.0).await;
    assert!(reflector.status().stale_since.is_none());
    reflector.work(1.2).await;
    assert_eq!(reflector.source.open(), 0);
    assert!(reflector.status().stale_since.is_some());
    reflector.work(5.0).await;
    let watch = "watch from=10";
    reflector.played(&["list limit=500", watch, "list limit=1", watch, watch], &[("a", 11)], 11);
    assert!(reflector.status().stale_since.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_the_server_forgets_to_end_is_dropped_when_its_time_is_over() {
    let endless = (0..20).flat_map(|n| [pause(60.0), bookmark(11 + n)]);
    let reflector =
        Harness::paged(vec![listed(), Answer::Watch(endless.collect()), Answer::Watch(vec![Step::Never])]);
    reflector.work(615.0).await;
    let gaps = reflector.gaps();
    assert!((310.0..=610.0).contains(&gaps[1]), "{gaps:?}");
    assert_eq!(reflector.source.open(), 1);
    assert!(reflector.status().last_error.unwrap().is_timeout());
}
