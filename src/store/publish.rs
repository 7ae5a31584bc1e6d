//! How a version of the store reaches its readers: one atomic cell, a counter, and two wake-ups.
//!
//! Every ordering is argued here, and only here.
//!
//! The writer stores the view in the cell *before* it counts the publication, with release; a
//! [`Reader`](crate::Reader) loads the counter with acquire. Whoever sees publication `n` counted therefore loads view
//! `n` or a later one from the cell, and a counter that has not moved means that the view at hand is still
//! the newest one known to be published. Both wake-ups come after the count; a waiter marks the wake-up as
//! seen before it loads the view, so a publication that it misses in the load wakes it again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use crate::snapshot::{Snapshot, View};
use crate::subscribe::{End, Positions};

/// The readers' side of a store.
pub(crate) struct Shared<T> {
    cell: ArcSwap<View<T>>,
    empty: Snapshot<T>,
    published: AtomicU64,
    changes: watch::Receiver<u64>,
    versions: watch::Receiver<u64>,
    end: OnceLock<End>,
    positions: Positions,
}

/// The writer's side. Dropping it ends every wait.
pub(crate) struct Publisher<T> {
    shared: Arc<Shared<T>>,
    changes: watch::Sender<u64>,
    versions: watch::Sender<u64>,
}

// === impl Shared ===

impl<T> Shared<T> {
    pub(crate) fn snapshot(&self) -> Snapshot<T> {
        Snapshot(self.cell.load_full())
    }

    /// The first view, before any list: where every subscription begins.
    pub(crate) fn empty(&self) -> Snapshot<T> {
        self.empty.clone()
    }

    /// The view without a reference count of its own, for as long as the guard lives. Lock-free; the writer
    /// does not wait for guards.
    #[inline]
    pub(crate) fn load(&self) -> Guard<Arc<View<T>>> {
        self.cell.load()
    }

    #[inline]
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Wakes when content changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Wakes at every publication, bookmarks included.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.versions.clone()
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }

    /// Where the subscriptions stand.
    pub(crate) fn positions(&self) -> &Positions {
        &self.positions
    }
}

// === impl Publisher ===

impl<T> Publisher<T> {
    pub(crate) fn new(first: View<T>) -> Self {
        let (changes, changed) = watch::channel(0);
        let (versions, version) = watch::channel(0);
        let empty = Arc::new(first);
        let shared = Shared {
            cell: ArcSwap::new(empty.clone()),
            empty: Snapshot(empty),
            published: AtomicU64::new(0),
            changes: changed,
            versions: version,
            end: OnceLock::new(),
            positions: Positions::new(),
        };
        Self { shared: Arc::new(shared), changes, versions }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    /// Shows a view to all readers and wakes who waits for it. Returns the one it replaces.
    pub(crate) fn publish(&self, view: View<T>, content_changed: bool) -> Arc<View<T>> {
        let revision = view.revision;
        let old = self.shared.cell.swap(Arc::new(view));
        let published = self.shared.published.fetch_add(1, Ordering::Release) + 1;
        self.versions.send_replace(published);
        if content_changed {
            self.changes.send_replace(revision);
        }
        old
    }
}

impl<T> Drop for Publisher<T> {
    fn drop(&mut self) {
        let why = if std::thread::panicking() { End::Failed } else { End::Stopped };
        let _ = self.shared.end.set(why);
    }
}
