//! When everything that existed at the start was reconciled once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// All keys of the first batches, and whether each is still to be reconciled.
    keys: HashMap<ObjectKey, bool, RandomState>,
    pending: usize,
    failed: usize,
}

impl Progress {
    /// Of this many triggers. Reports to `done`.
    pub(super) fn new(batches: usize, done: watch::Sender<Option<FirstPass>>) -> Self {
        let open = Open { batches, keys: HashMap::default(), pending: 0, failed: 0 };
        Self { open: Mutex::new(Some(open)), done }
    }

    /// Notes keys of a first batch, before they are queued. A key of an earlier one may have been reconciled already.
    pub(super) fn note<'a>(&self, keys: impl IntoIterator<Item = &'a ObjectKey>) {
        self.update(|open| {
            for key in keys {
                open.keys.entry(key.clone()).or_insert_with(|| {
                    open.pending += 1;
                    true
                });
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
            if let Some(pending) = open.keys.get_mut(key)
                && std::mem::take(pending)
            {
                open.pending -= 1;
                open.failed += usize::from(failed);
            }
        });
    }

    /// The run has ended: nothing is reported from now on, also if reconciles still run on other threads.
    pub(super) fn close(&self) {
        let mut open = self.lock();
        *open = None;
        self.done.send_replace(None);
    }

    fn update(&self, change: impl FnOnce(&mut Open)) {
        let mut open = self.lock();
        let Some(state) = &mut *open else { return };
        change(state);
        if state.batches == 0 && state.pending == 0 {
            self.done.send_replace(Some(FirstPass { keys: state.keys.len(), failed: state.failed }));
            *open = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
