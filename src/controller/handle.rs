//! A handle to a controller while it runs.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::first_pass::FirstPass;
use super::settings::Settings;
use super::stats::{Stats, Tally};
use super::tenure::Tenure;
use super::term::Term;
use crate::error::{Error, ErrorKind};
use crate::key::ObjectKey;

/// A handle to a [`Controller`](super::Controller), from [`Controller::handle`](super::Controller::handle): it stops
/// it, queues keys, and returns its statistics. Cloning copies a pointer. It keeps no informer running.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What a controller and its handles share.
pub(super) struct Shared {
    pub(super) name: Box<str>,
    tally: Arc<Tally>,
    /// The present run, or the last one.
    term: Mutex<Option<(Arc<Term>, bool)>>,
    first: watch::Sender<Option<FirstPass>>,
    /// Cancelled when no run may begin any more.
    shut_down: CancellationToken,
}

/// The right to run, given back when it is dropped.
pub(super) struct Running {
    shared: Arc<Shared>,
    pub(super) term: Arc<Term>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Ends the present run gracefully; [`Controller::run`](super::Controller::run) returns when it has ended. No effect
    /// if the controller does not run, nor on later runs. Does not wait.
    pub fn stop(&self) {
        if let Some(term) = self.shared.running() {
            term.stop.cancel();
        }
    }

    /// [`stop`](Self::stop) for good: later runs return [`Ended::Stopped`](super::Ended::Stopped) at once. For a
    /// controller that runs in a loop, as one with leader election does. Does not wait.
    pub fn shut_down(&self) {
        self.shared.shut_down.cancel();
    }

    /// Queues a key, for example because of an event outside of the cluster. Returns false if the controller does not
    /// run, or is ending. O(1).
    pub fn enqueue(&self, key: ObjectKey) -> bool {
        let Some(term) = self.shared.running() else { return false };
        term.writes.note(&key, None);
        term.queue.add(key);
        !term.queue.is_shut_down()
    }

    /// Waits until all that existed when the run began has been reconciled once, successfully or not: each object of
    /// the first list, and each key that was emitted for the first list of a watched kind. Readiness, and the cleanup
    /// of what no object asks for, can depend on this.
    ///
    /// If the controller does not run, this waits for its next run. Use a timeout. Cancel-safe.
    pub async fn first_pass(&self) -> FirstPass {
        let mut first = self.shared.first.subscribe();
        let done = first.wait_for(Option::is_some).await.map(|found| *found);
        match done {
            Ok(Some(found)) => found,
            // Not possible: this handle keeps the sender.
            _ => std::future::pending().await,
        }
    }

    /// Returns the statistics. O(running reconciles), short locks.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.tally.sample();
        if let Some((term, running)) = &*self.shared.term() {
            stats.running = *running;
            stats.concurrency = term.concurrency;
            stats.queue = Some(term.queue.stats());
        }
        stats.first_pass = *self.shared.first.borrow();
        stats
    }

    /// The kind of the primary objects, and the namespace if there is one.
    pub fn name(&self) -> &str {
        &self.shared.name
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            tally: Arc::default(),
            term: Mutex::default(),
            first: watch::Sender::new(None),
            shut_down: CancellationToken::new(),
        }
    }

    /// Begins a run, unless there is one.
    pub(super) fn begin(
        self: &Arc<Self>,
        settings: &Settings,
        triggers: usize,
        tenure: impl FnOnce() -> Result<Option<Arc<dyn Tenure>>, Error>,
    ) -> Result<Running, Error> {
        let mut present = self.term();
        if matches!(&*present, Some((_, true))) {
            return Err(ErrorKind::AlreadyRunning.into());
        }
        let tenure = tenure()?;
        // Of a sharded controller, what it holds first is one more.
        let batches = triggers + usize::from(tenure.is_some());
        let (tally, first, stop) = (self.tally.clone(), self.first.clone(), self.shut_down.child_token());
        let term = Arc::new(Term::new(settings, batches, tenure, tally, first, stop));
        *present = Some((term.clone(), true));
        self.tally.runs.fetch_add(1, Relaxed);
        Ok(Running { shared: self.clone(), term })
    }

    fn running(&self) -> Option<Arc<Term>> {
        self.term().as_ref().filter(|(_, running)| *running).map(|(term, _)| term.clone())
    }

    fn term(&self) -> MutexGuard<'_, Option<(Arc<Term>, bool)>> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If `run` was dropped, the workers end at their next `.await`; until then they claim no further key.
        self.term.queue.shut_down_now();
        // Before the next run may begin, whose first pass this would hide.
        self.term.first.close();
        if let Some((_, running)) = &mut *self.shared.term() {
            *running = false;
        }
    }
}
