//! One row per rule.

use super::*;
use crate::error::Kind;

const NOW: fn() -> Instant = Instant::now;

fn api(code: u16) -> Error {
    api_error(code, None, false)
}

fn api_error(code: u16, retry_after: Option<u64>, version_too_large: bool) -> Error {
    let reason = String::from("Reason");
    let retry_after = retry_after.map(Duration::from_secs);
    Kind::Api { verb: "list", resource: String::from("x"), code, reason, retry_after, version_too_large }
        .into()
}

fn transport() -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
    Kind::Transport { verb: "watch", resource: String::from("x"), source }.into()
}

fn timeout() -> Error {
    Kind::Timeout { verb: "list", resource: String::from("x"), after: Duration::from_secs(30) }.into()
}

fn protocol() -> Error {
    Kind::Protocol { verb: "watch", resource: String::from("x"), what: "garbage" }.into()
}

fn wait(pace: Pace) -> Effect {
    Effect::Wait { pace, retry_after: None }
}

fn wait_for(pace: Pace, seconds: u64) -> Effect {
    Effect::Wait { pace, retry_after: Some(Duration::from_secs(seconds)) }
}

fn stream(from: Origin) -> Effect {
    Effect::StreamList { from }
}

fn pages(from: Origin) -> Effect {
    Effect::List { from, paged: true, new_epoch: false }
}

fn watch_failed(error: Error) -> Input {
    Input::WatchFailed { error, settled: false }
}

fn list_failed(error: Error) -> Input {
    Input::ListFailed { error, at: PageAt::First }
}

/// Feeds inputs from the beginning, and compares all effects.
#[track_caller]
fn follow(streaming: bool, steps: Vec<(Input, Effect)>) -> State {
    let options = Options { streaming, ..Options::default() };
    let (mut state, first) = step(State::start(), Input::Go, NOW(), &options);
    assert_eq!(first, if streaming { stream(Origin::Newest) } else { pages(Origin::Newest) });
    for (n, (input, expected)) in steps.into_iter().enumerate() {
        let text = format!("step {n}, {input:?}");
        let (next, effect) = step(state, input, NOW(), &options);
        assert_eq!(effect, expected, "{text}");
        state = next;
    }
    state
}

/// What follows a first failure of a watch, and, after the wait if there is one, what is done then.
fn after_watch(input: Input) -> (Effect, Option<Effect>) {
    let options = Options { streaming: false, ..Options::default() };
    let (state, _) = step(State::start(), Input::Go, NOW(), &options);
    let (state, _) = step(state, Input::Listed, NOW(), &options);
    let (state, effect) = step(state, input, NOW(), &options);
    let then = matches!(effect, Effect::Wait { .. }).then(|| step(state, Input::Go, NOW(), &options).1);
    (effect, then)
}

#[test]
fn each_end_of_a_watch_has_its_answer() {
    use Effect::{Rewatch, Watch};
    use Origin::{Held, Newest};
    use Pace::{Absent, Growing, Longest};
    let ended = |events, settled| Input::WatchEnded { events, settled };
    let broke = |error| Input::WatchFailed { error, settled: true };
    let rows = [
        (ended(true, true), Rewatch, None),
        (ended(false, true), Rewatch, None),
        (ended(true, false), Rewatch, None),
        (ended(false, false), wait(Growing), Some(Watch)),
        (broke(transport()), Rewatch, None),
        (broke(timeout()), Rewatch, None),
        (watch_failed(transport()), wait(Growing), Some(Watch)),
        (watch_failed(timeout()), wait(Growing), Some(Watch)),
        (watch_failed(api(500)), wait(Growing), Some(Watch)),
        (broke(api(500)), wait(Growing), Some(Watch)),
        (watch_failed(api(503)), wait(Growing), Some(Watch)),
        (watch_failed(api_error(429, Some(9), false)), wait_for(Growing, 9), Some(Watch)),
        (watch_failed(api(401)), wait(Growing), Some(Watch)),
        (watch_failed(api(410)), pages(Newest), None),
        (broke(api(410)), pages(Newest), None),
        (watch_failed(api_error(504, Some(1), true)), wait_for(Growing, 1), Some(pages(Newest))),
        (watch_failed(api(504)), wait(Growing), Some(Watch)),
        (watch_failed(api(404)), wait(Absent), Some(pages(Newest))),
        (watch_failed(api(403)), wait(Longest), Some(pages(Held))),
        (watch_failed(api(405)), wait(Longest), Some(pages(Held))),
        (watch_failed(api(422)), wait(Longest), Some(pages(Held))),
        (watch_failed(protocol()), wait(Growing), Some(pages(Held))),
        (Input::WentBack, pages(Newest), None),
        (Input::Silent, Effect::Probe, None),
        (Input::Probed(Probe::Same), Watch, None),
        (Input::Probed(Probe::Newer), Rewatch, None),
        (
            Input::Probed(Probe::Below),
            wait(Growing),
            Some(Effect::List { from: Newest, paged: true, new_epoch: true }),
        ),
        (Input::Probed(Probe::Failed(transport())), wait(Growing), Some(Watch)),
        (Input::Settled, Watch, None),
    ];
    for (input, effect, then) in rows {
        let text = format!("{input:?}");
        assert_eq!(after_watch(input), (effect, then), "{text}");
    }
}

#[test]
fn a_refused_streaming_list_gives_way_to_pages_for_an_hour() {
    let (options, start) = (Options::default(), NOW());
    let (state, _) = step(State::start(), Input::Go, start, &options);
    let (state, effect) = step(state, Input::StreamingRefused, start, &options);
    assert_eq!(effect, pages(Origin::Newest));
    let (state, effect) = step(state, Input::Listed, start, &options);
    assert_eq!(effect, Effect::Watch);
    let after = |seconds| {
        let now = start + Duration::from_secs(seconds);
        step(state.clone(), watch_failed(api(410)), now, &options).1
    };
    assert_eq!(after(3599), pages(Origin::Newest));
    assert_eq!(after(3600), stream(Origin::Newest));
}

#[test]
fn a_streaming_list_that_fails_otherwise_is_tried_twice() {
    let growing = || wait(Pace::Growing);
    let failed = || Input::StreamingFailed(transport());
    follow(
        true,
        vec![
            (failed(), growing()),
            (Input::Go, stream(Origin::Newest)),
            (failed(), growing()),
            (Input::Go, pages(Origin::Newest)),
            (list_failed(transport()), growing()),
            (Input::Go, stream(Origin::Newest)),
            (failed(), growing()),
            (Input::Go, stream(Origin::Newest)),
            (Input::Listed, Effect::Watch),
        ],
    );
    follow(true, vec![(Input::StreamingFailed(api_error(429, Some(5), false)), wait_for(Pace::Growing, 5))]);
    follow(
        true,
        vec![(Input::StreamingFailed(api(404)), wait(Pace::Absent)), (Input::Go, stream(Origin::Newest))],
    );
}

#[test]
fn a_relist_begins_from_what_is_held_until_that_has_expired() {
    for streaming in [false, true] {
        let list = |from| if streaming { stream(from) } else { pages(from) };
        let failed = |error| {
            if streaming { Input::StreamingFailed(error) } else { list_failed(error) }
        };
        let begun = || {
            vec![
                (Input::Listed, Effect::Watch),
                (watch_failed(protocol()), wait(Pace::Growing)),
                (Input::Go, list(Origin::Held)),
            ]
        };
        let mut expired = begun();
        expired.extend([(failed(api(410)), list(Origin::Newest)), (Input::Listed, Effect::Watch)]);
        // Not yet settled: the next one waits.
        expired.extend([(watch_failed(api(410)), wait(Pace::Growing)), (Input::Go, list(Origin::Newest))]);
        expired.extend([(Input::Listed, Effect::Watch), (Input::Settled, Effect::Watch)]);
        expired.push((watch_failed(api(410)), list(Origin::Newest)));
        follow(streaming, expired);

        let mut too_large = begun();
        too_large.extend([
            (failed(api_error(504, Some(1), true)), wait_for(Pace::Growing, 1)),
            (Input::Go, list(Origin::Newest)),
        ]);
        follow(streaming, too_large);
    }
}

#[test]
fn after_an_expired_continue_the_list_is_in_one_piece_until_it_succeeds() {
    let whole = || Effect::List { from: Origin::Newest, paged: false, new_epoch: false };
    let expired = || Input::ListFailed { error: api(410), at: PageAt::Later };
    for streaming in [false, true] {
        let mut steps = Vec::new();
        if streaming {
            steps.extend([
                (Input::StreamingFailed(transport()), wait(Pace::Growing)),
                (Input::Go, stream(Origin::Newest)),
                (Input::StreamingFailed(transport()), wait(Pace::Growing)),
                (Input::Go, pages(Origin::Newest)),
            ]);
        }
        steps.extend([
            (expired(), whole()),
            (list_failed(api(500)), wait(Pace::Growing)),
            (Input::Go, whole()),
            (Input::Listed, Effect::Watch),
            (watch_failed(protocol()), wait(Pace::Growing)),
            (Input::Go, if streaming { stream(Origin::Held) } else { pages(Origin::Held) }),
        ]);
        follow(streaming, steps);
    }
    // Any other failure of a later page begins anew, in pages.
    let cut = Input::ListFailed { error: transport(), at: PageAt::Later };
    follow(false, vec![(cut, wait(Pace::Growing)), (Input::Go, pages(Origin::Newest))]);
}

#[test]
fn only_consistent_reads_tell_of_a_new_epoch() {
    let new_epoch = || Effect::List { from: Origin::Newest, paged: true, new_epoch: true };
    let below = |from| Input::ListBelow { from };
    for streaming in [false, true] {
        let held = if streaming { stream(Origin::Held) } else { pages(Origin::Held) };
        follow(
            streaming,
            vec![
                (Input::Listed, Effect::Watch),
                (watch_failed(protocol()), wait(Pace::Growing)),
                (Input::Go, held.clone()),
                (below(Origin::Held), wait(Pace::Growing)),
                (Input::Go, pages(Origin::Newest)),
                (below(Origin::Newest), wait(Pace::Growing)),
                (Input::Go, new_epoch()),
                (list_failed(transport()), wait(Pace::Growing)),
                (Input::Go, new_epoch()),
                (Input::Listed, Effect::Watch),
                // And it is over.
                (watch_failed(protocol()), wait(Pace::Growing)),
                (Input::Go, held),
            ],
        );
    }
}

#[test]
fn a_probe_that_is_not_below_clears_an_earlier_one() {
    follow(
        false,
        vec![
            (Input::Listed, Effect::Watch),
            (below_probe(), wait(Pace::Growing)),
            (Input::Go, Effect::List { from: Origin::Newest, paged: true, new_epoch: true }),
            (Input::Listed, Effect::Watch),
            (Input::Probed(Probe::Same), Effect::Watch),
            (Input::ListBelow { from: Origin::Held }, wait(Pace::Growing)),
            (Input::Go, pages(Origin::Newest)),
        ],
    );
}

fn below_probe() -> Input {
    Input::Probed(Probe::Below)
}

#[test]
fn a_watch_that_keeps_failing_is_cured_by_a_list_where_a_list_can() {
    let rows: [(fn() -> Input, bool); 6] = [
        (|| watch_failed(api(500)), true),
        (|| watch_failed(api(401)), true),
        (|| Input::WatchEnded { events: false, settled: false }, true),
        (|| watch_failed(transport()), false),
        (|| watch_failed(timeout()), false),
        (|| watch_failed(api(429)), false),
    ];
    for (input, lists) in rows {
        let mut steps = vec![(Input::Listed, Effect::Watch)];
        for _ in 1..WATCH_FAILURES {
            steps.extend([(input(), wait(Pace::Growing)), (Input::Go, Effect::Watch)]);
        }
        let next = if lists { pages(Origin::Held) } else { Effect::Watch };
        steps.extend([(input(), wait(Pace::Growing)), (Input::Go, next)]);
        follow(false, steps);
    }
}

#[test]
fn each_failure_of_a_list_has_its_pace() {
    let rows = [
        (api(500), wait(Pace::Growing)),
        (api(403), wait(Pace::Growing)),
        (api(401), wait(Pace::Growing)),
        (api(404), wait(Pace::Absent)),
        (api_error(404, Some(60), false), wait_for(Pace::Absent, 60)),
        (api_error(429, Some(3), false), wait_for(Pace::Growing, 3)),
        (transport(), wait(Pace::Growing)),
        (timeout(), wait(Pace::Growing)),
        (protocol(), wait(Pace::Growing)),
        (api(410), pages(Origin::Newest)),
    ];
    for (error, effect) in rows {
        follow(false, vec![(list_failed(error), effect)]);
    }
}
