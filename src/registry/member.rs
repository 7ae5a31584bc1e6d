//! The untyped part of an entry: its name and state, the entries it waits for, and ways to wait for it and
//! stop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::entry_key::EntryKey;
use super::not_synced::NotSynced;
use crate::error::{Error, ErrorKind};
use crate::reflector::{Phase, Status};
use crate::scope::Scope;

/// An entry without its types. It does not keep the informer running.
pub(super) struct Member {
    /// Position in the order of declaration.
    pub(super) number: u64,
    pub(super) kind: String,
    pub(super) scope: Scope,
    /// What messages call it: the kind, and the scope unless it is all.
    pub(super) name: String,
    status: watch::Receiver<Status>,
    stop: CancellationToken,
    tasks: TaskTracker,
    started: AtomicBool,
    after: Mutex<Vec<Arc<Member>>>,
}

/// When a wait for an entry ends before it has synced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Only when it stops.
    Endless,
    /// Also on an error of the API server that retrying will not fix.
    UntilBlocked,
}

// === impl Member ===

impl Member {
    pub(super) fn new(
        number: u64,
        key: &EntryKey,
        status: watch::Receiver<Status>,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let (kind, scope) = (key.kind(), key.scope.clone());
        let name = if scope == Scope::all() { kind.clone() } else { format!("{kind} {scope}") };
        let (started, after) = (AtomicBool::new(false), Mutex::default());
        Self { number, kind, scope, name, status, stop, tasks, started, after }
    }

    pub(super) fn is_synced(&self) -> bool {
        self.status.borrow().synced
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub(super) fn is_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    pub(super) fn set_started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Makes this entry start after another.
    ///
    /// # Errors
    ///
    /// If the other one waits for this one, directly or through others.
    pub(super) fn wait_for(&self, earlier: &Arc<Self>) -> Result<(), Error> {
        // Serializes the checks: two concurrent calls must not create a cycle.
        static ORDER: Mutex<()> = Mutex::new(());
        let _order = lock(&ORDER);
        if earlier.is(self) || earlier.waits_for(self) {
            return Err(
                ErrorKind::Circular { resource: self.name.clone(), other: earlier.name.clone() }.into()
            );
        }
        lock(&self.after).push(earlier.clone());
        Ok(())
    }

    /// Whether this entry starts after another, directly or through others.
    pub(super) fn waits_for(&self, other: &Self) -> bool {
        let after = lock(&self.after).clone();
        after.iter().any(|earlier| earlier.is(other) || earlier.waits_for(other))
    }

    fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    /// Waits until the entry has synced. Cancel-safe.
    pub(super) async fn synced(&self, patience: Patience) -> Result<(), Error> {
        let mut status = self.status.clone();
        loop {
            {
                let status = status.borrow_and_update();
                if status.synced {
                    return Ok(());
                }
                if patience == Patience::UntilBlocked
                    && let Some(error) = status.blocked()
                {
                    return Err(error.clone());
                }
            }
            if status.changed().await.is_err() {
                return Err(ErrorKind::SharedStopped { resource: self.name.clone() }.into());
            }
        }
    }

    pub(super) fn not_synced(&self) -> Option<NotSynced> {
        let status = self.status.borrow().clone();
        let after = lock(&self.after).clone();
        let waits_for = after.iter().filter(|earlier| !earlier.is_synced());
        (!status.synced).then(|| NotSynced {
            name: self.name.clone(),
            phase: status.phase,
            started: self.is_started(),
            waits_for: waits_for.map(|earlier| earlier.name.clone()).collect(),
            last_error: status.last_error,
        })
    }

    pub(super) fn phase(&self) -> Phase {
        self.status.borrow().phase
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
    }

    /// Whether it has ended and cannot be started any more.
    pub(super) fn has_ended(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until the informer's task has ended. Does not stop it.
    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }
}

/// Ignores poisoning: no code under these locks can panic in the middle of a change.
pub(super) fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
