//! Stopping: at any await, promptly, with nothing left running.

use super::*;
use crate::reflector::Phase;

/// Each script stops in another await of the loop.
fn scripts() -> Vec<(&'static str, bool, Vec<Answer<()>>, usize)> {
    vec![
        ("a list that is not answered", false, vec![Answer::Never], 0),
        ("a page that is not answered", false, vec![page(1, &[("a", 1)], Some("next"))], 0),
        ("a streaming list that is not answered", true, vec![Answer::Never], 0),
        ("a streaming list that stands still", true, vec![Answer::Watch(vec![put("a", 1), Step::Never])], 1),
        ("a watch that is not answered", false, vec![page(1, &[], None), Answer::Never], 0),
        ("a watch", false, vec![page(1, &[], None), Answer::Watch(vec![Step::Never])], 1),
        ("the longest wait", false, vec![Answer::Error(asks_for(429, "TooManyRequests", Some(300)))], 0),
        ("an absent kind", false, vec![Answer::Error(api(404, "NotFound"))], 0),
    ]
}

#[tokio::test(start_paused = true)]
async fn n8_stopping_takes_no_time_wherever_the_loop_is() {
    for (name, streaming, script, open) in scripts() {
        let reflector = Harness::start(script, Settings { streaming, ..Settings::default() });
        reflector.work(2.0).await;
        assert_eq!(reflector.source.open(), open, "{name}");
        let asked = reflector.source.requests();
        let before = tokio::time::Instant::now();
        reflector.stop.cancel();
        let sink = reflector.task.await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO, "{name}");
        assert_eq!(reflector.source.open(), 0, "{name}");
        assert_eq!(reflector.source.requests(), asked, "{name}");
        assert!(!sink.model.lock().unwrap().listing, "{name}: a list was left open");
        assert_eq!(reflector.status.borrow().phase, Phase::Stopped);
        assert_eq!(Arc::strong_count(&sink.model), 2, "{name}: something else holds the store");
    }
}

#[tokio::test]
async fn a_source_that_always_has_something_ready_can_be_stopped() {
    let events = (0..1_000_000).map(|n| put("a", 11 + n)).collect();
    let reflector = Harness::paged(vec![page(10, &[], None), Answer::Watch(events)]);
    while reflector.model.lock().unwrap().held.is_none() {
        tokio::task::yield_now().await;
    }
    reflector.stop.cancel();
    reflector.task.await.unwrap();
    assert!(reflector.source.unplayed() > 0, "it ended before the events did");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_it_runs_or_after_it_was_stopped() {
    let (source, probe) = Stub::<()>::new(vec![]);
    let sink = ModelSink { model: Arc::default(), held: None };
    let (sender, _status) = latest::channel(Status::new());
    let stop = CancellationToken::new();
    let record = Recorder::new(Arc::new(Tally::new()));
    let commands = mpsc::channel(1).1;
    let (settings, gate) = (Settings::default(), Arc::default());
    let future = run(source, sink, Report::alone(sender), record, commands, stop.clone(), settings, gate);
    stop.cancel();
    future.await;
    assert_eq!(probe.requests(), Vec::<String>::new());
}
