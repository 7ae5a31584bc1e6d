//! Old versions, kept until no reader has them any more, so that none of them is ever freed by a reader.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::object::Obj;
use crate::reflector::Turn;
use crate::snapshot::View;

/// How often the informer's task looks for old versions that nobody holds.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// What the writer has replaced: whole views, and objects no longer in the newest view.
///
/// It holds one reference to each. When that is the last one, readers are done with it and the informer's
/// task frees it: whatever `T`'s destructor does never happens to a reader. An object that a reader holds on
/// its own stays here with it.
pub(crate) struct Retired<T> {
    kept: Mutex<Kept<T>>,
    arrived: Notify,
    pinned: Arc<Pinned>,
}

/// Which old versions somebody still holds, as the last sweep has found. Apart from what it tells of, so that whoever
/// asks keeps none of it.
#[derive(Default)]
pub(crate) struct Pinned(Mutex<Found>);

#[derive(Default)]
struct Found {
    /// Views that differ only in their version share everything, and count once.
    revisions: usize,
    /// The newest of these.
    newest: u64,
}

struct Kept<T> {
    views: Vec<Arc<View<T>>>,
    objects: Vec<Obj<T>>,
}

impl<T> Retired<T> {
    pub(crate) fn new() -> Self {
        let kept = Kept { views: Vec::new(), objects: Vec::new() };
        Self { kept: Mutex::new(kept), arrived: Notify::new(), pinned: Arc::default() }
    }

    pub(crate) fn push(&self, view: Arc<View<T>>, objects: &mut Vec<Obj<T>>) {
        let mut kept = self.lock();
        kept.views.push(view);
        kept.objects.append(objects);
        drop(kept);
        self.arrived.notify_one();
    }

    pub(crate) fn pinned(&self) -> &Arc<Pinned> {
        &self.pinned
    }

    /// Frees what nobody holds, again and again. Cancel-safe.
    pub(crate) async fn sweep_forever(&self) {
        loop {
            self.arrived.notified().await;
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                self.sweep().await;
                let kept = self.lock();
                if kept.views.is_empty() && kept.objects.is_empty() {
                    break;
                }
            }
        }
    }

    /// Views first: they hold objects.
    async fn sweep(&self) {
        let views = std::mem::take(&mut self.lock().views);
        let mut held = Vec::new();
        let keep = |view: Arc<View<T>>| {
            held.push(view.revision());
            self.lock().views.push(view);
        };
        sweep(views, |view| Arc::strong_count(view) == 1, keep).await;
        self.pinned.found(held);
        let objects = std::mem::take(&mut self.lock().objects);
        sweep(objects, Obj::is_last, |object| self.lock().objects.push(object)).await;
    }

    /// The lock is held to move pointers only, never while something is freed.
    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pinned ===

impl Pinned {
    /// How many old versions are held by somebody, `current` being none: O(1).
    pub(crate) fn versions(&self, current: u64) -> usize {
        let found = self.lock();
        found.revisions - usize::from(found.revisions > 0 && found.newest == current)
    }

    fn found(&self, mut revisions: Vec<u64>) {
        revisions.sort_unstable();
        revisions.dedup();
        *self.lock() =
            Found { revisions: revisions.len(), newest: revisions.last().copied().unwrap_or_default() };
    }

    /// Taken by sweeps and by those who ask, not by the writer.
    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops it. A panic in `T`'s destructor is the application's, and no reason to stop; of two in one call the second
/// would end the process, so objects are freed one by one.
pub(super) fn free<E>(element: E) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(element)));
}

async fn sweep<E>(old: Vec<E>, is_last: impl Fn(&E) -> bool, mut keep: impl FnMut(E)) {
    // Cancelled between two chunks, the rest is freed at once: the informer is stopping.
    let mut turn = Turn::new();
    for element in old {
        if is_last(&element) {
            free(element);
        } else {
            keep(element);
        }
        turn.pass().await;
    }
}
