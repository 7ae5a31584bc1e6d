//! Streaming lists. S: scenarios of client-go's tests; N: own scenarios.

use super::*;

#[tokio::test(start_paused = true)]
async fn s52_s68_a_streaming_list_goes_on_as_the_watch() {
    let reflector = Harness::streaming(vec![Answer::Watch(vec![
        put("a", 1),
        put("b", 2),
        end_of_list(10),
        put("a", 11),
        Step::Never,
    ])]);
    reflector.work(60.0).await;
    reflector.played(&["stream"], &[("a", 11), ("b", 2)], 11);
    assert_eq!(reflector.calls(), ["begin", "commit 10", "apply 1"]);
}

#[tokio::test(start_paused = true)]
async fn s67_s69_without_the_end_bookmark_nothing_is_synced() {
    let steps = vec![put("a", 1), bookmark(5), pause(9.0), put("b", 6), Step::Never];
    let reflector = Harness::streaming(vec![Answer::Watch(steps)]);
    reflector.work(18.0).await;
    assert!(!reflector.status().synced);
    assert_eq!(reflector.calls(), ["begin"]);
    assert!(reflector.model.lock().unwrap().objects.is_empty());
}

#[tokio::test(start_paused = true)]
async fn changes_during_a_streaming_list_are_part_of_it() {
    let reflector = Harness::streaming(vec![Answer::Watch(vec![
        put("a", 1),
        put("b", 2),
        put("c", 3),
        put("a", 8),
        gone("b", 9),
        Step::Event(WatchEvent::Deleted(Err(broken(Some("c"), None)))),
        end_of_list(10),
        Step::Never,
    ])]);
    reflector.work(1.0).await;
    reflector.played(&["stream"], &[("a", 8)], 10);
}

#[tokio::test(start_paused = true)]
async fn s74_a_server_that_refuses_streaming_is_listed_in_pages_at_once_and_from_then_on() {
    let reflector = Harness::streaming(vec![
        Answer::Error(api(422, "Invalid")),
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![pause(100.0), bookmark(20), pause(100.0), Step::Error(expired())]),
        page(30, &[("a", 1)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(0.1).await;
    reflector.asked(&["stream", "list limit=500", "watch from=10"]);
    assert_eq!(reflector.status().failures, 0);
    reflector.work(250.0).await;
    let requests = ["stream", "list limit=500", "watch from=10", "list limit=500", "watch from=30"];
    reflector.played(&requests, &[("a", 1)], 30);
}

#[tokio::test(start_paused = true)]
async fn streaming_is_tried_again_after_an_hour() {
    let hour = (0..60).flat_map(|minute| [pause(65.0), bookmark(11 + minute)]);
    let reflector = Harness::start(
        vec![
            Answer::Error(api(400, "BadRequest")),
            page(10, &[("a", 1)], None),
            Answer::Watch(hour.chain([Step::Error(expired())]).collect()),
            Answer::Watch(vec![put("a", 1), end_of_list(90), Step::Never]),
        ],
        Settings { watch_grace: Duration::from_secs(7200), ..Settings::default() },
    );
    reflector.work(65.0 * 60.0 + 60.0).await;
    reflector.played(&["stream", "list limit=500", "watch from=10", "stream"], &[("a", 1)], 90);
}

#[tokio::test(start_paused = true)]
async fn n7_a_streaming_list_without_an_event_for_10_seconds_gives_way_to_pages() {
    let reflector = Harness::streaming(vec![
        Answer::Watch(vec![put("a", 1), pause(9.0), put("b", 2), Step::Never]),
        page(10, &[("a", 1), ("b", 2)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(18.9).await;
    reflector.asked(&["stream"]);
    reflector.work(0.2).await;
    reflector.played(&["stream", "list limit=500", "watch from=10"], &[("a", 1), ("b", 2)], 10);
    assert_eq!(reflector.calls(), ["begin", "abort", "begin", "commit 10"]);
    assert_eq!(reflector.source.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_that_goes_on_without_an_end_gives_way_to_pages_within_a_minute() {
    let endless = (0..200).flat_map(|n| [pause(5.0), put("a", n)]);
    let reflector = Harness::streaming(vec![
        Answer::Watch(endless.collect()),
        page(500, &[("a", 1)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(44.0).await;
    reflector.asked(&["stream"]);
    reflector.work(16.0).await;
    reflector.asked(&["stream", "list limit=500", "watch from=500"]);
    let error = reflector.status().last_error.unwrap();
    assert!(error.is_protocol() && error.to_string().ends_with("goes on without an end"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_may_take_5_minutes_while_it_brings_objects() {
    let dense = |seconds: u64| {
        (0..seconds * 10).flat_map(|n| {
            [pause(1.0), put("a", 10 * n)].into_iter().chain((1..100).map(move |m| put("a", 10 * n + m)))
        })
    };
    let reflector =
        Harness::streaming(vec![Answer::Watch(dense(29).chain([end_of_list(9000), Step::Never]).collect())]);
    reflector.work(291.0).await;
    reflector.asked(&["stream"]);
    assert!(reflector.status().synced);
    let reflector = Harness::streaming(vec![
        Answer::Watch(dense(40).collect()),
        page(9000, &[("a", 1)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(299.0).await;
    reflector.asked(&["stream"]);
    reflector.work(2.0).await;
    reflector.asked(&["stream", "list limit=500", "watch from=9000"]);
}

#[tokio::test(start_paused = true)]
async fn two_broken_streaming_lists_are_followed_by_pages() {
    let broken = || Answer::Watch(vec![put("a", 1), Step::Error(garbage())]);
    let reflector = Harness::streaming(vec![
        broken(),
        broken(),
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![Step::Error(expired())]),
        Answer::Watch(vec![put("a", 1), end_of_list(12), Step::Never]),
    ]);
    reflector.work(40.0).await;
    // The server did not refuse streaming, so the next list tries it again.
    reflector.played(&["stream", "stream", "list limit=500", "watch from=10", "stream"], &[("a", 1)], 12);
}
