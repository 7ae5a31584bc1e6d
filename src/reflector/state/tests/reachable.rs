//! A server that can list in one way only, from every state that can be reached.

use super::*;

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
