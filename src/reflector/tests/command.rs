//! Commands of the application, at every point of the reflector's loop.

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::*;

impl Harness {
    async fn command(&self, command: Command<&'static str>) {
        self.commands.send(command).await.unwrap_or_else(|_| panic!("the reflector takes no commands"));
    }

    async fn refresh(&self) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        self.command(Command::Refresh(answer)).await;
        answered
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_is_added_while_watching_and_while_waiting_and_between_batches() {
    let reflector = Harness::paged(vec![
        Answer::Error(asks_for(429, "TooManyRequests", Some(300))),
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(1.0).await;
    reflector.command(Command::AddIndex("while it waits")).await;
    reflector.work(1.0).await;
    assert_eq!(reflector.calls(), ["while it waits"]);
    reflector.work(300.0).await;
    reflector.command(Command::AddIndex("while it watches")).await;
    reflector.work(0.1).await;
    assert_eq!(reflector.calls(), ["while it waits", "begin", "commit 10", "while it watches"]);
    assert_eq!(reflector.source.open(), 1, "the watch goes on");
    reflector.asked(&["list limit=500", "list limit=500", "watch from=10"]);
}

#[tokio::test(start_paused = true)]
async fn an_index_waits_for_the_end_of_a_list() {
    let slow = Answer::After(Duration::from_secs(20), Box::new(page(10, &[("b", 2)], None)));
    let reflector =
        Harness::paged(vec![page(10, &[("a", 1)], Some("next")), slow, Answer::Watch(vec![Step::Never])]);
    reflector.work(1.0).await;
    reflector.command(Command::AddIndex("index")).await;
    reflector.work(18.0).await;
    assert_eq!(reflector.calls(), ["begin"]);
    reflector.work(2.0).await;
    assert_eq!(reflector.calls(), ["begin", "commit 10", "index"]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_lists_anew_and_is_answered_by_the_commit() {
    let reflector = Harness::paged(vec![
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![put("b", 12), Step::Never]),
        later(page(12, &[("a", 1), ("b", 12)], None)),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(2.0).await;
    let mut answered = reflector.refresh().await;
    let mut other = reflector.refresh().await;
    reflector.work(0.0).await;
    assert!((&mut answered).now_or_never().is_none(), "the list is not there yet");
    reflector.work(2.0).await;
    assert_eq!((&mut answered).now_or_never(), Some(Ok(())));
    assert_eq!((&mut other).now_or_never(), Some(Ok(())), "one list answers both");
    reflector.played(
        &["list limit=500", "watch from=10", "list limit=500", "watch from=12"],
        &[("a", 1), ("b", 12)],
        12,
    );
    assert_eq!(reflector.calls(), ["begin", "commit 10", "apply 1", "begin anew", "commit 12"]);
    assert_eq!(reflector.status().failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_outlasts_lists_that_fail_and_then_is_over() {
    let reflector = Harness::streaming(vec![
        Answer::Watch(vec![put("a", 1), end_of_list(10), Step::Never]),
        Answer::Watch(vec![put("a", 1), Step::Error(refused())]),
        Answer::Watch(vec![put("a", 1), end_of_list(10), pause(5.0), Step::Error(api(410, "Expired"))]),
        Answer::Watch(vec![put("a", 1), end_of_list(10), Step::Never]),
    ]);
    reflector.work(2.0).await;
    let mut answered = reflector.refresh().await;
    reflector.work(3.0).await;
    assert_eq!((&mut answered).now_or_never(), Some(Ok(())));
    reflector.work(10.0).await;
    let calls =
        ["begin", "commit 10", "begin anew", "abort", "begin anew", "commit 10", "begin", "commit 10"];
    assert_eq!(reflector.calls(), calls, "a list after it is an ordinary one");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_refresh_learns_of_the_end_however_many_gave_up_before() {
    let reflector = Harness::paged(vec![Answer::Error(asks_for(429, "TooManyRequests", Some(60)))]);
    reflector.work(1.0).await;
    for _ in 0..100 {
        drop(reflector.refresh().await);
    }
    let answered = reflector.refresh().await;
    reflector.stop.cancel();
    reflector.task.await.unwrap();
    assert!(answered.await.is_err(), "whoever waits learns that it has stopped");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_asked_for_during_a_wait_is_a_consistent_read() {
    let reflector = Harness::paged(vec![
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![Step::Error(garbage())]),
        page(12, &[("a", 1)], None),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(0.1).await;
    let answered = reflector.refresh().await;
    reflector.work(5.0).await;
    assert_eq!(answered.now_or_never(), Some(Ok(())));
    // Otherwise the list would begin from the cached version, and might come from a server that lags behind.
    reflector.asked(&["list limit=500", "watch from=10", "list", "watch from=12"]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_nobody_waits_for_any_more_is_not_carried_out() {
    let reflector = Harness::paged(vec![
        page(10, &[("a", 1)], None),
        Answer::Watch(vec![Step::Error(api(500, "InternalError"))]),
        Answer::Watch(vec![Step::Never]),
    ]);
    reflector.work(0.1).await;
    for _ in 0..5 {
        drop(reflector.refresh().await);
    }
    reflector.work(5.0).await;
    reflector.asked(&["list limit=500", "watch from=10", "watch from=10"]);
}
