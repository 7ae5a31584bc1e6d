//! The single writer: takes in what the reflector hands on, changes objects and indexes together, and
//! publishes each batch at once.
//!
//! ```text
//!  reflector --items--> Intake --values--> Writer { working: objects + indexes + invalid } --publish--> View
//!                      (decode, project)      |                                          (cell, wake-ups)
//!                                             '--what is replaced--> Retired (freed off the readers' threads)
//! ```
//!
//! To take in an object: (1) is this version held already? then nothing happens; (2) decode and project it;
//! (3) compute its index keys; (4) only then change the objects and each index that has or had it. Steps 2
//! and 3 run code of the application and change nothing, so a panic there harms only the object.
//!
//! The working version shares everything with the published one until it is changed, and the path to each
//! change is copied once per batch. A list collects in the working version, unseen by readers, until it is
//! complete; one that breaks off is forgotten by going back to the published version.

mod add_index;
mod end;
mod intake;
mod late;
mod life;
mod positions;
mod publish;
mod retired;
mod shared;
mod sync;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use foldhash::fast::RandomState;

pub(crate) use self::add_index::AddIndex;
pub use self::end::End;
pub(crate) use self::intake::Intake;
use self::late::Late;
use self::life::Life;
pub(crate) use self::positions::Position;
use self::publish::Publisher;
pub(crate) use self::publish::Wake;
pub(crate) use self::retired::Retired;
use self::retired::World;
pub(crate) use self::shared::Shared;
use crate::error::DecodeError;
use crate::free::free;
use crate::hash::KeyHasher;
use crate::index::{AnyTable, IndexKeys, Indexer, SlotKey};
use crate::key::{AsKey, Key};
use crate::object::{Identity, Obj};
use crate::reflector::{Reuse, Turn};
use crate::snapshot::{Invalid, View};
use crate::source::Meta;
use crate::trie::{Element, Trie};
use crate::version::ResourceVersion;

/// Tells the indexes of one informer from those of another.
pub(crate) fn next_store() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, atomic::Ordering::Relaxed)
}

/// The only one who changes a store.
pub(crate) struct Writer<T> {
    /// Dropped before anything else is: before readers learn that nothing comes any more.
    _last: Option<Box<dyn Send>>,
    publisher: Publisher<View<T>>,
    retired: Arc<Retired<T>>,
    indexers: Vec<Box<dyn Indexer<T>>>,
    store: u64,
    hasher: KeyHasher,
    working: Working<T>,
    /// As it was when last published.
    late: Trie<Late>,
    /// Objects replaced since the last publication.
    replaced: Vec<Obj<T>>,
    /// While a list is collected: where the held objects lie that it has named. `None` when none were held before,
    /// so that there is nothing to miss.
    listed: Option<HashSet<usize, RandomState>>,
    /// While a list is collected: what was invalid before; what still is moves back to the working version.
    known_invalid: Option<Trie<Invalid>>,
    /// What is being taken in makes this of the versions held.
    held: Reuse,
}

/// The version being made.
struct Working<T> {
    revision: u64,
    epoch: u64,
    resource_version: Option<ResourceVersion>,
    synced: bool,
    objects: Trie<Obj<T>>,
    tables: Vec<AnyTable>,
    /// Index keys of objects that were there before the index.
    late: Trie<Late>,
    invalid: Trie<Invalid>,
    nameless: usize,
    /// Content differs from what is published.
    changed: bool,
}

impl<T: Send + Sync + 'static> Writer<T> {
    pub(crate) fn new(store: u64, indexers: Vec<Box<dyn Indexer<T>>>) -> Self {
        let hasher = KeyHasher::new();
        let tables: Vec<_> = indexers.iter().map(|indexer| indexer.empty()).collect();
        let first = View {
            store,
            revision: 0,
            epoch: 0,
            synced: false,
            resource_version: None,
            hasher: hasher.clone(),
            objects: Trie::new(),
            tables: tables.clone().into(),
            invalid: Trie::new(),
            nameless: 0,
        };
        Self {
            _last: None,
            working: Working::of(&first, Trie::new()),
            late: Trie::new(),
            publisher: Publisher::new(first),
            retired: Arc::new(Retired::new()),
            indexers,
            store,
            hasher,
            replaced: Vec::new(),
            listed: None,
            known_invalid: None,
            held: Reuse::Unchanged,
        }
    }

    /// Drops `last` at the end, before readers learn of it.
    pub(crate) fn at_the_end(&mut self, last: impl Send + 'static) {
        self._last = Some(Box::new(last));
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        self.publisher.shared()
    }

    pub(crate) fn retired(&self) -> &Arc<Retired<T>> {
        &self.retired
    }

    pub(crate) fn resource_version(&self) -> Option<&ResourceVersion> {
        self.working.resource_version.as_ref()
    }

    /// Whether this version of the object, or a newer one, was taken in already, well or badly. While listing,
    /// notes that the object is still there.
    pub(crate) fn holds(&mut self, meta: &Meta) -> bool {
        let key = meta.key.as_key();
        let hash = self.hasher.object(key);
        let stored = self.working.objects.get(hash, |object| Obj::is(object, key));
        if let (Some(stored), Some(listed)) = (stored, &mut self.listed) {
            listed.insert(Obj::address(stored));
        }
        if matches!(self.held, Reuse::Nothing | Reuse::NewEpoch) || meta.resource_version.is_empty() {
            return false;
        }
        let is_invalid = |invalid: &Invalid| invalid.error().key.as_ref() == Some(&meta.key);
        let known = self.known_invalid.as_ref().and_then(|known| known.get(hash, is_invalid));
        match known.or_else(|| self.working.invalid.get(hash, is_invalid)).cloned() {
            Some(invalid) => {
                let (held, offered) = (Life::of_invalid(&invalid), Life::of(meta));
                let holds = self.reaches(held.cmp_version(&offered), || held.is_same_as(&offered));
                if holds {
                    self.working.invalid.insert(invalid);
                }
                holds
            }
            None => stored.is_some_and(|stored| {
                let order = Obj::cmp_version(stored, &meta.resource_version);
                self.reaches(order, || Obj::has_uid(stored, &meta.uid))
            }),
        }
    }

    /// Whether what is held makes what is offered superfluous: it is the same version, or a newer one where versions
    /// say which is.
    fn reaches(&self, order: Option<Ordering>, is_same: impl FnOnce() -> bool) -> bool {
        match order {
            Some(Ordering::Equal) => is_same(),
            // Of another life too: that one is over.
            Some(Ordering::Greater) => self.held == Reuse::Unchanged,
            _ => false,
        }
    }

    /// Takes in a value; a panic in an index leaves the object as it was, and says so.
    pub(crate) fn insert(&mut self, meta: &Meta, value: T) {
        let key = meta.key.as_key();
        let hash = self.hasher.object(key);
        let keys = match self.index_keys(key, &value) {
            Ok(keys) => keys,
            Err(mismatch) => {
                free(value);
                return self.mark_invalid(DecodeError::of(meta, mismatch));
            }
        };
        let identity = Identity { hash, key, uid: &meta.uid, version: &meta.resource_version };
        let Ok(new) = Obj::new(&identity, keys, value) else {
            return self.mark_invalid(DecodeError::of(
                meta,
                "its metadata is longer than the Kubernetes API allows",
            ));
        };
        self.working.invalid.remove(hash, |invalid| invalid.error().key.as_ref() == Some(&meta.key));
        let old = self.working.objects.insert(new.clone());
        self.reindex(old.as_ref(), Some(&new));
        self.replaced.extend(old);
        self.working.changed = true;
    }

    /// Takes out everything, and forgets the version it was of: the kind is not served.
    pub(crate) async fn clear(&mut self) {
        self.begin_list(Reuse::Unchanged);
        self.remove_unlisted().await;
        self.finish_list();
    }

    /// Takes out an object, and what is known to be invalid about it.
    pub(crate) fn remove(&mut self, key: Key<'_>) {
        self.remove_invalid(key, |_| true);
        self.remove_object(key, |_| true);
    }

    /// An object is deleted at the server: takes out what is held of it, unless that is known to be of a later life
    /// of its name.
    pub(crate) fn remove_life(&mut self, key: Key<'_>, uid: Option<&str>, version: Option<&ResourceVersion>) {
        let deleted = Life { uid: uid.unwrap_or_default().into(), version: version.cloned() };
        let ends = |held: Life<'_>| {
            held.is_same_as(&deleted)
                || matches!(held.cmp_version(&deleted), Some(Ordering::Less | Ordering::Equal))
        };
        self.remove_invalid(key, |invalid| ends(Life::of_invalid(invalid)));
        self.remove_object(key, |object| ends(Life::of_object(object)));
    }

    fn remove_invalid(&mut self, key: Key<'_>, is_meant: impl Fn(&Invalid) -> bool) {
        let is_invalid =
            |invalid: &Invalid| invalid.error().key.as_ref().is_some_and(|invalid| invalid.as_key() == key);
        let hash = self.hasher.object(key);
        self.working.changed |=
            self.working.invalid.remove(hash, |invalid| is_invalid(invalid) && is_meant(invalid)).is_some();
    }

    fn remove_object(&mut self, key: Key<'_>, is_meant: impl Fn(&Obj<T>) -> bool) {
        let hash = self.hasher.object(key);
        let Some(old) = self.working.objects.remove(hash, |object| Obj::is(object, key) && is_meant(object))
        else {
            return;
        };
        self.reindex(Some(&old), None);
        self.replaced.push(old);
        self.working.changed = true;
    }

    /// Notes that the newest version of an object could not be taken in. What is held of it stays, unless that is of
    /// an earlier life of its name, which is over.
    pub(crate) fn mark_invalid(&mut self, error: DecodeError) {
        let Some(key) = error.key.clone() else {
            self.working.nameless += 1;
            self.working.changed = true;
            return;
        };
        let key = key.as_key();
        let hash = self.hasher.object(key);
        let stored = self.working.objects.get(hash, |object| Obj::is(object, key));
        if let (Some(stored), Some(listed)) = (stored, &mut self.listed) {
            // It is still there.
            listed.insert(Obj::address(stored));
        }
        let invalid = Invalid::new(hash, error);
        let new = Life::of_invalid(&invalid);
        let is_older = |held: Life<'_>| {
            self.held == Reuse::Unchanged && held.cmp_version(&new) == Some(Ordering::Greater)
        };
        let known = self.working.invalid.get(hash, |known| known.same_key(&invalid));
        if stored.is_some_and(|stored| is_older(Life::of_object(stored)))
            || known.is_some_and(|known| is_older(Life::of_invalid(known)))
        {
            return;
        }
        let is_over = stored.is_some_and(|stored| !Life::of_object(stored).is_same_as(&new));
        if is_over {
            self.remove_object(key, |_| true);
        }
        self.working.invalid.insert(invalid);
        self.working.changed = true;
    }

    /// What is taken in from now on makes this of the versions held: said by those whose events tell no order.
    pub(crate) fn hold(&mut self, held: Reuse) {
        self.held = held;
    }

    /// The list that is collected is of a new epoch.
    pub(crate) fn begin_epoch(&mut self) {
        self.held = Reuse::NewEpoch;
    }

    /// Starts to collect a list.
    pub(crate) fn begin_list(&mut self, held: Reuse) {
        self.abort_list();
        self.held = held;
        self.working.nameless = 0;
        self.known_invalid = Some(std::mem::take(&mut self.working.invalid));
        let objects = self.working.objects.len();
        self.listed =
            (objects > 0).then(|| HashSet::with_capacity_and_hasher(objects, RandomState::default()));
    }

    /// Forgets an unfinished list: the working version is the published one again. O(1) but for what is freed later.
    pub(crate) fn abort_list(&mut self) {
        let published = self.shared().newest();
        let working = Working::of(&published, self.late.clone());
        self.discard(working);
        self.listed = None;
        self.known_invalid = None;
        self.held = Reuse::Unchanged;
    }

    /// Puts another working version in the place of this one, which no reader has seen.
    fn discard(&mut self, working: Working<T>) {
        let Working { objects, tables, late, invalid, .. } = std::mem::replace(&mut self.working, working);
        let replaced = std::mem::take(&mut self.replaced);
        self.retired.discard(World { tables, objects, replaced, late, invalid });
    }

    /// Takes out what the list did not name, before [`finish_list`](Self::finish_list). Cancelled, the list is good
    /// for [`abort_list`](Self::abort_list) only.
    pub(crate) async fn remove_unlisted(&mut self) {
        let Some(listed) = self.listed.take() else { return };
        let held = self.shared().newest();
        let mut turn = Turn::new();
        for object in held.iter() {
            if !listed.contains(&Obj::address(object)) {
                // Unless the list has named it in another version.
                self.remove_object(Obj::key(object), |now| Obj::ptr_eq(now, object));
            }
            turn.pass().await;
        }
    }

    /// The list is complete.
    pub(crate) fn finish_list(&mut self) {
        if let Some(known) = self.known_invalid.take() {
            self.working.changed |= Trie::diff(&known, &self.working.invalid).next().is_some();
        }
        let held = std::mem::replace(&mut self.held, Reuse::Unchanged);
        self.working.epoch += u64::from(held == Reuse::NewEpoch);
        self.working.changed |= !self.working.synced;
        self.working.synced = true;
    }

    /// Shows the working version to readers, complete up to `version`.
    pub(crate) fn publish(&mut self, version: Option<ResourceVersion>) {
        if !self.working.changed && version == self.working.resource_version {
            return;
        }
        self.working.resource_version = version;
        self.publish_anew();
    }

    fn publish_anew(&mut self) {
        let changed = std::mem::take(&mut self.working.changed);
        let late = std::mem::replace(&mut self.late, self.working.late.clone());
        if !late.is_empty() {
            self.retired.discard(World { late, ..World::default() });
        }
        self.working.revision += u64::from(changed);
        let Working { revision, epoch, resource_version, synced, objects, tables, invalid, nameless, .. } =
            &self.working;
        let view = View {
            store: self.store,
            revision: *revision,
            epoch: *epoch,
            synced: *synced,
            resource_version: resource_version.clone(),
            hasher: self.hasher.clone(),
            objects: objects.clone(),
            tables: tables.as_slice().into(),
            invalid: invalid.clone(),
            nameless: *nameless,
        };
        let old = self.publisher.publish(view, changed);
        // The first view is empty and stays with the store.
        if old.synced {
            self.retired.push(old, &mut self.replaced);
        }
    }

    /// Runs the application's index closures, and `Hash` and `Eq` of their keys.
    fn index_keys(&self, key: Key<'_>, value: &T) -> Result<IndexKeys, &'static str> {
        let mut keys: Vec<SlotKey> = Vec::new();
        for (slot, (indexer, table)) in (0u32..).zip(self.indexers.iter().zip(&self.working.tables)) {
            let found =
                catch_unwind(AssertUnwindSafe(|| indexer.keys(slot, table, &self.hasher, key, value)));
            match found {
                Ok(found) => keys.extend(found),
                Err(_) => {
                    keys.into_iter().for_each(free);
                    return Err("an index of it panicked");
                }
            }
        }
        Ok(keys.into())
    }

    /// Brings every index up to date with one object. Calls nobody's code: keys are told apart by where they
    /// lie.
    fn reindex(&mut self, old: Option<&Obj<T>>, new: Option<&Obj<T>>) {
        let new_keys = new.map(Obj::index_keys);
        if let Some(old) = old {
            let late = self.working.late.remove(old.hash(), |late| late.is_of(old));
            let keys = late.as_ref().map_or(&[][..], Late::keys);
            for key in Obj::index_keys(old).as_slice().iter().chain(keys) {
                if !new_keys.is_some_and(|keys| keys.contains(key)) {
                    let slot = key.slot as usize;
                    self.indexers[slot].remove(&mut self.working.tables[slot], &key.key, old);
                }
            }
            // The last to have its keys, it runs their destructors.
            free(late);
        }
        for key in new_keys.iter().flat_map(|keys| keys.as_slice()) {
            let slot = key.slot as usize;
            if let Some(new) = new {
                self.indexers[slot].insert(&mut self.working.tables[slot], &key.key, new);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn validate(&self) {
        self.working.objects.validate();
        self.working.invalid.validate();
        for (slot, (indexer, table)) in (0u32..).zip(self.indexers.iter().zip(&self.working.tables)) {
            let keys = |object: &Obj<T>| {
                [Obj::index_keys(object).as_slice(), late::late_keys(&self.working.late, object)].concat()
            };
            indexer.validate(table, slot, &self.working.objects, &keys);
        }
        self.working.late.validate();
        for late in self.working.late.iter() {
            let object = self.working.objects.get(late.hash(), |object| late.is_of(object));
            assert!(object.is_some(), "index keys of an object that is gone");
        }
    }
}

/// However it ends, what no reader has is not freed all at once.
impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        let world = World {
            tables: std::mem::take(&mut self.working.tables),
            objects: std::mem::take(&mut self.working.objects),
            replaced: std::mem::take(&mut self.replaced),
            late: std::mem::take(&mut self.working.late),
            invalid: std::mem::take(&mut self.working.invalid),
        };
        self.retired.discard(world);
        let (late, invalid) = (std::mem::take(&mut self.late), self.known_invalid.take().unwrap_or_default());
        self.retired.discard(World { late, invalid, ..World::default() });
    }
}

impl<T> Working<T> {
    fn of(view: &View<T>, late: Trie<Late>) -> Self {
        Self {
            revision: view.revision,
            epoch: view.epoch,
            resource_version: view.resource_version.clone(),
            synced: view.synced,
            objects: view.objects.clone(),
            tables: view.tables.to_vec(),
            late,
            invalid: view.invalid.clone(),
            nameless: view.nameless,
            changed: false,
        }
    }
}

impl DecodeError {
    pub(crate) fn projection(meta: &Meta, source: Arc<dyn std::error::Error + Send + Sync>) -> Self {
        Self { source: Some(source), ..Self::of(meta, "its projection failed") }
    }

    fn stored<T>(object: &Obj<T>, mismatch: &str) -> Self {
        let uid = Some(Obj::uid(object).into());
        Self { uid, ..Self::new(Some(object.into()), Some(Obj::resource_version(object)), mismatch) }
    }

    pub(crate) fn of(meta: &Meta, mismatch: &str) -> Self {
        let (key, version) = (meta.key.clone(), meta.resource_version.clone());
        Self { uid: Some(meta.uid.clone()), ..Self::new(Some(key), Some(version), mismatch) }
    }
}
