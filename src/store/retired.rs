//! Old versions, kept until no reader uses them, so that a reader never has to free one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Shared;
use super::arrivals::Arrivals;
use super::late::Late;
use super::members::Members;
use super::replaced::Replaced;
use crate::fetch::Counted;
use crate::free::{Remains, free};
use crate::index::{AnyTable, Keys};
use crate::object::Obj;
use crate::reflector::Turn;
use crate::slab::Slab;
use crate::snapshot::{Invalid, View};
use crate::trie::{Element, Trie};

/// How often the informer's task looks for old versions without a reader.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// How long an ending informer that still has handles waits while memory is freed.
const FINISH_WITHIN: Duration = Duration::from_millis(20);

/// How many parts of an old version are freed before the next one is made.
const AT_ONCE: usize = 512;

/// The most changes since a version whose nodes are freed without dividing them into parts.
const FEW: u64 = 16;

/// Views that the writer has replaced, and objects that are no longer in the newest view.
///
/// It holds one reference to each. When that is the last reference, the informer's task frees the value, so
/// `T`'s destructor never runs on a reader's thread. An object that a reader holds stays here until the
/// reader drops it.
///
/// State that no reader has seen (an aborted list) also comes here, because freeing it takes long.
pub(crate) struct Retired<T> {
    kept: Mutex<Kept<T>>,
    arrived: Notify,
    pinned: Pinned,
    replaced: Replaced,
}

/// The old versions that readers still held at the last sweep.
#[derive(Default)]
pub(crate) struct Pinned(Mutex<Found>);

#[derive(Default)]
struct Found {
    /// The number of revisions. Views that differ only in their resourceVersion share everything and count
    /// once.
    revisions: usize,
    /// The newest of these revisions.
    newest: u64,
}

struct Kept<T> {
    views: VecDeque<Old<T>>,
    /// Objects that a reader held when the last view with them was freed.
    objects: VecDeque<Obj<T>>,
    discarded: Vec<World<T>>,
    /// Partly freed memory.
    remains: Vec<Box<dyn Remains>>,
}

/// A view that was replaced, and the objects in it that its successor does not have.
struct Old<T> {
    view: Arc<View<T>>,
    replaced: Vec<Obj<T>>,
}

/// Parts of a version that no reader has.
pub(super) struct World<T> {
    pub(super) tables: Vec<AnyTable>,
    pub(super) objects: Slab<Obj<T>>,
    pub(super) keys: Keys,
    /// Objects that the version has replaced.
    pub(super) replaced: Vec<Obj<T>>,
    /// Objects of a list.
    pub(super) listed: Arrivals<T>,
    pub(super) late: Trie<Late>,
    pub(super) members: Trie<Members>,
    pub(super) invalid: Trie<Invalid>,
}

impl<T> Retired<T> {
    pub(crate) fn new() -> Self {
        let kept = Kept {
            views: VecDeque::new(),
            objects: VecDeque::new(),
            discarded: Vec::new(),
            remains: Vec::new(),
        };
        Self {
            kept: Mutex::new(kept),
            arrived: Notify::new(),
            pinned: Pinned::default(),
            replaced: Replaced::default(),
        }
    }

    /// Keeps a view that was replaced, with the objects that no later one has.
    pub(super) fn push(&self, view: Arc<View<T>>, replaced: Vec<Obj<T>>) {
        self.lock().views.push_back(Old { view, replaced });
        self.arrived.notify_one();
    }

    /// Takes parts that have no other owner, to free them in small steps.
    pub(super) fn discard(&self, world: World<T>) {
        self.lock().discarded.push(world);
        self.arrived.notify_one();
    }

    pub(crate) fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    pub(crate) fn replaced(&self) -> &Replaced {
        &self.replaced
    }

    /// The lock is held to move pointers only, never while something is freed.
    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Retired<T> {
    /// Frees one of the last versions, if its readers have left it. `churn` is that of the newest version.
    pub(super) fn free_left(&self, churn: u64) {
        let left = self.lock().take_left();
        let Some((view, replaced)) = left else { return };
        let changes = churn.saturating_sub(view.churn);
        let mut world = World::from(view);
        if changes <= FEW {
            // Only the paths to these changes are its own. `replaced` has the objects, so no destructor of one runs here.
            world.objects = Slab::new();
        }
        self.free_soon(world, replaced);
    }

    /// Frees what is small of a version at once, and leaves the rest for later.
    fn free_soon(&self, world: World<T>, replaced: Vec<Obj<T>>) {
        let mut remains: Vec<_> = world.into_remains().collect();
        let mut parts = AT_ONCE;
        while let Some(last) = remains.last_mut()
            && parts > 0
        {
            parts -= 1;
            if !last.free_some() {
                remains.pop();
            }
        }
        let (last, held): (Vec<_>, Vec<_>) = match remains.is_empty() && replaced.len() <= parts {
            true => replaced.into_iter().partition(Obj::is_last),
            false => (Vec::new(), replaced),
        };
        last.into_iter().for_each(free);
        if !(remains.is_empty() && held.is_empty()) {
            let mut kept = self.lock();
            kept.remains.extend(remains);
            kept.objects.extend(held);
        }
    }

    /// Frees unused memory periodically. Cancel-safe: what is not freed yet stays here.
    pub(crate) async fn sweep_forever(&self) {
        loop {
            self.arrived.notified().await;
            loop {
                self.free_discarded().await;
                tokio::time::sleep(SWEEP_EVERY).await;
                self.sweep().await;
                if self.lock().is_empty() {
                    break;
                }
            }
        }
    }

    /// Frees unused memory after the store has ended, including the newest view if no reader can load it any
    /// more. Readers keep the objects they hold.
    ///
    /// If the informer still has handles, a caller may be waiting for its end: memory that is not freed
    /// within [`FINISH_WITHIN`] is then freed with the last handle.
    pub(crate) async fn finish(self: Arc<Self>, shared: Arc<Shared<T>>) {
        let newest = shared.newest();
        drop(shared);
        if let Some(view) = Arc::into_inner(newest) {
            self.discard(view.into());
        }
        if tokio::time::timeout(FINISH_WITHIN, self.free_all()).await.is_err()
            && let Some(last) = Arc::into_inner(self)
        {
            last.free_all().await;
        }
    }

    async fn free_all(&self) {
        self.sweep().await;
        let mut turn = Turn::new();
        while let Some(object) = self.pop_object() {
            free(object);
            turn.pass().await;
        }
    }

    /// Views come first because they hold objects.
    async fn sweep(&self) {
        let mut turn = Turn::new();
        let mut held = Vec::new();
        let last = self.replaced.last();
        let views = self.lock().views.len();
        for _ in 0..views {
            let Some(Old { view, replaced }) = self.lock().views.pop_front() else { break };
            match Arc::try_unwrap(view) {
                Ok(view) => {
                    self.discard(view.into());
                    self.lock().objects.extend(replaced);
                }
                Err(view) => {
                    held.push(view.revision());
                    self.lock().views.push_back(Old { view, replaced });
                }
            }
            turn.pass().await;
        }
        held.sort_unstable();
        held.dedup();
        self.replaced.retain(&held, last);
        self.pinned.found(&held);
        self.free_discarded().await;
        let objects = self.lock().objects.len();
        for _ in 0..objects {
            let Some(object) = self.pop_object() else { break };
            if Obj::is_last(&object) {
                free(object);
            } else {
                self.lock().objects.push_back(object);
            }
            turn.pass().await;
        }
    }

    async fn free_discarded(&self) {
        let mut turn = Turn::new();
        while self.free_for_a_turn(&turn) {
            turn.pass().await;
        }
    }

    /// Frees memory until the turn is over. Returns false when all is freed.
    fn free_for_a_turn(&self, turn: &Turn) -> bool {
        while !turn.is_over() {
            let mut kept = self.lock();
            let Some(mut last) = kept.remains.pop() else {
                let Some(world) = kept.discarded.pop() else { return false };
                drop(kept);
                let remains: Vec<_> = world.into_remains().collect();
                self.lock().remains.extend(remains);
                continue;
            };
            drop(kept);
            let mut more = true;
            while more && !turn.is_over() {
                more = last.free_some();
            }
            if more {
                self.lock().remains.push(last);
            }
        }
        true
    }

    fn pop_object(&self) -> Option<Obj<T>> {
        self.lock().objects.pop_front()
    }
}

// === impl Kept ===

impl<T> Kept<T> {
    /// Takes one of the last views, if its readers have left it. Most views are read for a short time, and the memory of
    /// this one is still in the caches of the processor and of the allocator.
    fn take_left(&mut self) -> Option<(View<T>, Vec<Obj<T>>)> {
        let recent = self.views.len().saturating_sub(2)..self.views.len();
        let at = recent.into_iter().find(|at| Arc::strong_count(&self.views[*at].view) == 1)?;
        let Old { view, replaced } = self.views.remove(at)?;
        Some((Arc::into_inner(view)?, replaced))
    }

    fn is_empty(&self) -> bool {
        self.views.is_empty()
            && self.objects.is_empty()
            && self.discarded.is_empty()
            && self.remains.is_empty()
    }
}

// === impl World ===

impl<T: Send + Sync + 'static> World<T> {
    /// The last element is freed first. Objects are freed after everything that refers to them, so that each
    /// is freed individually. Most of a version is shared with the next one, and is only released.
    fn into_remains(self) -> impl Iterator<Item = Box<dyn Remains>> {
        let Self { tables, objects, keys, replaced, listed, late, members, invalid } = self;
        let replaced = (!replaced.is_empty()).then(|| Box::new(replaced) as Box<dyn Remains>);
        let (objects, keys) = (pieces(objects), pieces(keys));
        let tables = tables.into_iter().filter_map(|table| table.into_remains());
        let listed = (listed.len() > 0).then(|| Box::new(listed) as Box<dyn Remains>);
        let parts = [replaced, listed, keys, objects, boxed(late), boxed(members), boxed(invalid)];
        parts.into_iter().flatten().chain(tables)
    }
}

fn pieces<E: Counted + Send + Sync + 'static>(slab: Slab<E>) -> Option<Box<dyn Remains>> {
    let pieces = Some(slab.into_pieces()).filter(|pieces| !pieces.is_empty());
    pieces.map(|pieces| Box::new(pieces) as Box<dyn Remains>)
}

fn boxed<E: Element + Send + Sync + 'static>(trie: Trie<E>) -> Option<Box<dyn Remains>> {
    let pieces = Some(trie.into_pieces()).filter(|pieces| !pieces.is_empty());
    pieces.map(|pieces| Box::new(pieces) as Box<dyn Remains>)
}

impl<T> Default for World<T> {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            objects: Slab::new(),
            keys: Slab::new(),
            replaced: Vec::new(),
            listed: Arrivals::new(),
            late: Trie::new(),
            members: Trie::new(),
            invalid: Trie::new(),
        }
    }
}

impl<T> From<View<T>> for World<T> {
    fn from(view: View<T>) -> Self {
        let View { tables, objects, keys, invalid, .. } = view;
        let objects = objects.into_slab();
        Self { tables: tables.into(), objects, keys, invalid, ..Self::default() }
    }
}

// === impl Pinned ===

impl Pinned {
    /// The number of old versions that readers hold, not counting `current`: O(1).
    pub(crate) fn versions(&self, current: u64) -> usize {
        let found = self.lock();
        found.revisions - usize::from(found.revisions > 0 && found.newest == current)
    }

    /// In order, each once.
    fn found(&self, revisions: &[u64]) {
        *self.lock() =
            Found { revisions: revisions.len(), newest: revisions.last().copied().unwrap_or_default() };
    }

    /// Sweeps and statistics take this lock; the writer does not.
    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
