//! The way of a part's reflector into the store: decodes and projects new objects, and passes them to the writer.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex as Lock, PoisonError, Weak};

use tokio::sync::{Mutex, MutexGuard};

use super::add_index::AddIndex;
use super::draft::Draft;
use super::parts::{PartId, Share};
use super::{List, Retired, Shared, Writer};
use crate::error::DecodeError;
use crate::key::ObjectKey;
use crate::reflector::{Regression, Reuse, Sink, Turn};
use crate::source::{Item, Listed, Meta, WatchEvent};
use crate::version::ResourceVersion;

/// Decodes and projects an object: returns its value, `None` if the projection excludes it, or an error.
pub(crate) type Take<P, T> = Box<dyn FnMut(&Meta, P) -> Result<Option<T>, DecodeError> + Send>;

/// A [`Sink`] of one part over a [`Writer`].
pub(crate) struct Intake<P, T> {
    pub(super) store: Arc<Store<P, T>>,
    part: PartId,
    /// The version of the last list or event of this part; before, one that its first list must have reached.
    held: Option<ResourceVersion>,
    /// The number of objects in its last list.
    listed: usize,
    /// The epoch of its last list. `None` if it reuses nothing of other parts, as one was not listed in the present epoch.
    epoch: Option<u64>,
}

/// What the parts of a scope share.
pub(crate) struct Store<P, T> {
    /// An asynchronous lock, as the holder lets other tasks run in between. All parts run in the task of the informer.
    writer: Mutex<Writer<T>>,
    /// Never locked over an await. It does not know the store, so a panic of it leaves the store consistent.
    take: Lock<Take<P, T>>,
    shared: Arc<Shared<T>>,
    retired: Arc<Retired<T>>,
    /// Cloned into each list that is being collected.
    open: Weak<()>,
}

/// The outcome for a received object.
enum Taken<T> {
    Value(T),
    LeftOut,
    Invalid(DecodeError),
}

// === impl Store ===

impl<P, T: Send + Sync + 'static> Store<P, T> {
    pub(crate) fn new(writer: Writer<T>, take: Take<P, T>) -> Arc<Self> {
        Arc::new(Self {
            shared: writer.shared().clone(),
            retired: writer.retired().clone(),
            open: Arc::downgrade(&writer.graves.open),
            writer: Mutex::new(writer),
            take: Lock::new(take),
        })
    }

    pub(crate) async fn writer(&self) -> MutexGuard<'_, Writer<T>> {
        self.writer.lock().await
    }

    /// Decodes and projects an object.
    fn take(&self, meta: &Meta, payload: P) -> Taken<T> {
        let mut take = self.take.lock().unwrap_or_else(PoisonError::into_inner);
        match catch_unwind(AssertUnwindSafe(|| take(meta, payload))) {
            Ok(Ok(Some(value))) => Taken::Value(value),
            Ok(Ok(None)) => Taken::LeftOut,
            Ok(Err(error)) => Taken::Invalid(error),
            Err(_) => Taken::Invalid(DecodeError::of(meta, "its projection panicked")),
        }
    }

    /// Takes an object of a watch into a draft.
    ///
    /// # Errors
    ///
    /// If the part is so far behind that the object may have left the store meanwhile.
    fn upsert_into(
        &self,
        writer: &Writer<T>,
        draft: &mut Draft<T>,
        part: PartId,
        item: Listed<P>,
    ) -> Result<(), Regression> {
        let namespace = match &item {
            Ok(Item { meta, .. }) => Some(meta.key.namespace()),
            Err(error) => error.key.as_ref().map(ObjectKey::namespace),
        };
        // An error without a key is of this part alone.
        match namespace.map_or(Share::Alone, |namespace| writer.parts.share(part, namespace)) {
            Share::Foreign => Ok(()),
            Share::Alone => {
                self.change_into(writer, draft, part, false, item);
                Ok(())
            }
            Share::Shared => self.upsert_shared_into(writer, draft, part, item),
        }
    }

    /// [`upsert_into`](Self::upsert_into) for an object that other parts may have, too.
    fn upsert_shared_into(
        &self,
        writer: &Writer<T>,
        draft: &mut Draft<T>,
        part: PartId,
        item: Listed<P>,
    ) -> Result<(), Regression> {
        let (key, uid, version) = match &item {
            Ok(Item { meta, .. }) => (meta.key.clone(), meta.uid.clone(), Some(&meta.resource_version)),
            Err(error) => {
                let Some(key) = error.key.clone() else { return Ok(()) };
                (key, error.uid().unwrap_or_default().into(), error.resource_version())
            }
        };
        let key = key.as_key();
        if draft.life(key).is_none() {
            writer.check_age(version)?;
        }
        if version.is_some_and(|version| draft.has_left(key, version)) {
            return Ok(());
        }
        let was_same = draft.is_life(key, &uid);
        let has_it = self.change_into(writer, draft, part, true, item);
        if has_it && draft.is_life(key, &uid) {
            draft.join(key, part, !was_same);
        }
        Ok(())
    }

    /// Returns whether the part has the object now: not if the projection excludes it.
    fn change_into(
        &self,
        writer: &Writer<T>,
        draft: &mut Draft<T>,
        part: PartId,
        shared: bool,
        item: Listed<P>,
    ) -> bool {
        let indexers = &writer.indexers;
        let Item { meta, payload } = match item {
            Ok(item) => item,
            Err(error) => {
                draft.mark_invalid(indexers, error);
                return true;
            }
        };
        let is_comparable = !shared || draft.is_trusted(meta.key.as_key(), &writer.parts);
        if is_comparable && draft.holds(&meta) {
            return true;
        }
        match self.take(&meta, payload) {
            Taken::Value(value) => draft.insert(indexers, &meta, value),
            Taken::LeftOut if shared => {
                draft.leave(indexers, meta.key.as_key(), part, Some(&meta.resource_version));
                return false;
            }
            Taken::LeftOut => {
                draft.remove(indexers, meta.key.as_key());
                return false;
            }
            Taken::Invalid(error) => draft.mark_invalid(indexers, error),
        }
        true
    }

    /// Removes a deleted object. An invalid delete event may still have the key of the object.
    fn delete_from(
        &self,
        writer: &Writer<T>,
        draft: &mut Draft<T>,
        part: PartId,
        deleted: Result<Meta, DecodeError>,
    ) {
        let (key, uid, version) = match &deleted {
            Ok(meta) => (meta.key.as_key(), Some(&*meta.uid), Some(&meta.resource_version)),
            Err(error) => match error.key() {
                Some(key) => (key.as_key(), error.uid(), error.resource_version()),
                None => return draft.mark_invalid(&writer.indexers, error.clone()),
            },
        };
        match writer.parts.share(part, key.namespace) {
            Share::Foreign => {}
            Share::Alone => draft.remove_life(&writer.indexers, key, uid, version),
            Share::Shared if draft.is_ended_by(key, uid, version) => {
                let until = version.filter(|_| writer.parts.is_of(part, draft.epoch));
                draft.leave(&writer.indexers, key, part, until);
            }
            Share::Shared => {}
        }
    }

    fn change(
        &self,
        writer: &Writer<T>,
        draft: &mut Draft<T>,
        part: PartId,
        event: WatchEvent<P>,
    ) -> Result<(), Regression> {
        match event {
            WatchEvent::Applied(item) => self.upsert_into(writer, draft, part, item)?,
            WatchEvent::Deleted(deleted) => self.delete_from(writer, draft, part, deleted),
            WatchEvent::Bookmark { .. } => {}
        }
        Ok(())
    }
}

// === impl Intake ===

impl<P, T: Send + Sync + 'static> Intake<P, T> {
    /// The only part of a store.
    pub(crate) fn new(writer: Writer<T>, take: Take<P, T>) -> Self {
        Self::of(&Store::new(writer, take), 0)
    }

    pub(crate) fn of(store: &Arc<Store<P, T>>, part: PartId) -> Self {
        let epoch = Some(store.shared.load().epoch);
        Self { store: store.clone(), part, held: None, listed: 0, epoch }
    }

    /// Parts that start while others run. Their first lists are not older than what these have reached, unless the server
    /// was restored. O(parts).
    pub(crate) fn beside(
        store: &Arc<Store<P, T>>,
        parts: impl IntoIterator<Item = PartId>,
        writer: &Writer<T>,
    ) -> Vec<Self> {
        let (held, is_current) = (writer.most_reached(), writer.outdated().next().is_none());
        let beside = |part| {
            let intake = Self::of(store, part);
            let epoch = intake.epoch.filter(|_| is_current);
            Self { held: held.clone(), epoch, ..intake }
        };
        parts.into_iter().map(beside).collect()
    }

    /// Waits for the writer; without end if the part was removed.
    async fn writer<'a>(store: &'a Store<P, T>, part: PartId) -> MutexGuard<'a, Writer<T>> {
        let writer = store.writer().await;
        if writer.is_present(part) || writer.is_starting(part) {
            return writer;
        }
        drop(writer);
        pending().await
    }

    /// Advances `held` to the version of an event, or fails if that version is older.
    fn advance(
        held: &mut Option<ResourceVersion>,
        version: Option<&ResourceVersion>,
    ) -> Result<(), Regression> {
        // A version computed from an object's content has no place in the order of the stream.
        let Some(version) = version.filter(|version| !version.is_empty() && !version.is_of_content()) else {
            return Ok(());
        };
        match held {
            Some(held) if version < held => Err(Regression { held: held.clone(), received: version.clone() }),
            _ => {
                *held = Some(version.clone());
                Ok(())
            }
        }
    }

    #[cfg(test)]
    pub(super) fn lock(&self) -> MutexGuard<'_, Writer<T>> {
        self.store.writer.try_lock().expect("nothing else uses it")
    }
}

impl<P: Send + 'static, T: Send + Sync + 'static> Sink<P> for Intake<P, T> {
    type AddIndex = AddIndex<T>;
    type List = List<T>;

    fn held(&self) -> Option<ResourceVersion> {
        self.held.clone()
    }

    fn begin_list(&mut self, reuse: Reuse) -> List<T> {
        let Store { shared, retired, open, .. } = &*self.store;
        let base = shared.newest();
        // Another part has found a restored server, so the versions of cached objects say nothing.
        let outdated = reuse == Reuse::Unchanged && self.epoch != Some(base.epoch);
        let reuse = if outdated { Reuse::Nothing } else { reuse };
        List::new(base, reuse, self.listed, open.upgrade(), retired.clone())
    }

    fn upsert(&mut self, list: &mut List<T>, item: Listed<P>) {
        let Item { meta, payload } = match item {
            Ok(item) => item,
            Err(error) => return list.mark_invalid(error),
        };
        if list.holds(&meta) {
            return;
        }
        match self.store.take(&meta, payload) {
            Taken::Value(value) => list.insert(&meta, value),
            Taken::LeftOut => list.leave_out(meta.key.as_key()),
            Taken::Invalid(error) => list.mark_invalid(error),
        }
    }

    fn delete(&mut self, list: &mut List<T>, deleted: Result<Meta, DecodeError>) {
        match deleted {
            Ok(meta) => list.delete(meta.key.as_key(), Some(&meta.uid), Some(&meta.resource_version)),
            Err(error) => match error.key() {
                Some(key) => list.delete(key.as_key(), error.uid(), error.resource_version()),
                None => list.mark_invalid(error),
            },
        }
    }

    fn begin_epoch(&mut self, list: &mut List<T>) {
        list.begin_epoch();
    }

    async fn commit(&mut self, list: List<T>, version: Option<ResourceVersion>) -> Result<(), Regression> {
        let listed = list.len();
        let renews = matches!(list.reuse, Reuse::Nothing | Reuse::NewEpoch);
        let mut writer = Self::writer(&self.store, self.part).await;
        if writer.is_starting(self.part) {
            let answered = writer.park(list, self.part, version.clone());
            writer.complete_change().await;
            drop(writer);
            match answered.await {
                Ok(answer) => answer?,
                // Another change has replaced the one that this part belongs to.
                Err(_) => pending().await,
            }
        } else {
            writer.commit(list, self.part, version.clone()).await?;
        }
        if renews {
            self.epoch = Some(self.store.shared.load().epoch);
        }
        (self.held, self.listed) = (version, listed);
        Ok(())
    }

    async fn commit_absence(&mut self) {
        let nothing = self.begin_list(Reuse::Unchanged);
        // A list without a version is not too old.
        let _ = self.commit(nothing, None).await;
    }

    async fn add_index(&mut self, index: AddIndex<T>) {
        self.store.writer().await.answer_index(index).await;
    }

    async fn apply(&mut self, events: &mut Vec<WatchEvent<P>>) -> Result<(), Regression> {
        let mut writer = Self::writer(&self.store, self.part).await;
        let mut draft = writer.draft(Reuse::Unchanged);
        let mut reached = self.held.clone();
        let mut outcome = Ok(());
        let mut turn = Turn::new();
        for event in events.drain(..) {
            let mut next = reached.clone();
            outcome = Self::advance(&mut next, version_of(&event))
                .and_then(|()| self.store.change(&writer, &mut draft, self.part, event));
            if outcome.is_err() {
                break;
            }
            reached = next;
            turn.pass().await;
        }
        writer.publish(draft, self.part, reached.clone());
        self.held = reached;
        outcome
    }

    async fn apply_unordered(&mut self, events: &mut Vec<WatchEvent<P>>) {
        let mut writer = Self::writer(&self.store, self.part).await;
        let mut draft = writer.draft(Reuse::Same);
        let mut turn = Turn::new();
        for event in events.drain(..) {
            // A version without an order is not too old.
            let _ = self.store.change(&writer, &mut draft, self.part, event);
            turn.pass().await;
        }
        writer.publish(draft, self.part, None);
        self.held = None;
    }
}

fn version_of<P>(event: &WatchEvent<P>) -> Option<&ResourceVersion> {
    match event {
        WatchEvent::Applied(Ok(Item { meta, .. })) | WatchEvent::Deleted(Ok(meta)) => {
            Some(&meta.resource_version)
        }
        WatchEvent::Applied(Err(error)) | WatchEvent::Deleted(Err(error)) => error.resource_version(),
        WatchEvent::Bookmark { resource_version, .. } => Some(resource_version),
    }
}
