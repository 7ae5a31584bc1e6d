//! Lists in pages, and causes of relists. S: scenarios of client-go's tests; N: own scenarios.

use super::*;
use crate::reflector::Phase;
use crate::source::{Json, ListRequest, Source, WatchRequest};

#[tokio::test(start_paused = true)]
async fn s52_a_list_in_pages_is_followed_by_a_watch_from_its_version() {
    let reflector = Harness::paged(vec![
        page(10, &[("a", 1), ("b", 2)], Some("next")),
        page(10, &[("c", 3)], None),
        Answer::Watch(vec![put("b", 11), gone("a", 12), Step::Never]),
    ]);
    reflector.work(60.0).await;
    reflector.played(
        &["list limit=500", "list limit=500 continue=next", "watch from=10"],
        &[("b", 11), ("c", 3)],
        12,
    );
    assert_eq!(reflector.calls(), ["begin", "commit 10", "apply 2"]);
}

#[tokio::test(start_paused = true)]
async fn s54_a_relist_is_not_older_than_what_is_held_unless_that_has_expired() {
    let reflector = Harness::paged(vec![
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![put("a", 11), Step::Error(garbage())]),
        Answer::Error(expired()),
        page(20, &[("a", 15)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(5.0).await;
    reflector.played(
        &["list limit=500", "watch from=10", "list from=11", "list limit=500", "watch from=20"],
        &[("a", 15)],
        20,
    );
    assert!(reflector.gaps()[2] < 0.001, "the first 410 is answered at once");
}

#[tokio::test(start_paused = true)]
async fn s55_an_expired_continue_is_followed_by_a_list_in_one_piece() {
    for streaming in [false, true] {
        let mut script = vec![
            page(10, &[("a", 1)], Some("next")),
            Answer::Error(expired()),
            page(20, &[("a", 1), ("b", 15)], None),
            Answer::Watch(vec![Step::Error(expired())]),
        ];
        let mut requests = vec!["list limit=500", "list limit=500 continue=next", "list", "watch from=20"];
        if streaming {
            script.insert(0, Answer::Error(api(422, "Invalid")));
            requests.insert(0, "stream");
        }
        // The next list is in pages again.
        script.extend([page(30, &[("b", 15)], None), Answer::Watch(vec![Step::Never])]);
        requests.extend(["list limit=500", "watch from=30"]);
        let reflector = Harness::start(script, Settings { streaming, ..Settings::default() });
        reflector.work(5.0).await;
        reflector.played(&requests, &[("b", 15)], 30);
        assert_eq!(reflector.calls(), ["begin", "abort", "begin", "commit 20", "begin", "commit 30"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_breaks_off_leaves_what_is_held() {
    let reflector = Harness::paged(vec![
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![Step::Error(expired())]),
        page(20, &[("b", 15)], Some("next")),
        Answer::Error(api(500, "InternalError")),
    ]);
    reflector.work(0.1).await;
    reflector.holds(&[("a", 1)], 10);
    assert!(reflector.status().synced && reflector.status().stale_since.is_some());
    assert_eq!(reflector.calls(), ["begin", "commit 10", "begin", "abort"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_continues_with_itself_is_not_followed_for_ever() {
    let reflector = Harness::paged(times(2, || page(10, &[], Some("same"))).collect());
    reflector.work(0.1).await;
    reflector.asked(&["list limit=500", "list limit=500 continue=same"]);
    assert_eq!(reflector.status().phase, Phase::BackingOff);
}

#[tokio::test(start_paused = true)]
async fn failing_lists_are_tried_less_and_less_often() {
    // kube-rs, which restarts at each attempt, makes 501 requests in this time.
    for streaming in [false, true] {
        let script = times(1000, || Answer::Error(api(500, "InternalError"))).collect();
        let reflector = Harness::start(script, Settings { streaming, ..Settings::default() });
        reflector.work(600.0).await;
        let gaps = reflector.gaps();
        assert!((20..=45).contains(&gaps.len()), "{} attempts", gaps.len() + 1);
        assert!(gaps[0] <= 0.8 && gaps.last() >= Some(&15.0), "{gaps:?}");
        assert!(gaps.windows(2).take(5).all(|pair| pair[0] <= pair[1]), "{gaps:?}");
        assert!(!reflector.status().synced);
        assert_eq!(reflector.status().failures as usize, gaps.len() + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_for_lists() {
    let slow_down = || Answer::Error(asks_for(429, "TooManyRequests", Some(77)));
    let reflector = Harness::streaming(vec![slow_down(), slow_down(), slow_down()]);
    reflector.work(170.0).await;
    reflector.asked(&["stream", "stream", "stream"]);
    assert!(reflector.gaps().iter().all(|gap| (77.0..78.0).contains(gap)), "{:?}", reflector.gaps());
}

#[tokio::test(start_paused = true)]
async fn an_absent_kind_is_a_state_and_asked_for_every_8_seconds_at_most() {
    let mut script: Vec<_> = times(8, || Answer::Error(api(404, "NotFound"))).collect();
    script.push(Answer::Error(api(500, "InternalError")));
    script.push(page(10, &[("a", 1)], None));
    script.push(Answer::Watch(vec![Step::Never]));
    let reflector = Harness::paged(script);
    reflector.work(60.0).await;
    assert_eq!(reflector.status().phase, Phase::Absent);
    assert!(reflector.status().last_error.unwrap().is_kind_absent());
    reflector.work(60.0).await;
    let gaps = reflector.gaps();
    assert!(gaps[..8].iter().all(|gap| (8.0..=10.0).contains(gap)), "{gaps:?}");
    assert!(gaps[8] <= 0.8, "the backoff of errors has not grown meanwhile: {gaps:?}");
    reflector.holds(&[("a", 1)], 10);
    assert_eq!(reflector.status().phase, Phase::Watching);
}

#[tokio::test(start_paused = true)]
async fn a_list_below_what_is_held_is_forgotten_and_made_again_consistently() {
    let reflector = Harness::paged(vec![
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![Step::Error(garbage())]),
        page(9, &[], None),
        page(20, &[("a", 1), ("b", 15)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(5.0).await;
    reflector.played(
        &["list limit=500", "watch from=10", "list from=10", "list limit=500", "watch from=20"],
        &[("a", 1), ("b", 15)],
        20,
    );
    assert_eq!(reflector.calls(), ["begin", "commit 10", "begin", "commit 20"]);
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_pages_has_an_end_or_is_given_up() {
    let chain = |length: usize| {
        (1..=length).map(move |n| {
            let token = format!("token-{n}");
            page(10, &[("a", 1)], Some(token.as_str()).filter(|_| n < length))
        })
    };
    let settings = || Settings { streaming: false, pages: 3, ..Settings::default() };
    let reflector = Harness::start(chain(3).chain([Answer::Watch(vec![Step::Never])]).collect(), settings());
    reflector.work(1.0).await;
    reflector.holds(&[("a", 1)], 10);

    let reflector = Harness::start(chain(99).collect(), settings());
    reflector.work(0.1).await;
    let asked = ["list limit=500", "list limit=500 continue=token-1", "list limit=500 continue=token-2"];
    reflector.asked(&asked);
    assert_eq!(reflector.calls(), ["begin", "abort"]);
    let error = reflector.status().last_error.unwrap();
    assert!(error.is_protocol() && error.to_string().ends_with("more pages than the limit"), "{error}");
    reflector.work(20.0).await;
    let gaps = reflector.gaps();
    assert!(gaps[2] >= 0.4 && gaps[5] >= 0.8 && gaps[8] >= 1.6, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_later_page_of_a_lower_version_is_no_part_of_the_list() {
    let reflector = Harness::paged(vec![
        page(28, &[("a", 1)], Some("next")),
        page(12, &[], None),
        page(28, &[("a", 1)], Some("next")),
        page(28, &[("b", 2)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(5.0).await;
    let page = ["list limit=500", "list limit=500 continue=next"];
    reflector.played(&[&page[..], &page[..], &["watch from=28"]].concat(), &[("a", 1), ("b", 2)], 28);
    assert_eq!(reflector.calls(), ["begin", "abort", "begin", "commit 28"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_too_large_is_asked_for_again_in_halves() {
    let too_large = || {
        let resource = String::from("stubs");
        Answer::Error(ErrorKind::PageTooLarge { verb: "list", resource, limit: 1 }.into())
    };
    let reflector = Harness::paged(vec![
        too_large(),
        too_large(),
        page(10, &[("a", 1)], Some("next")),
        page(10, &[("b", 2)], None),
        Answer::Watch(vec![pause(60.0), Step::Error(expired())]),
        page(20, &[("a", 1)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(70.0).await;
    reflector.played(
        &[
            "list limit=500",
            "list limit=250",
            "list limit=125",
            "list limit=125 continue=next",
            "watch from=10",
            "list limit=125",
            "watch from=20",
        ],
        &[("a", 1)],
        20,
    );
}

#[tokio::test(start_paused = true)]
async fn lists_have_a_budget_however_often_they_expire() {
    let mut script = Vec::new();
    for n in 0..100 {
        let steps = vec![put("a", 11 + 10 * n), Step::Error(expired())];
        script.extend([page(10 + 10 * n, &[("a", 1)], None), Answer::Watch(steps)]);
    }
    let reflector = Harness::paged(script);
    reflector.work(61.0).await;
    let lists = reflector.source.requests().iter().filter(|request| request.starts_with("list")).count();
    assert!((8..=9).contains(&lists), "{lists}");
    assert_eq!(reflector.status().phase, Phase::BackingOff);
    assert!(reflector.status().stale_since.is_some());
}

#[tokio::test(start_paused = true)]
async fn two_consistent_reads_below_what_is_held_begin_a_new_epoch() {
    let reflector = Harness::streaming(vec![
        Answer::Watch(vec![put("a", 90), end_of_list(100), Step::Error(garbage())]),
        Answer::Error(too_large()),
        Answer::Watch(vec![put("a", 5), end_of_list(50)]),
        page(51, &[("a", 5)], None),
        Answer::Watch(vec![put("a", 52), Step::Never]),
    ]);
    reflector.work(40.0).await;
    reflector.played(
        &["stream", "stream from=100", "stream", "list limit=500", "watch from=51"],
        &[("a", 52)],
        52,
    );
    assert_eq!(
        reflector.calls(),
        ["begin", "commit 100", "begin", "abort", "new epoch", "commit 51", "apply 1"]
    );
    assert!(reflector.gaps()[1] >= 1.0, "Retry-After of the first");
}

#[tokio::test(start_paused = true)]
async fn a_version_too_large_is_followed_by_a_consistent_read() {
    let reflector = Harness::paged(vec![
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![Step::Error(garbage())]),
        Answer::Error(too_large()),
        page(12, &[("a", 1)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(10.0).await;
    reflector.played(
        &["list limit=500", "watch from=10", "list from=10", "list limit=500", "watch from=12"],
        &[("a", 1)],
        12,
    );
}

#[tokio::test(start_paused = true)]
async fn n9_objects_that_do_not_decode_do_not_stop_a_list() {
    let mut invalid = page(10, &[("a", 1), ("b", 2)], None);
    if let Answer::Page(page) = &mut invalid {
        let mut items: Vec<_> = page.items.by_ref().collect();
        items.insert(1, Err(broken(None, None)));
        items.insert(1, Err(broken(Some("c"), Some(3))));
        page.items = Box::new(items.into_iter());
    }
    let reflector = Harness::paged(vec![invalid, Answer::Watch(vec![Step::Never])]);
    reflector.work(1.0).await;
    reflector.played(&["list limit=500", "watch from=10"], &[("a", 1), ("b", 2)], 10);
    assert_eq!(reflector.model.lock().unwrap().invalid, 2);
    assert!(reflector.status().synced);
}

/// Returns five pages, and checks at each request whether memory of an earlier page is still in use.
struct Pages {
    given: usize,
    alive: Arc<()>,
}

struct Tracked(#[expect(dead_code, reason = "counts")] Arc<()>);

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        b"{}"
    }
}

impl Source for Pages {
    type Payload = Json;
    type Watch = futures_util::stream::Pending<Result<WatchEvent<Json>, Error>>;

    fn resource(&self) -> &str {
        "pages"
    }

    async fn list(&mut self, _: &ListRequest) -> Result<Page<Json>, Error> {
        assert_eq!(Arc::strong_count(&self.alive), 1, "an earlier page is still alive");
        self.given += 1;
        let object = |_| {
            let json = bytes::Bytes::from_owner(Tracked(self.alive.clone()));
            Ok(Item {
                meta: meta(&self.given.to_string(), 1),
                payload: Json::Whole { json, managed_fields: None },
            })
        };
        Ok(Page {
            items: Box::new((0..500).map(object).collect::<Vec<_>>().into_iter()),
            resource_version: ResourceVersion::from_number(1),
            continue_token: (self.given < 5).then(|| self.given.to_string()),
            is_sharded: false,
        })
    }

    async fn watch(&mut self, _: &WatchRequest) -> Result<Self::Watch, Error> {
        assert_eq!((self.given, Arc::strong_count(&self.alive)), (5, 1), "the last page is still alive");
        Ok(futures_util::stream::pending())
    }

    async fn served(&mut self) -> Result<bool, Error> {
        Ok(true)
    }
}

#[tokio::test(start_paused = true)]
async fn promise_6_one_page_is_alive_at_a_time() {
    let model = Arc::default();
    let sink = ModelSink { model: Arc::clone(&model), held: None };
    let (sender, status) = latest::channel(Status::new());
    let settings = Settings { streaming: false, ..Settings::default() };
    let source = Pages { given: 0, alive: Arc::new(()) };
    let record = Recorder::new(Arc::new(Tally::new()));
    let (commands, stop) = (mpsc::channel(1).1, CancellationToken::new());
    let task = tokio::spawn(run(
        source,
        sink,
        Report::alone(sender),
        record,
        commands,
        stop,
        settings,
        Arc::default(),
    ));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!task.is_finished() && status.borrow().phase == Phase::Watching);
    assert_eq!(model.lock().unwrap().objects.len(), 5);
    task.abort();
}
