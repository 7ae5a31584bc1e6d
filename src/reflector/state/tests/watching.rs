//! What follows the end, the silence or the failures of a watch.

use super::*;

#[test]
fn each_end_of_a_watch_has_its_answer() {
    use Effect::Watch;
    use Origin::{Newest, Reuse};
    use Pace::{Absent, AtOnce, Poll, Refused, Unreachable};
    let ended = |worked| Input::WatchEnded { worked };
    let broke = |error| Input::WatchFailed { error, worked: true };
    let rows = [
        (ended(true), wait(AtOnce), Some(Watch)),
        (ended(false), wait(Refused), Some(Watch)),
        (broke(refused()), wait(AtOnce), Some(Watch)),
        (broke(broken()), wait(AtOnce), Some(Watch)),
        (broke(timeout()), wait(AtOnce), Some(Watch)),
        (watch_failed(refused()), wait(Unreachable), Some(Watch)),
        (watch_failed(broken()), wait(Unreachable), Some(Watch)),
        (watch_failed(timeout()), wait(Unreachable), Some(Watch)),
        (watch_failed(api(500)), wait(Refused), Some(Watch)),
        (broke(api(500)), wait(Refused), Some(Watch)),
        (watch_failed(api(503)), wait(Refused), Some(Watch)),
        (watch_failed(api_error(429, Some(9), false)), wait_for(Refused, 9), Some(Watch)),
        (watch_failed(api(401)), wait(Refused), Some(Watch)),
        (watch_failed(api(410)), plain(Newest), None),
        (broke(api(410)), plain(Newest), None),
        (watch_failed(api_error(504, Some(1), true)), wait_for(Refused, 1), Some(plain(Newest))),
        (watch_failed(api(504)), wait(Refused), Some(Watch)),
        (watch_failed(api(404)), wait(Absent), Some(plain(Newest))),
        (watch_failed(api(403)), wait(Poll), Some(plain(Reuse))),
        (watch_failed(api(405)), wait(Poll), Some(plain(Reuse))),
        (watch_failed(api(422)), wait(Poll), Some(plain(Reuse))),
        (watch_failed(protocol()), wait(Refused), Some(plain(Reuse))),
        (Input::WentBack, plain(Newest), None),
        (Input::Silent, Effect::Probe, None),
        (Input::Probed(Probe::Same), Watch, None),
        (Input::Probed(Probe::Newer), wait(AtOnce), Some(Watch)),
        (
            Input::Probed(Probe::Below),
            wait(Refused),
            Some(Effect::List { form: Form::Pages, from: Newest, page_size: None, new_epoch: true }),
        ),
        (Input::Probed(Probe::Failed(refused())), wait(Unreachable), Some(Watch)),
        (Input::Settled { heard: true }, Watch, None),
    ];
    for (input, effect, then) in rows {
        let text = format!("{input:?}");
        assert_eq!(after_watch(input), (effect, then), "{text}");
    }
}

#[test]
fn a_watch_that_keeps_failing_is_replaced_by_lists_where_there_is_something_to_hear() {
    type Row = (fn() -> Input, Pace, bool);
    let rows: [Row; 6] = [
        (|| watch_failed(api(500)), Pace::Refused, false),
        (|| watch_failed(api(429)), Pace::Refused, true),
        (|| Input::WatchEnded { worked: false }, Pace::Refused, false),
        (|| watch_failed(refused()), Pace::Unreachable, true),
        (|| watch_failed(broken()), Pace::Unreachable, false),
        (|| watch_failed(timeout()), Pace::Unreachable, false),
    ];
    for (input, pace, later) in rows {
        let mut steps = vec![(listed(), Effect::Watch)];
        let fails = |steps: &mut Vec<_>, then| {
            for _ in 1..WATCH_FAILURES {
                steps.extend([(input(), wait(pace)), (Input::Go, Effect::Watch)]);
            }
            steps.extend([(input(), wait(pace)), (Input::Go, then)]);
        };
        fails(&mut steps, Effect::Probe);
        // The server does not answer, or nothing has changed.
        steps.extend([(Input::Probed(Probe::Same), wait(Pace::AtOnce)), (Input::Go, Effect::Watch)]);
        fails(&mut steps, Effect::Probe);
        steps.extend([(Input::Probed(Probe::Newer), wait(Pace::AtOnce)), (Input::Go, Effect::Watch)]);
        // A server that is busy or unreachable gets no list at once.
        if later {
            steps.extend([(input(), wait(pace)), (Input::Go, plain(Origin::Reuse))]);
        } else {
            steps.push((input(), plain(Origin::Reuse)));
        }
        steps.push((listed(), Effect::Watch));
        for _ in 0..2 {
            steps.extend([(input(), wait(Pace::Refused)), (Input::Go, plain(Origin::Reuse))]);
            steps.push((listed(), Effect::Watch));
        }
        steps.extend([
            // The watch works again.
            (Input::Settled { heard: false }, Effect::Watch),
            (Input::WatchEnded { worked: true }, wait(Pace::AtOnce)),
            (Input::Go, Effect::Watch),
        ]);
        fails(&mut steps, Effect::Probe);
        follow(false, steps);
    }
}

#[test]
fn an_open_watch_that_says_nothing_though_there_is_something_is_replaced_and_then_listed() {
    let mut steps = vec![(listed(), Effect::Watch)];
    let silent = || {
        [
            (Input::Settled { heard: false }, Effect::Watch),
            (Input::Silent, Effect::Probe),
            (Input::Probed(Probe::Newer), wait(Pace::AtOnce)),
            (Input::Go, Effect::Watch),
        ]
    };
    steps.extend(silent());
    steps.push((Input::Settled { heard: true }, Effect::Watch));
    steps.extend(silent());
    steps.extend([
        (Input::Settled { heard: false }, Effect::Watch),
        (Input::Silent, Effect::Probe),
        (Input::Probed(Probe::Newer), plain(Origin::Reuse)),
    ]);
    follow(false, steps);
}

#[test]
fn a_kind_without_versions_is_listed_once_its_watch_is_open_or_else_polled() {
    let listed = || Input::Listed { versioned: false };
    follow(
        false,
        vec![
            (listed(), Effect::WatchUnversioned),
            (watch_failed(api(405)), wait(Pace::Poll)),
            (Input::Go, plain(Origin::Newest)),
            (listed(), Effect::WatchUnversioned),
            (watch_failed(api(405)), wait(Pace::Poll)),
            (Input::Go, plain(Origin::Newest)),
            (listed(), Effect::WatchUnversioned),
            (Input::Settled { heard: true }, Effect::Watch),
            (Input::WatchEnded { worked: true }, wait(Pace::AtOnce)),
            (Input::Go, Effect::WatchUnversioned),
        ],
    );
}
