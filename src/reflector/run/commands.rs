//! The commands of the application to a running reflector.

use tokio::sync::{mpsc, oneshot};

use super::Reflector;
use crate::reflector::command::Command;
use crate::reflector::sink::Sink;
use crate::source::Source;

/// The most commands that run before the watch is polled again.
const COMMANDS_PER_TURN: usize = 8;

impl<S: Source, W: Sink<S::Payload>> Reflector<S, W> {
    pub(super) async fn obey(&mut self, command: Command<W::AddIndex>) {
        obey(command, &mut self.commands, &mut self.sink, &mut self.refreshes).await;
    }

    /// Whether a caller still waits for a refresh.
    pub(super) fn wants_refresh(&mut self) -> bool {
        self.refreshes.retain(|waiting| !waiting.is_closed());
        !self.refreshes.is_empty()
    }

    pub(super) fn answer_refreshes(&mut self) {
        for answer in self.refreshes.drain(..) {
            // The caller may have stopped waiting.
            let _ = answer.send(());
        }
    }
}

/// Runs a command and some that are queued after it: one list answers several refreshes.
pub(super) async fn obey<K, W: Sink<K>>(
    command: Command<W::AddIndex>,
    commands: &mut mpsc::Receiver<Command<W::AddIndex>>,
    sink: &mut W,
    refreshes: &mut Vec<oneshot::Sender<()>>,
) {
    let mut next = Some(command);
    for _ in 0..COMMANDS_PER_TURN {
        match next {
            None => return,
            Some(Command::AddIndex(index)) => {
                sink.add_index(index).await;
            }
            Some(Command::Refresh(answer)) => {
                refreshes.retain(|waiting| !waiting.is_closed());
                refreshes.push(answer);
            }
            // A reflector has one part of a scope.
            Some(Command::SetScope(..)) => {}
        }
        next = commands.try_recv().ok();
    }
}
