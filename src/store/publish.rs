//! How a version of the store reaches its readers: one atomic cell and two wake-ups.
//!
//! Every ordering is argued here, and only here. `tests/interleavings` has a model checker run this very file in
//! every order that threads may take: it brings its own [`sync`](super::sync), and its own kind of view `V`.
//!
//! - **The cell** is the only place that a view is read from, so readers that tell each other what they have seen never
//!   go back: the swap releases the view, and each load acquires it.
//! - **Wake-ups** come after the view is in the cell. A waiter takes note of the wake-ups so far *before* it loads
//!   the view, so a publication that it misses in the load wakes it again.
//! - **The end** is told by the writer's half of the wake-ups being dropped, after its reason was stored. It is found
//!   only by a waiter that has taken note of the last wake-up, and so has seen the last view.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio_util::sync::ReusableBoxFuture;

use super::sync::{ArcSwap, End, Guard, OnceLock, Positions, watch};

/// The readers' side of a store.
pub(crate) struct Shared<V> {
    cell: ArcSwap<V>,
    empty: Arc<V>,
    changes: watch::Receiver<()>,
    versions: watch::Receiver<()>,
    end: OnceLock<End>,
    positions: Positions,
}

/// The writer's side. Dropping it ends every wait.
pub(crate) struct Publisher<V> {
    shared: Arc<Shared<V>>,
    changes: watch::Sender<()>,
    versions: watch::Sender<()>,
}

/// What one consumer of changes waits at.
pub(crate) struct Wake {
    /// The receiver moves through the wait, which borrows it.
    woken: ReusableBoxFuture<'static, (bool, watch::Receiver<()>)>,
    ended: bool,
}

// === impl Shared ===

impl<V> Shared<V> {
    /// The first view, before any list: where every subscription begins.
    pub(crate) fn first(&self) -> &Arc<V> {
        &self.empty
    }

    /// The newest view. Lock-free.
    pub(crate) fn newest(&self) -> Arc<V> {
        self.cell.load_full()
    }

    /// The view without a reference count of its own, for as long as the guard lives. Lock-free; the writer
    /// does not wait for guards.
    #[inline]
    pub(crate) fn load(&self) -> Guard<Arc<V>> {
        self.cell.load()
    }

    /// Waits until `reached` is true of the newest view, which is asked at once, and of each that is published
    /// while it waits, though some may be skipped. `None` when the writer is gone and the last one is not it.
    pub(crate) async fn wait_until(&self, mut reached: impl FnMut(&V) -> bool) -> Option<Arc<V>> {
        let mut versions = self.versions.clone();
        loop {
            // Before the view is loaded.
            versions.mark_unchanged();
            let view = self.newest();
            if reached(&view) {
                return Some(view);
            }
            versions.changed().await.ok()?;
        }
    }

    /// Wakes when content changed.
    pub(crate) fn changes(&self) -> Wake {
        Wake { woken: ReusableBoxFuture::new(wake(self.changes.clone())), ended: false }
    }

    /// Why there is no writer any more.
    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }

    /// Where the subscriptions stand.
    pub(crate) fn positions(&self) -> &Positions {
        &self.positions
    }
}

// === impl Publisher ===

impl<V> Publisher<V> {
    pub(crate) fn new(first: V) -> Self {
        let (changes, changed) = watch::channel(());
        let (versions, version) = watch::channel(());
        let empty = Arc::new(first);
        let shared = Shared {
            cell: ArcSwap::new(empty.clone()),
            empty,
            changes: changed,
            versions: version,
            end: OnceLock::new(),
            positions: Positions::new(),
        };
        Self { shared: Arc::new(shared), changes, versions }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<V>> {
        &self.shared
    }

    /// Shows a view to all readers and wakes who waits for it. Returns the one it replaces.
    pub(crate) fn publish(&mut self, view: V, content_changed: bool) -> Arc<V> {
        let old = self.shared.cell.swap(Arc::new(view));
        self.versions.send_replace(());
        if content_changed {
            self.changes.send_replace(());
        }
        old
    }
}

impl<V> Drop for Publisher<V> {
    fn drop(&mut self) {
        let why = if std::thread::panicking() { End::Failed } else { End::Stopped };
        let _ = self.shared.end.set(why);
    }
}

// === impl Wake ===

impl Wake {
    /// What `advance` finds in the newest view, asked at once and after each change of content. `None` once the
    /// writer is gone and nothing is left to be found.
    pub(crate) fn poll_found<R>(
        &mut self,
        context: &mut Context<'_>,
        mut advance: impl FnMut() -> Option<R>,
    ) -> Poll<Option<R>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            if let Some(found) = advance() {
                return Poll::Ready(Some(found));
            }
            // The wake-up is taken note of before the view is loaded.
            let (woken, receiver) = ready!(self.woken.poll(context));
            self.ended = !woken;
            self.woken.set(wake(receiver));
        }
    }

    /// Whether [`poll_found`](Self::poll_found) has come to the end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }
}

async fn wake(mut changes: watch::Receiver<()>) -> (bool, watch::Receiver<()>) {
    (changes.changed().await.is_ok(), changes)
}
