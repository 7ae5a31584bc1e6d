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
mod arrivals;
mod change;
mod commit;
mod draft;
mod end;
mod graves;
mod indexers;
mod intake;
mod late;
mod life;
mod list;
mod members;
mod namespaces;
mod parts;
mod positions;
mod prepared;
mod publish;
mod reach;
mod replaced;
mod retired;
mod shared;
mod sync;
#[cfg(test)]
mod tests;
mod wakers;

use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use tokio::sync::Notify;

pub(crate) use self::add_index::AddIndex;
use self::change::Change;
use self::draft::Beside;
pub(crate) use self::draft::Draft;
pub use self::end::End;
use self::graves::Graves;
use self::indexers::Indexers;
pub(crate) use self::intake::{Intake, Store, Take};
pub(crate) use self::list::List;
use self::namespaces::Namespaces;
pub(crate) use self::parts::PartId;
use self::parts::{Part, Parts};
pub(crate) use self::positions::Position;
pub(crate) use self::prepared::Prepared;
use self::publish::Publisher;
pub(crate) use self::publish::Wake;
pub(crate) use self::retired::Retired;
use self::retired::World;
pub(crate) use self::shared::Shared;
use crate::index::Indexer;
use crate::reflector::Reuse;
use crate::snapshot::View;
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
    /// Stored beside the published version.
    beside: Beside,
    parts: Parts,
    namespaces: Namespaces,
    graves: Graves,
    /// A change of the scope that is not complete.
    change: Option<Change<T>>,
    /// Notified when the scope has changed, and when a new epoch begins.
    changes: Arc<Notify>,
}

impl<T: Send + Sync + 'static> Writer<T> {
    pub(crate) fn new(store: u64, indexers: Vec<Box<dyn Indexer<T>>>) -> Self {
        let indexers = Indexers::new(indexers);
        let first = View::empty(store, indexers.empty_tables());
        Self {
            _last: None,
            publisher: Publisher::new(first),
            retired: Arc::new(Retired::new()),
            indexers,
            store,
            beside: Beside::default(),
            parts: Parts::of([Part::new(0, None)]),
            namespaces: Namespaces::default(),
            graves: Graves::default(),
            change: None,
            changes: Arc::default(),
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

    /// Notified when the scope has changed, and when a new epoch begins.
    pub(crate) fn changes(&self) -> &Arc<Notify> {
        &self.changes
    }

    /// Begins the next version. First frees an earlier one: by now, its readers have had time to leave it.
    fn draft(&self, reuse: Reuse) -> Draft<T> {
        let newest = self.shared().load();
        self.retired.free_left(newest.churn);
        let mut draft = Draft::of(&newest, self.beside.clone(), reuse, self.retired.clone());
        if self.namespaces.is_needed() {
            (draft.added, draft.removed) = (Some(Vec::new()), Some(Vec::new()));
        }
        draft
    }

    /// Publishes these objects as a complete list. If two have the same key, the later one wins.
    #[cfg(feature = "testing")]
    pub(crate) fn fill(&mut self, objects: impl Iterator<Item = (crate::source::Meta, T)>) {
        let mut draft = self.draft(Reuse::Unchanged);
        let mut version = ResourceVersion::from_number(0);
        for (meta, value) in objects {
            draft.insert(&self.indexers, &meta, value);
            version = meta.resource_version;
        }
        (draft.changed, draft.synced) = (true, true);
        self.publish(draft, 0, Some(version));
    }

    /// Publishes a draft of a part, which is complete up to `version`.
    fn publish(&mut self, draft: Draft<T>, part: PartId, version: Option<ResourceVersion>) {
        let before = self.shared().load().nameless;
        let advanced = self.parts.change(part, |part| {
            part.nameless = (part.nameless + draft.nameless).saturating_sub(before);
            let advanced = part.version != version;
            part.version = version;
            advanced
        });
        if let Some(advanced) = advanced {
            self.settle(draft, advanced);
        }
    }

    /// Publishes a draft, unless it is equal to the published version and no part has `advanced`.
    fn settle(&mut self, mut draft: Draft<T>, advanced: bool) {
        let reached = self.parts.reached(draft.epoch);
        let is_same = !draft.changed && draft.members.ptr_eq(&self.beside.members);
        if is_same && !advanced && reached == draft.resource_version {
            return draft.drop_unchanged();
        }
        draft.resource_version = reached;
        self.namespaces.follow(&mut draft);
        self.dig_graves(&mut draft);
        self.show(draft);
    }

    fn show(&mut self, draft: Draft<T>) {
        let prepared = self.prepare(draft);
        self.reveal(prepared);
    }

    fn discard(&self, Beside { late, members }: Beside) {
        if !late.is_empty() || !members.is_empty() {
            self.retired.discard(World { late, members, ..World::default() });
        }
    }

    #[cfg(test)]
    pub(crate) fn validate(&self) {
        let draft = self.draft(Reuse::Unchanged);
        draft.validate(&self.indexers);
        let is_known = |name: Arc<str>| name.is_empty() || self.namespaces.knows(&name);
        assert!(self.parts.namespaces().all(is_known), "a namespace is not known");
        self.namespaces.validate(&draft.objects);
    }
}

/// Memory that no reader uses is freed in parts, however the writer ends.
impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        let Beside { late, members } = std::mem::take(&mut self.beside);
        self.retired.discard(World { late, members, ..World::default() });
    }
}
