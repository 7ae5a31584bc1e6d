//! One row per rule, and all rules together against servers that support a single form of list.

mod listing;
mod reachable;
mod watching;

use super::*;
use crate::error::ErrorKind;

const NOW: fn() -> Instant = Instant::now;

fn api(code: u16) -> Error {
    api_error(code, None, false)
}

fn api_error(code: u16, retry_after: Option<u64>, version_too_large: bool) -> Error {
    Error::answer_with(code, "Reason", retry_after, version_too_large)
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
