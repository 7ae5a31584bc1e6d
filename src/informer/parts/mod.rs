//! Runs a reflector for each part of the scope, all in the task of the informer, and changes the scope.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::config::Config;
use crate::reflector::{self, Board, Command, Gate, Recorder, Settings, Tally};
use crate::scope::{Part, Scope};
use crate::source::Source;
use crate::store::{AddIndex, Intake, PartId, Store, Writer};

/// Capacity of the command channel of a part.
const COMMANDS: usize = 8;

/// The reflectors of an informer.
pub(super) struct Reflectors<S: Source, T> {
    common: Common<S, T>,
    running: Vec<Running<T>>,
    /// The number of the next part.
    next: PartId,
    /// The reflectors, and commands that wait for the writer or for them.
    tasks: FuturesUnordered<BoxFuture<'static, ()>>,
    /// Callers that wait for a change of the scope.
    callers: Vec<oneshot::Sender<()>>,
}

/// What the reflectors share.
pub(super) struct Common<S: Source, T> {
    /// Whether the kind has no namespaces, so that a part that names one has all objects.
    pub(super) is_cluster_scoped: bool,
    /// Makes the source of a part.
    pub(super) source: Box<dyn FnMut(Part) -> S + Send>,
    pub(super) store: Arc<Store<S::Payload, T>>,
    /// Notified by the store.
    pub(super) changes: Arc<Notify>,
    pub(super) board: Arc<Board>,
    pub(super) tally: Arc<Tally>,
    pub(super) config: Config,
    pub(super) gate: Arc<Gate>,
    pub(super) stop: CancellationToken,
}

/// The reflector of a part.
pub(super) struct Running<T> {
    id: PartId,
    part: Part,
    commands: mpsc::Sender<Command<AddIndex<T>>>,
    stop: CancellationToken,
}

// === impl Reflectors ===

impl<S: Source, T: Send + Sync + 'static> Reflectors<S, T> {
    pub(super) fn new(common: Common<S, T>) -> Self {
        let (tasks, callers) = (FuturesUnordered::new(), Vec::new());
        // When all futures of the set have been polled, it wakes the task to poll it again, although nothing happened.
        // With one that never becomes ready, that is not after each event of a single reflector.
        tasks.push(pending().boxed());
        Self { common, running: Vec::new(), next: 0, tasks, callers }
    }

    /// Runs until the informer is stopped. All reflectors end with it.
    pub(super) async fn run(mut self, scope: Scope, commands: mpsc::Receiver<Command<AddIndex<T>>>) {
        let stop = self.common.stop.clone();
        stop.run_until_cancelled(self.drive(scope, commands)).await;
    }

    async fn drive(&mut self, scope: Scope, mut commands: mpsc::Receiver<Command<AddIndex<T>>>) {
        let scope = self.meant(scope);
        let parts = self.number(scope.parts());
        let store = self.common.store.clone();
        store.writer().await.set_parts(parts.iter().map(namespace));
        if parts.is_empty() {
            self.common.board.retain(|_| true, |_| true);
        }
        let is_single = parts.len() == 1;
        for (id, part) in parts {
            let intake = Intake::of(&store, id);
            self.start(id, part, intake, true, is_single);
        }
        let changes = self.common.changes.clone();
        loop {
            tokio::select! {
                Some(()) = self.tasks.next() => {}
                Some(command) = commands.recv() => self.obey(command).await,
                () = changes.notified() => self.adopt().await,
            }
        }
    }

    async fn obey(&mut self, command: Command<AddIndex<T>>) {
        match command {
            Command::AddIndex(index) => {
                let store = self.common.store.clone();
                self.tasks.push(async move { store.writer().await.answer_index(index).await }.boxed());
            }
            Command::Refresh(answer) => self.refresh(|_| true, Some(answer)),
            Command::SetScope(scope, answer) => self.set_scope(scope, answer).await,
        }
    }

    /// Lists the parts again for which `is_meant` returns true.
    fn refresh(&mut self, is_meant: impl Fn(PartId) -> bool, answer: Option<oneshot::Sender<()>>) {
        let parts = self.running.iter().filter(|part| is_meant(part.id));
        let listed = join_all(parts.map(|part| list_again(part.commands.clone())));
        let stop = self.common.stop.clone();
        self.tasks.push(
            async move {
                let Some(mut answer) = answer else {
                    listed.await;
                    return;
                };
                tokio::select! {
                    biased;
                    // A list that no caller waits for is not made.
                    () = answer.closed() => {}
                    _ = listed => {
                        // The parts may have ended, and not been listed.
                        if !stop.is_cancelled() {
                            let _ = answer.send(());
                        }
                    }
                }
            }
            .boxed(),
        );
    }

    /// Starts the reflectors of new parts. Those of old ones go on until the lists of the new ones are complete.
    async fn set_scope(&mut self, scope: Scope, answer: oneshot::Sender<()>) {
        let (scope, store) = (self.meant(scope), self.common.store.clone());
        let mut writer = self.locked(&store).await;
        self.answer_from(&writer);
        // A change that is not complete is replaced by this one.
        writer.abandon_change();
        self.adopt_from(&writer);
        self.callers.push(answer);
        let running: HashSet<&Part> = self.running.iter().map(|running| &running.part).collect();
        let new: Vec<Part> = scope.parts().iter().filter(|part| !running.contains(part)).cloned().collect();
        // The parts of a scope are sorted.
        let stays = |running: &&Running<T>| scope.parts().binary_search(&running.part).is_ok();
        let keep: HashSet<PartId> = self.running.iter().filter(stays).map(|part| part.id).collect();
        let new = self.number(&new);
        writer.begin_change(keep, new.iter().map(namespace));
        let intakes = Intake::beside(&store, new.iter().map(|(id, _)| *id), &writer);
        drop(writer);
        let is_empty = new.is_empty();
        for ((id, part), intake) in new.into_iter().zip(intakes) {
            self.start(id, part, intake, false, false);
        }
        if is_empty {
            self.tasks.push(async move { store.writer().await.complete_change().await }.boxed());
        }
    }

    /// Follows what the store has done: stops the reflectors of removed parts, and lists parts again that were last
    /// listed before the server was restored.
    async fn adopt(&mut self) {
        let store = self.common.store.clone();
        let writer = self.locked(&store).await;
        let outdated: HashSet<PartId> = writer.outdated().collect();
        self.adopt_from(&writer);
        self.answer_from(&writer);
        drop(writer);
        if !outdated.is_empty() {
            self.refresh(|part| outdated.contains(&part), None);
        }
    }

    fn adopt_from(&mut self, writer: &Writer<T>) {
        self.running.retain(|part| {
            let stays = writer.is_present(part.id) || writer.is_starting(part.id);
            if !stays {
                part.stop.cancel();
            }
            stays
        });
        let stays = |id| writer.is_present(id) || writer.is_starting(id);
        self.common.board.retain(stays, |id| writer.is_present(id));
    }

    /// Answers the callers if their change is complete.
    fn answer_from(&mut self, writer: &Writer<T>) {
        if !writer.is_changing() {
            for caller in self.callers.drain(..) {
                // The caller may have stopped waiting.
                let _ = caller.send(());
            }
        }
    }

    /// Waits for the writer, which the reflectors use meanwhile.
    async fn locked<'a>(
        &mut self,
        store: &'a Store<S::Payload, T>,
    ) -> tokio::sync::MutexGuard<'a, Writer<T>> {
        let mut writer = std::pin::pin!(store.writer());
        loop {
            tokio::select! {
                writer = &mut writer => return writer,
                Some(()) = self.tasks.next() => {}
            }
        }
    }

    fn meant(&self, scope: Scope) -> Scope {
        if self.common.is_cluster_scoped { scope.without_namespaces() } else { scope }
    }

    fn number(&mut self, parts: &[Part]) -> Vec<(PartId, Part)> {
        let first = self.next;
        self.next += parts.len() as PartId;
        (first..).zip(parts.iter().cloned()).collect()
    }

    /// Starts the reflector of a part. `present`: readers see its objects at once. `single`: as the first part of an
    /// informer that has one, it needs no name in the log.
    fn start(&mut self, id: PartId, part: Part, intake: Intake<S::Payload, T>, present: bool, single: bool) {
        let Common { source, board, tally, config, gate, stop, .. } = &mut self.common;
        let span = if single { tracing::Span::none() } else { tracing::error_span!("part", scope = %part) };
        let (commands, taken) = mpsc::channel(COMMANDS);
        let stop = stop.child_token();
        // Parts that make the same random choices would send their requests together.
        let config = Config { seed: config.seed.map(|seed| seed.wrapping_add(id.into())), ..config.clone() };
        let reflector = reflector::run(
            source(part.clone()),
            intake,
            board.add(id, part.clone().into(), present),
            Recorder::new(tally.clone()),
            taken,
            stop.clone(),
            Settings::new(config),
            gate.clone(),
        );
        self.tasks.push(async move { drop(reflector.await) }.instrument(span).boxed());
        self.running.push(Running { id, part, commands, stop });
    }
}

fn namespace((id, part): &(PartId, Part)) -> (PartId, Option<&str>) {
    (*id, part.namespace.as_deref())
}

/// Completes when the part has been listed again, or has ended.
async fn list_again<A>(commands: mpsc::Sender<Command<A>>) {
    let (answer, answered) = oneshot::channel();
    if commands.send(Command::Refresh(answer)).await.is_ok() {
        let _ = answered.await;
    }
}

#[cfg(test)]
mod tests;
