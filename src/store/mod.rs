//! The single writer: receives objects from the reflector, updates objects and indexes together, and
//! publishes each batch at once.
//!
//! ```text
//!  reflector --items--> Intake --values--> Draft { objects + indexes + invalid } --Writer::publish--> View
//!                      (decode, project)      |                                          (cell, wake-ups)
//!                                             '--replaced objects--> Retired (freed off the readers' threads)
//! ```
//!
//! For each received object, the writer: (1) skips it if this version is already stored; (2) decodes and
//! projects it; (3) computes its index keys; (4) only then updates the objects and every index that has or
//! had it. Steps 2 and 3 run application code and change nothing, so a panic there affects only that object.
//!
//! A [`Draft`] shares everything with the published version until it changes, and copies the path to each
//! change once. A batch of events is a draft, and so is a [`List`] while it is collected. Readers see a draft
//! only when it is published; a dropped draft has no effect.

mod add_index;
mod draft;
mod end;
mod indexers;
mod intake;
mod late;
mod life;
mod list;
mod positions;
mod prepared;
mod publish;
mod replaced;
mod retired;
mod shared;
mod sync;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

pub(crate) use self::add_index::AddIndex;
pub(crate) use self::draft::Draft;
pub use self::end::End;
use self::indexers::Indexers;
pub(crate) use self::intake::Intake;
use self::late::Late;
pub(crate) use self::list::List;
pub(crate) use self::positions::Position;
pub(crate) use self::prepared::Prepared;
use self::publish::Publisher;
pub(crate) use self::publish::Wake;
pub(crate) use self::retired::Retired;
use self::retired::World;
pub(crate) use self::shared::Shared;
use crate::hash::KeyHasher;
use crate::index::Indexer;
use crate::reflector::Reuse;
use crate::snapshot::View;
use crate::trie::Trie;
use crate::version::ResourceVersion;

/// A new store number, which distinguishes the indexes of one informer from those of another.
pub(crate) fn next_store() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, atomic::Ordering::Relaxed)
}

/// The only writer of a store.
pub(crate) struct Writer<T> {
    /// The first field to be dropped, before readers see that the store has ended.
    _last: Option<Box<dyn Send>>,
    publisher: Publisher<View<T>>,
    retired: Arc<Retired<T>>,
    indexers: Indexers<T>,
    store: u64,
    /// Index keys stored beside the published version. Readers do not need them.
    late: Trie<Late>,
}

impl<T: Send + Sync + 'static> Writer<T> {
    pub(crate) fn new(store: u64, indexers: Vec<Box<dyn Indexer<T>>>) -> Self {
        let indexers = Indexers::new(indexers);
        let first = View {
            store,
            revision: 0,
            epoch: 0,
            synced: false,
            resource_version: None,
            hasher: KeyHasher::new(),
            objects: Trie::new(),
            tables: indexers.empty_tables().into(),
            invalid: Trie::new(),
            nameless: 0,
        };
        Self {
            _last: None,
            publisher: Publisher::new(first),
            retired: Arc::new(Retired::new()),
            indexers,
            store,
            late: Trie::new(),
        }
    }

    /// Drops `last` when the writer is dropped, before readers see the end.
    pub(crate) fn at_the_end(&mut self, last: impl Send + 'static) {
        self._last = Some(Box::new(last));
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        self.publisher.shared()
    }

    pub(crate) fn retired(&self) -> &Arc<Retired<T>> {
        &self.retired
    }

    /// The resourceVersion of the published state.
    pub(crate) fn resource_version(&self) -> Option<ResourceVersion> {
        self.shared().load().resource_version.clone()
    }

    /// Begins the next version.
    fn draft(&self, reuse: Reuse) -> Draft<T> {
        Draft::of(&self.shared().load(), self.late.clone(), reuse, self.retired.clone())
    }

    /// Stores a listed value as it is. If two values have the same key, the later one wins.
    #[cfg(feature = "testing")]
    pub(crate) fn insert(&self, list: &mut List<T>, meta: &crate::source::Meta, value: T) {
        list.0.insert(&self.indexers, meta, value);
    }

    /// Publishes a draft that is complete up to `version`.
    fn publish(&mut self, mut draft: Draft<T>, version: Option<ResourceVersion>) {
        if !draft.changed && version == draft.resource_version {
            return draft.drop_unchanged();
        }
        draft.resource_version = version;
        self.show(draft);
    }

    fn show(&mut self, draft: Draft<T>) {
        let prepared = self.prepare(draft);
        self.reveal(prepared);
    }

    #[cfg(test)]
    pub(crate) fn validate(&self) {
        self.draft(Reuse::Unchanged).validate(&self.indexers);
    }
}

/// Memory that no reader uses is freed in parts, however the writer ends.
impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        self.retired.discard(World { late: std::mem::take(&mut self.late), ..World::default() });
    }
}
