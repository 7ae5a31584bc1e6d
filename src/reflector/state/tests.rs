//! One row per rule, and all rules together against servers that support a single form of list.

use super::*;
use crate::error::ErrorKind;

const NOW: fn() -> Instant = Instant::now;

fn api(code: u16) -> Error {
    api_error(code, None, false)
}

fn api_error(code: u16, retry_after: Option<u64>, version_too_large: bool) -> Error {
    let (reason, message) = (String::from("Reason"), "".into());
    let retry_after = retry_after.map(Duration::from_secs);
    let resource = String::from("x");
    ErrorKind::Api { verb: "list", resource, code, reason, retry_after, version_too_large, message }.into()
}

fn transport(answered: bool) -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
    ErrorKind::Transport { verb: "watch", resource: String::from("x"), answered, source }.into()
}

fn refused() -> Error {
    transport(false)
}

fn broken() -> Error {
    transport(true)
}

fn timeout() -> Error {
    ErrorKind::Timeout { verb: "list", resource: String::from("x"), after: Duration::from_secs(30) }.into()
}

fn protocol() -> Error {
    ErrorKind::Protocol { verb: "watch", resource: String::from("x"), what: "garbage" }.into()
}

fn page_too_large() -> Error {
    ErrorKind::PageTooLarge { verb: "list", resource: String::from("x"), limit: 1 }.into()
}

fn wait(pace: Pace) -> Effect {
    Effect::Wait { pace, retry_after: None }
}

fn wait_for(pace: Pace, seconds: u64) -> Effect {
    Effect::Wait { pace, retry_after: Some(Duration::from_secs(seconds)) }
}

fn list(form: Form, from: Origin) -> Effect {
    Effect::List { form, from, page_size: None, new_epoch: false }
}

fn stream(from: Origin) -> Effect {
    list(Form::Stream, from)
}

/// The list that is made without streaming.
fn plain(from: Origin) -> Effect {
    list(if from == Origin::Reuse { Form::Whole } else { Form::Pages }, from)
}

fn listed() -> Input {
    Input::Listed { versioned: true }
}

fn watch_failed(error: Error) -> Input {
    Input::WatchFailed { error, worked: false }
}

fn failed(form: Form, error: Error) -> Input {
    Input::ListFailed { error, form, at: PageAt::First }
}

fn settings(streaming: bool) -> Settings {
    Settings { streaming, ..Settings::default() }
}

/// Passes inputs to a new state, and compares all effects.
#[track_caller]
fn follow(streaming: bool, steps: Vec<(Input, Effect)>) -> State {
    let settings = settings(streaming);
    let (mut state, first) = step(State::start(), Input::Go, NOW(), &settings);
    assert_eq!(first, if streaming { stream(Origin::Newest) } else { plain(Origin::Newest) });
    for (n, (input, expected)) in steps.into_iter().enumerate() {
        let text = format!("step {n}, {input:?}");
        let (next, effect) = step(state, input, NOW(), &settings);
        assert_eq!(effect, expected, "{text}");
        state = next;
    }
    state
}

/// The effect of the first failure of a watch and, if it is a wait, the effect after it.
fn after_watch(input: Input) -> (Effect, Option<Effect>) {
    let settings = settings(false);
    let (state, _) = step(State::start(), Input::Go, NOW(), &settings);
    let (state, _) = step(state, listed(), NOW(), &settings);
    let (state, effect) = step(state, input, NOW(), &settings);
    let then = matches!(effect, Effect::Wait { .. }).then(|| step(state, Input::Go, NOW(), &settings).1);
    (effect, then)
}

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
fn a_refused_streaming_list_gives_way_to_others_for_an_hour() {
    let (settings, start) = (Settings::default(), NOW());
    let (state, _) = step(State::start(), Input::Go, start, &settings);
    let (state, effect) = step(state, Input::StreamingRefused, start, &settings);
    assert_eq!(effect, plain(Origin::Newest));
    let (state, effect) = step(state, listed(), start, &settings);
    assert_eq!(effect, Effect::Watch);
    let after = |seconds| {
        let now = start + Duration::from_secs(seconds);
        step(state.clone(), watch_failed(api(410)), now, &settings).1
    };
    assert_eq!(after(3599), plain(Origin::Newest));
    assert_eq!(after(3600), stream(Origin::Newest));
}

#[test]
fn a_list_that_fails_is_tried_twice_and_then_in_another_way() {
    use Form::{Pages, Stream, Whole};
    use Origin::Newest;
    let failed = |form| (failed(form, protocol()), wait(Pace::Refused));
    let go = |form| (Input::Go, list(form, Newest));
    follow(
        true,
        vec![
            failed(Stream),
            go(Stream),
            failed(Stream),
            go(Pages),
            failed(Pages),
            go(Whole),
            failed(Whole),
            go(Stream),
            (listed(), Effect::Watch),
        ],
    );
    follow(false, vec![failed(Pages), go(Pages), failed(Pages), go(Whole), failed(Whole), go(Pages)]);
}

#[test]
fn a_busy_server_is_not_asked_for_a_dearer_list() {
    for code in [429, 503] {
        let busy = || {
            let error = api_error(code, Some(5), false);
            (Input::ListFailed { error, form: Form::Stream, at: PageAt::First }, wait_for(Pace::Refused, 5))
        };
        let go = || (Input::Go, stream(Origin::Newest));
        follow(true, vec![busy(), go(), busy(), go(), busy(), go(), busy(), go(), busy(), go()]);
    }
}

#[test]
fn a_relist_begins_from_what_is_held_until_that_has_expired() {
    for streaming in [false, true] {
        let form = if streaming { Form::Stream } else { Form::Whole };
        let list = |from| if streaming { stream(from) } else { plain(from) };
        let begun = || {
            vec![
                (listed(), Effect::Watch),
                (watch_failed(protocol()), wait(Pace::Refused)),
                (Input::Go, list(Origin::Reuse)),
            ]
        };
        let mut expired = begun();
        expired.extend([(failed(form, api(410)), list(Origin::Newest)), (listed(), Effect::Watch)]);
        // The watch has not settled, so the next list waits.
        expired.extend([(watch_failed(api(410)), wait(Pace::Refused)), (Input::Go, list(Origin::Newest))]);
        expired.extend([(listed(), Effect::Watch), (Input::Settled { heard: false }, Effect::Watch)]);
        expired.push((watch_failed(api(410)), list(Origin::Newest)));
        follow(streaming, expired);

        let mut too_large = begun();
        too_large.extend([
            (failed(form, api_error(504, Some(1), true)), wait_for(Pace::Refused, 1)),
            (Input::Go, list(Origin::Newest)),
        ]);
        follow(streaming, too_large);
    }
}

#[test]
fn after_an_expired_continue_the_next_attempt_is_in_one_piece_and_no_further_one() {
    let expired = || Input::ListFailed { error: api(410), form: Form::Pages, at: PageAt::Later };
    let whole = || list(Form::Whole, Origin::Newest);
    follow(
        false,
        vec![
            (expired(), whole()),
            (failed(Form::Whole, api(500)), wait(Pace::Refused)),
            (Input::Go, list(Form::Whole, Origin::Newest)), // the third way
            (failed(Form::Whole, api(500)), wait(Pace::Refused)),
            (Input::Go, plain(Origin::Newest)),
            (listed(), Effect::Watch),
            (watch_failed(api(410)), wait(Pace::Refused)),
            (Input::Go, plain(Origin::Newest)),
        ],
    );
    // Any other failure of a later page restarts the list, in pages.
    let cut = Input::ListFailed { error: broken(), form: Form::Pages, at: PageAt::Later };
    follow(false, vec![(cut, wait(Pace::Unreachable)), (Input::Go, plain(Origin::Newest))]);
}

#[test]
fn a_page_that_is_too_large_is_halved_at_once_and_for_good() {
    let pages = |size| Effect::List {
        form: Form::Pages,
        from: Origin::Newest,
        page_size: Some(size),
        new_epoch: false,
    };
    let too_large = || failed(Form::Pages, page_too_large());
    follow(
        false,
        vec![
            (too_large(), pages(250)),
            (too_large(), pages(125)),
            (listed(), Effect::Watch),
            (watch_failed(api(410)), pages(125)),
            (listed(), Effect::Watch),
            (watch_failed(protocol()), wait(Pace::Refused)),
            // A relist in one piece is even larger: pages are tried first from then on.
            (Input::Go, list(Form::Whole, Origin::Reuse)),
            (failed(Form::Whole, page_too_large()), pages(125)),
            (listed(), Effect::Watch),
            (watch_failed(protocol()), wait(Pace::Refused)),
            (Input::Go, pages(125)),
            (too_large(), pages(62)),
            (too_large(), pages(31)),
            (too_large(), pages(15)),
            (too_large(), pages(7)),
            (too_large(), pages(3)),
            (too_large(), pages(1)),
            (too_large(), wait(Pace::Refused)),
        ],
    );
}

#[test]
fn where_no_pages_are_wanted_a_list_that_is_too_large_is_made_in_pages() {
    let settings = Settings { streaming: false, page_size: 0, ..Settings::default() };
    let (mut state, mut effect) = step(State::start(), Input::Go, NOW(), &settings);
    let mut sizes = Vec::new();
    while let Effect::List { form, page_size, .. } = effect {
        sizes.push(page_size);
        (state, effect) = step(state, failed(form, page_too_large()), NOW(), &settings);
    }
    let halves = [500, 250, 125, 62, 31, 15, 7, 3, 1].map(Some);
    assert_eq!(sizes, [&[None][..], &halves[..]].concat());
}

#[test]
fn only_consistent_reads_say_that_a_new_epoch_has_begun() {
    let new_epoch =
        || Effect::List { form: Form::Pages, from: Origin::Newest, page_size: None, new_epoch: true };
    let below = |from| Input::ListBelow { from };
    for streaming in [false, true] {
        let held = if streaming { stream(Origin::Reuse) } else { plain(Origin::Reuse) };
        follow(
            streaming,
            vec![
                (listed(), Effect::Watch),
                (watch_failed(protocol()), wait(Pace::Refused)),
                (Input::Go, held.clone()),
                (below(Origin::Reuse), wait(Pace::Refused)),
                (Input::Go, plain(Origin::Newest)),
                (below(Origin::Newest), wait(Pace::Refused)),
                (Input::Go, new_epoch()),
                (failed(Form::Pages, broken()), wait(Pace::Unreachable)),
                (Input::Go, new_epoch()),
                (listed(), Effect::Watch),
                // The new epoch is complete, so later lists begin from the cached version again.
                (Input::Settled { heard: true }, Effect::Watch),
                (watch_failed(protocol()), wait(Pace::Refused)),
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
            (listed(), Effect::Watch),
            (Input::Probed(Probe::Below), wait(Pace::Refused)),
            (
                Input::Go,
                Effect::List { form: Form::Pages, from: Origin::Newest, page_size: None, new_epoch: true },
            ),
            (listed(), Effect::Watch),
            (Input::Probed(Probe::Same), Effect::Watch),
            (Input::ListBelow { from: Origin::Reuse }, wait(Pace::Refused)),
            (Input::Go, plain(Origin::Newest)),
        ],
    );
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
fn each_failure_of_a_list_has_its_pace() {
    let rows = [
        (api(500), wait(Pace::Refused)),
        (api(403), wait(Pace::Refused)),
        (api(401), wait(Pace::Refused)),
        (api(404), wait(Pace::Absent)),
        (api_error(404, Some(60), false), wait_for(Pace::Absent, 60)),
        (api_error(429, Some(3), false), wait_for(Pace::Refused, 3)),
        (refused(), wait(Pace::Unreachable)),
        (broken(), wait(Pace::Unreachable)),
        (timeout(), wait(Pace::Unreachable)),
        (protocol(), wait(Pace::Refused)),
        (api(410), plain(Origin::Newest)),
    ];
    for (error, effect) in rows {
        follow(false, vec![(failed(Form::Pages, error), effect)]);
    }
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

/// A server on which only lists of one form from one origin succeed.
#[derive(Clone, Copy)]
struct Picky {
    form: Form,
    from: Origin,
    fails: fn() -> Error,
}

/// The errors of such servers: every possible error of an unsupported request.
const FAILURES: [fn() -> Error; 12] = [
    || api(400),
    || api(403),
    || api(404),
    || api(410),
    || api(422),
    || api(500),
    || api(503),
    || api_error(504, Some(1), true),
    || api(504),
    broken,
    timeout,
    protocol,
];

impl Picky {
    /// The outcome of a list on this server.
    fn answer(self, form: Form, from: Origin, held: bool) -> Input {
        // Without a cached version, both origins are the same.
        let from = if held { from } else { Origin::Newest };
        if form == self.form && from == self.from {
            return listed();
        }
        let error = (self.fails)();
        let code = error.http_code().unwrap_or_default();
        if form == Form::Stream && (matches!(code, 400 | 403 | 422)) {
            return Input::StreamingRefused;
        }
        failed(form, error)
    }
}

/// The reachable states of a reflector after a first list, found by passing all possible inputs.
fn reachable(settings: &Settings) -> Vec<State> {
    let inputs: Vec<fn() -> Input> = vec![
        || watch_failed(api(410)),
        || watch_failed(protocol()),
        || watch_failed(api(403)),
        || Input::WentBack,
        || Input::StreamingRefused,
        || Input::ListBelow { from: Origin::Reuse },
        || Input::ListBelow { from: Origin::Newest },
        || failed(Form::Stream, protocol()),
        || failed(Form::Whole, page_too_large()),
        || failed(Form::Pages, page_too_large()),
        || Input::ListFailed { error: api(410), form: Form::Pages, at: PageAt::Later },
        || Input::Probed(Probe::Newer),
        || Input::Probed(Probe::Below),
        || Input::Refresh,
        || Input::Discovered { served: Some(false) },
        listed,
        || Input::Settled { heard: true },
    ];
    let now = NOW();
    let start = step(State::start(), listed(), now, settings).0;
    let mut states = vec![start];
    let mut done = 0;
    while done < states.len() && states.len() < 300 {
        for input in &inputs {
            let mut next = step(states[done].clone(), input(), now, settings).0;
            // Only whether streaming lists are off matters, not since when.
            if let Some(until) = &mut next.listing.no_streaming_until {
                *until = now + settings.streaming_retry;
            }
            if !states.contains(&next) {
                states.push(next);
            }
        }
        done += 1;
    }
    states
}

#[test]
fn a_server_that_can_list_in_one_way_only_is_synced_from_every_state() {
    let settings = Settings::default();
    let states = reachable(&settings);
    assert!(states.len() > 50, "{}", states.len());
    for form in [Form::Stream, Form::Pages, Form::Whole] {
        for from in [Origin::Newest, Origin::Reuse] {
            for fails in FAILURES {
                let server = Picky { form, from, fails };
                for state in &states {
                    let held = state.absence.shown == Shown::List;
                    if from == Origin::Reuse && !held {
                        continue;
                    }
                    syncs(state.clone(), server, held, &settings);
                }
            }
        }
    }
}

/// Checks that a list, which is due in this state, succeeds within a bounded number of attempts.
#[track_caller]
fn syncs(mut state: State, server: Picky, held: bool, settings: &Settings) {
    let text =
        format!("only {:?} from {:?}, others {}, from {state:?}", server.form, server.from, (server.fails)());
    state.then = Then::List;
    let mut effect = step(state.clone(), Input::Go, NOW(), settings).1;
    for _ in 0..60 {
        let input = match &effect {
            Effect::List { form, from, .. } => server.answer(*form, *from, held),
            Effect::Wait { .. } => Input::Go,
            other => panic!("{other:?}: {text}"),
        };
        if matches!(input, Input::Listed { .. }) {
            return;
        }
        (state, effect) = step(state, input, NOW(), settings);
    }
    panic!("never synced: {text}");
}
