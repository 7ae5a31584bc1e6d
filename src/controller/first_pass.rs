//! When everything that existed at the start was reconciled once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::watch;

use crate::key::ObjectKey;

/// The first pass of a controller over all that existed when it started. See
/// [`Handle::first_pass`](super::Handle::first_pass).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FirstPass {
    /// Number of keys that were reconciled.
    pub keys: usize,
    /// Number of those whose first reconcile failed; they are retried.
    pub failed: usize,
}

/// Counts the keys of the first batches until each was reconciled.
pub(super) struct Progress {
    /// `None` when it is done.
    open: Mutex<Option<Open>>,
    done: watch::Sender<Option<FirstPass>>,
}

struct Open {
    /// Triggers whose first batch was not queued completely.
    batches: usize,
    pending: HashSet<ObjectKey, RandomState>,
    found: FirstPass,
}

impl Progress {
    /// Of this many triggers. Reports to `done`.
    pub(super) fn new(batches: usize, done: watch::Sender<Option<FirstPass>>) -> Self {
        let found = FirstPass { keys: 0, failed: 0 };
        Self { open: Mutex::new(Some(Open { batches, pending: HashSet::default(), found })), done }
    }

    /// Notes keys of a first batch, before they are queued.
    pub(super) fn expect<'a>(&self, keys: impl IntoIterator<Item = &'a ObjectKey>) {
        self.update(|open| {
            for key in keys {
                open.found.keys += usize::from(open.pending.insert(key.clone()));
            }
        });
    }

    /// The first batch of a trigger is queued.
    pub(super) fn batch_queued(&self) {
        self.update(|open| open.batches = open.batches.saturating_sub(1));
    }

    /// A key was reconciled.
    pub(super) fn reconciled(&self, key: &ObjectKey, failed: bool) {
        self.update(|open| {
            if open.pending.remove(key) {
                open.found.failed += usize::from(failed);
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Open)) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = &mut *open else { return };
        change(state);
        if state.batches == 0 && state.pending.is_empty() {
            self.done.send_replace(Some(state.found));
            *open = None;
        }
    }
}
