//! How a version of the store reaches its readers: an atomic cell, and the tasks to wake.
//!
//! All memory orderings of the store are explained here. In `tests/interleavings`, a model checker runs this
//! file in every possible order of threads, with its own [`sync`](super::sync) and its own view type `V`.
//!
//! - **The cell** is the only place from which a view is read, so readers that communicate never see an older
//!   view afterwards: the swap releases the view, and each load acquires it.
//! - **Wake-ups** are sent after the view is in the cell. A waiter leaves its waker *before* it loads the view, so a
//!   publication that the load misses wakes it.
//! - **The end** is stored after the last view, and then wakes all. A waiter looks for the end *before* it loads the
//!   view, so with the end it has seen the last view.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::sync::{ArcSwap, End, Guard, OnceLock, Positions};
use super::wakers::{Waiter, Wakers};

/// The readers' side of a store.
pub(crate) struct Shared<V> {
    cell: ArcSwap<V>,
    empty: Arc<V>,
    /// Who waits for a change of content.
    changes: Wakers,
    /// Who waits for a version.
    versions: Wakers,
    end: Arc<OnceLock<End>>,
    positions: Positions,
}

/// The writer's side. Dropping it ends every wait.
pub(crate) struct Publisher<V> {
    shared: Arc<Shared<V>>,
}

/// The wake-ups of one consumer of changes.
pub(crate) struct Wake {
    waiter: Waiter,
    end: Arc<OnceLock<End>>,
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
        let view = self.newest();
        if reached(&view) {
            return Some(view);
        }
        let waiter = self.versions.enter();
        poll_fn(|context| {
            waiter.prepare(context.waker());
            let has_ended = self.end().is_some();
            let view = self.newest();
            if reached(&view) {
                Poll::Ready(Some(view))
            } else if has_ended {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Wake-ups for each change of content.
    pub(crate) fn changes(&self) -> Wake {
        Wake { waiter: self.changes.enter(), end: self.end.clone(), ended: false }
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
        let empty = Arc::new(first);
        let shared = Shared {
            cell: ArcSwap::new(empty.clone()),
            empty,
            changes: Wakers::new(),
            versions: Wakers::new(),
            end: Arc::new(OnceLock::new()),
            positions: Positions::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<V>> {
        &self.shared
    }

    /// Publishes a view and wakes the waiters. Returns the view that it replaces.
    pub(crate) fn publish(&mut self, view: impl Into<Arc<V>>, content_changed: bool) -> Arc<V> {
        let old = self.shared.cell.swap(view.into());
        self.shared.versions.wake();
        if content_changed {
            self.shared.changes.wake();
        }
        old
    }
}

impl<V> Drop for Publisher<V> {
    fn drop(&mut self) {
        let why = if std::thread::panicking() { End::Failed } else { End::Stopped };
        let _ = self.shared.end.set(why);
        self.shared.versions.wake();
        self.shared.changes.wake();
    }
}

// === impl Wake ===

impl Wake {
    /// Returns the first result of `advance`, called at once and at least once after each change of content. `None` once the
    /// writer has ended and `advance` finds nothing more.
    pub(crate) fn poll_found<R>(
        &mut self,
        context: &mut Context<'_>,
        mut advance: impl FnMut() -> Option<R>,
    ) -> Poll<Option<R>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.waiter.prepare(context.waker());
        let has_ended = self.end.get().is_some();
        match advance() {
            None if has_ended => {
                self.ended = true;
                Poll::Ready(None)
            }
            None => Poll::Pending,
            found => Poll::Ready(found),
        }
    }

    /// Whether [`poll_found`](Self::poll_found) has reached the end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }
}
