//! The tally: which events it counts, and which it does not.

use super::*;

const CAUSES: [RelistCause; 10] = [
    RelistCause::Expired,
    RelistCause::TooLarge,
    RelistCause::WatchFailed,
    RelistCause::WatchRefused,
    RelistCause::InvalidResponse,
    RelistCause::OutOfOrder,
    RelistCause::Behind,
    RelistCause::KindAbsent,
    RelistCause::Refresh,
    RelistCause::Stream,
];

impl Harness {
    /// The causes with a count, each with its count.
    fn relists(&self) -> Vec<(RelistCause, u64)> {
        let counts = CAUSES.map(|cause| (cause, self.tally.relists(cause)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    fn heard(&self) -> Option<f64> {
        self.tally.heard(tokio::time::Instant::now()).map(|ago| ago.as_secs_f64())
    }
}

fn listed() -> Answer<()> {
    page(10, &[("a", 1)], None)
}

fn internal() -> Error {
    api(500, "InternalError")
}

fn silent() -> Answer<()> {
    Answer::Watch(vec![Step::Never])
}

#[tokio::test(start_paused = true)]
async fn a_relist_is_counted_under_what_made_it_necessary() {
    let relisted = || [page(20, &[("a", 1)], None), silent()];
    let watch = |steps| vec![Answer::Watch(steps)];
    let cases: Vec<(RelistCause, Vec<Answer<()>>, u64)> = vec![
        (RelistCause::Expired, watch(vec![pause(30.0), Step::Error(expired())]), 1),
        (RelistCause::Expired, vec![Answer::Error(expired())], 1),
        (RelistCause::TooLarge, vec![Answer::Error(too_large())], 1),
        (
            RelistCause::WatchFailed,
            times(3, || Answer::Error(internal()))
                .chain([page(12, &[], Some("more")), Answer::Error(internal())])
                .collect(),
            4,
        ),
        (RelistCause::WatchRefused, vec![Answer::Error(api(403, "Forbidden"))], 1),
        (RelistCause::InvalidResponse, watch(vec![Step::Error(garbage())]), 1),
        (RelistCause::OutOfOrder, watch(vec![put("b", 12), put("b", 11)]), 1),
        (RelistCause::Behind, vec![silent(), page(9, &[], Some("more"))], 1),
        (RelistCause::KindAbsent, vec![Answer::Error(api(404, "NotFound"))], 1),
    ];
    for (cause, trouble, errors) in cases {
        let script = [listed()].into_iter().chain(trouble).chain(relisted()).collect();
        let reflector = Harness::paged(script);
        reflector.work(300.0).await;
        assert_eq!(reflector.source.unplayed(), 0, "{cause:?}: not all of the script was played");
        assert_eq!(reflector.relists(), [(cause, 1)]);
        assert_eq!(reflector.tally.errors(), errors, "{cause:?}");
        assert_eq!(reflector.tally.watch_restarts(), 0, "{cause:?}: the watches are those after lists");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_list_is_no_relist_however_many_attempts_it_takes() {
    let reflector = Harness::streaming(vec![
        Answer::Error(refused()),
        Answer::Watch(vec![put("a", 1), Step::Error(internal())]),
        Answer::Error(expired()),
        Answer::Error(api(404, "NotFound")), // in pages
        listed(),
        silent(),
    ]);
    reflector.work(60.0).await;
    reflector.holds(&[("a", 1)], 10);
    assert_eq!(reflector.relists(), []);
    assert_eq!((reflector.tally.errors(), reflector.tally.watch_restarts()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_relist_that_takes_several_attempts_is_one_and_keeps_its_cause() {
    let reflector = Harness::streaming(vec![
        Answer::Watch(vec![end_of_list(10), Step::Error(api(404, "NotFound"))]),
        Answer::Error(api(404, "NotFound")),
        Answer::Error(expired()),
        Answer::Error(refused()), // in pages
        page(20, &[("b", 15)], None),
        Answer::Watch(vec![pause(30.0), Step::Error(expired())]),
        Answer::Watch(vec![put("b", 15), end_of_list(30), Step::Never]),
    ]);
    reflector.work(120.0).await;
    assert_eq!(reflector.source.unplayed(), 0);
    reflector.holds(&[("b", 15)], 30);
    assert_eq!(reflector.relists(), [(RelistCause::Expired, 1), (RelistCause::KindAbsent, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_follows_a_watch_is_a_restart() {
    let minute = |version| [pause(60.0), bookmark(version)];
    let script = |first: Vec<Answer<()>>| {
        first.into_iter().chain([
            Answer::Watch((11..16).flat_map(minute).collect()), // ended by the server
            Answer::Watch(vec![pause(30.0), Step::Error(refused())]), // broke
            Answer::Error(refused()),                           // did not open: not counted
            Answer::Watch(vec![put("a", 16), Step::Error(garbage())]),
            page(20, &[], None), // the watch after a list is not a restart
            silent(),
        ])
    };
    let paged = Harness::paged(script(vec![listed()]).collect());
    paged.work(400.0).await;
    assert_eq!((paged.source.unplayed(), paged.tally.watch_restarts()), (0, 2));
    let streaming = Answer::Watch(vec![end_of_list(10), pause(60.0), bookmark(11)]);
    let streaming = Harness::streaming(vec![
        streaming,
        Answer::Watch(vec![pause(60.0), bookmark(12)]),
        Answer::Watch(vec![Step::Never]),
    ]);
    streaming.work(150.0).await;
    assert_eq!((streaming.source.unplayed(), streaming.tally.watch_restarts()), (0, 2));
    assert_eq!(streaming.relists(), []);
}

#[tokio::test(start_paused = true)]
async fn events_bookmarks_and_pages_are_heard_and_silence_is_not() {
    let reflector = Harness::paged(vec![
        Answer::After(Duration::from_secs(10), Box::new(listed())),
        Answer::Watch(vec![pause(20.0), put("a", 11), pause(40.0), bookmark(12), Step::Never]),
        page(12, &[("a", 11)], None), // the probe during the silence is not an event of the watch
    ]);
    reflector.work(9.0).await;
    assert_eq!(reflector.heard(), None);
    for (after, ago) in [(6.0, 5.0), (20.0, 5.0), (34.0, 39.0), (2.0, 1.0), (185.0, 186.0)] {
        reflector.work(after).await;
        let heard = reflector.heard().unwrap();
        assert!((heard - ago).abs() < 0.1, "{heard} and not {ago}");
    }
    assert_eq!(reflector.source.unplayed(), 0, "it was asked in the silence");
    let streaming = Harness::streaming(vec![Answer::Watch(vec![
        pause(1.0),
        put("a", 1),
        pause(2.0),
        end_of_list(10),
        Step::Never,
    ])]);
    streaming.work(2.0).await;
    assert!((streaming.heard().unwrap() - 1.0).abs() < 0.1, "a list that streams is heard before its end");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_one_relist_of_its_own_and_an_absence_is_no_list() {
    let settings = Settings { streaming: false, absent: crate::config::Absent::Empty, ..Settings::default() };
    let script = vec![
        Answer::Error(api(404, "NotFound")),
        Answer::Served(false), // published as empty: synced
        Answer::Error(api(404, "NotFound")),
        listed(), // so this is the first list
        silent(),
        Answer::Error(refused()),
        Answer::Error(refused()),
        page(11, &[("a", 1)], None),
        silent(),
    ];
    let reflector = Harness::start(script, settings);
    reflector.work(60.0).await;
    reflector.holds(&[("a", 1)], 10);
    assert_eq!(reflector.relists(), []);
    let (answer, answered) = tokio::sync::oneshot::channel();
    assert!(reflector.commands.send(Command::Refresh(answer)).await.is_ok());
    tokio::time::timeout(Duration::from_secs(60), answered).await.unwrap().unwrap();
    reflector.work(5.0).await;
    assert_eq!(reflector.source.unplayed(), 0);
    assert_eq!(reflector.relists(), [(RelistCause::Refresh, 1)]);
    assert_eq!(reflector.tally.watch_restarts(), 0);
}
