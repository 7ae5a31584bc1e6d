//! The loop that performs the effects of the state machine.

mod commands;
mod list;
mod probe;
mod report;
mod wait;
mod watch;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::consume_budget;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::watch::Bookmarks;
use super::board::Report;
use super::command::Command;
use super::gate::Gate;
use super::log::Log;
use super::recovery::Recovery;
use super::settings::Settings;
use super::sink::Sink;
use super::state::{Effect, Input, State, step};
use super::status::Phase;
use super::stream::Open;
use super::tally::Recorder;
use crate::error::{Error, ErrorKind};
use crate::source::Source;

/// Keeps `sink` in step with `source` until `stop` is cancelled, then returns the sink.
///
/// It owns everything it uses, so nothing remains when it ends, at the next await after the cancellation.
/// `status`, which is one part of that of the informer, wakes its receivers when something changes that they may act on. Versions and counts of objects
/// are updated without waking a receiver.
///
/// Reflectors of one client share a `gate`.
#[expect(clippy::too_many_arguments, reason = "the parts of a reflector, put together in one place")]
pub(crate) async fn run<S, W>(
    source: S,
    sink: W,
    status: Report,
    record: Recorder,
    commands: mpsc::Receiver<Command<W::AddIndex>>,
    stop: CancellationToken,
    settings: Settings,
    gate: Arc<Gate>,
) -> W
where
    S: Source,
    W: Sink<S::Payload>,
{
    let mut reflector = Reflector {
        source,
        sink,
        status,
        record,
        commands,
        refreshes: Vec::new(),
        recovery: Recovery::new(&settings),
        gate,
        state: State::start(),
        settings,
        open: None,
        bookmarks: Bookmarks::default(),
        log: Log::default(),
    };
    stop.run_until_cancelled(reflector.drive()).await;
    reflector.enter(Phase::Stopped);
    reflector.sink
}

struct Reflector<S: Source, W: Sink<S::Payload>> {
    source: S,
    sink: W,
    status: Report,
    record: Recorder,
    commands: mpsc::Receiver<Command<W::AddIndex>>,
    /// The senders that answer callers waiting for a refresh.
    refreshes: Vec<oneshot::Sender<()>>,
    settings: Settings,
    recovery: Recovery,
    gate: Arc<Gate>,
    state: State,
    open: Option<Open<S::Payload, S::Watch>>,
    bookmarks: Bookmarks,
    log: Log,
}

// === impl Reflector ===

impl<S: Source, W: Sink<S::Payload>> Reflector<S, W> {
    async fn drive(&mut self) -> Infallible {
        let mut input = Input::Go;
        loop {
            self.record.ended(&input);
            let (state, effect) = step(self.state.clone(), input, Instant::now(), &self.settings);
            self.state = state;
            self.record.begins(&effect);
            input = match effect {
                Effect::List { form, from, page_size, new_epoch } => {
                    self.list(form, from, page_size, new_epoch).await
                }
                Effect::Watch => self.watch().await,
                Effect::WatchUnversioned => self.watch_unversioned().await,
                Effect::Probe => self.probe().await,
                Effect::Discover => self.discover().await,
                Effect::ShowAbsence => self.show_absence().await,
                Effect::Wait { pace, retry_after } => self.wait(pace, retry_after).await,
            };
            // A source that always responds at once must not block the runtime.
            consume_budget().await;
        }
    }

    pub(super) fn timeout(&self, verb: &'static str, after: Duration) -> Error {
        ErrorKind::Timeout { verb, resource: self.source.resource().to_owned(), after }.into()
    }

    pub(super) fn protocol(&self, verb: &'static str, what: &'static str) -> Error {
        ErrorKind::Protocol { verb, resource: self.source.resource().to_owned(), what }.into()
    }
}
