//! How a version of the store reaches its readers: an atomic cell and two wake-up channels.
//!
//! All memory orderings of the store are explained here. In `tests/interleavings`, a model checker runs this
//! file in every possible order of threads, with its own [`sync`](super::sync) and its own view type `V`.
//!
//! - **The cell** is the only place from which a view is read, so readers that communicate never see an older
//!   view afterwards: the swap releases the view, and each load acquires it.
//! - **Wake-ups** are sent after the view is in the cell. A waiter marks earlier wake-ups as seen *before* it
//!   loads the view, so a publication that the load misses wakes it again.
//! - **The end** is signalled by dropping the senders of the wake-ups, after the reason was stored. A waiter
//!   sees the end only after the last wake-up, so it has already seen the last view.

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

/// The wake-ups of one consumer of changes.
pub(crate) struct Wake {
    /// The future owns the receiver while it waits, and returns it.
    woken: ReusableBoxFuture<'static, (bool, watch::Receiver<()>)>,
    ended: bool,
}

// === impl Shared ===

impl<V> Shared<V> {
    /// The first view, before any list. Every subscription begins with it.
    pub(crate) fn first(&self) -> &Arc<V> {
        &self.empty
    }

    /// The newest view. Lock-free.
    pub(crate) fn newest(&self) -> Arc<V> {
        self.cell.load_full()
    }

    /// The newest view, borrowed through a guard, without a reference count of its own. Lock-free; the writer
    /// does not wait for guards.
    #[inline]
    pub(crate) fn load(&self) -> Guard<Arc<V>> {
        self.cell.load()
    }

    /// Waits until `reached` returns true for a view. Checks the newest view at once, then views published
    /// later; it may skip some. `None` if the writer has ended and the last view does not match.
    pub(crate) async fn wait_until(&self, mut reached: impl FnMut(&V) -> bool) -> Option<Arc<V>> {
        let mut versions = self.versions.clone();
        loop {
            // Must come before the view is loaded.
            versions.mark_unchanged();
            let view = self.newest();
            if reached(&view) {
                return Some(view);
            }
            versions.changed().await.ok()?;
        }
    }

    /// Wake-ups for each change of content.
    pub(crate) fn changes(&self) -> Wake {
        Wake { woken: ReusableBoxFuture::new(wake(self.changes.clone())), ended: false }
    }

    /// Why the writer has ended; `None` while it runs.
    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }

    /// The positions of all subscriptions.
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

    /// Publishes a view and wakes the waiters. Returns the view that it replaces.
    pub(crate) fn publish(&mut self, view: impl Into<Arc<V>>, content_changed: bool) -> Arc<V> {
        let old = self.shared.cell.swap(view.into());
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
    /// Returns the first result of `advance`, called at once and after each change of content. `None` once
    /// the writer has ended and `advance` finds nothing more.
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
            // Consume the wake-up before `advance` loads the view again.
            let (woken, receiver) = ready!(self.woken.poll(context));
            self.ended = !woken;
            self.woken.set(wake(receiver));
        }
    }

    /// Whether [`poll_found`](Self::poll_found) has reached the end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }
}

async fn wake(mut changes: watch::Receiver<()>) -> (bool, watch::Receiver<()>) {
    (changes.changed().await.is_ok(), changes)
}
