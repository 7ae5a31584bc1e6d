//! The reflector's way into the store: decodes and projects new objects, and passes them to the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::add_index::AddIndex;
use super::draft::Draft;
use super::{List, Writer};
use crate::error::DecodeError;
use crate::reflector::{Regression, Reuse, Sink, Turn};
use crate::source::{Item, Listed, Meta, WatchEvent};
use crate::version::ResourceVersion;

/// Decodes and projects an object: returns its value, `None` if the projection excludes it, or an error.
pub(crate) type Take<P, T> = Box<dyn FnMut(Item<P>) -> Result<Option<T>, DecodeError> + Send>;

/// A [`Sink`] over a [`Writer`].
pub(crate) struct Intake<P, T> {
    pub(super) writer: Writer<T>,
    take: Take<P, T>,
}

impl<P, T: Send + Sync + 'static> Intake<P, T> {
    pub(crate) fn new(writer: Writer<T>, take: Take<P, T>) -> Self {
        Self { writer, take }
    }

    fn upsert_into(&mut self, draft: &mut Draft<T>, item: Listed<P>) {
        let indexers = &self.writer.indexers;
        let item = match item {
            Ok(item) => item,
            Err(error) => return draft.mark_invalid(indexers, error),
        };
        if draft.holds(&item.meta) {
            return;
        }
        let meta = item.meta.clone();
        // The closure does not change the store, so a panic leaves the store consistent.
        match catch_unwind(AssertUnwindSafe(|| (self.take)(item))) {
            Ok(Ok(Some(value))) => draft.insert(indexers, &meta, value),
            Ok(Ok(None)) => draft.remove(indexers, meta.key.as_key()),
            Ok(Err(error)) => draft.mark_invalid(indexers, error),
            Err(_) => draft.mark_invalid(indexers, DecodeError::of(&meta, "its projection panicked")),
        }
    }

    /// Removes a deleted object. An invalid delete event may still have the key of the object.
    fn delete_from(&mut self, draft: &mut Draft<T>, deleted: Result<Meta, DecodeError>) {
        let indexers = &self.writer.indexers;
        match deleted {
            Ok(meta) => {
                let (key, version) = (meta.key.as_key(), Some(&meta.resource_version));
                draft.remove_life(indexers, key, Some(&meta.uid), version);
            }
            Err(error) => match error.key() {
                Some(key) => draft.remove_life(indexers, key.as_key(), error.uid(), error.resource_version()),
                None => draft.mark_invalid(indexers, error),
            },
        }
    }

    fn change(&mut self, draft: &mut Draft<T>, event: WatchEvent<P>) {
        match event {
            WatchEvent::Applied(item) => self.upsert_into(draft, item),
            WatchEvent::Deleted(deleted) => self.delete_from(draft, deleted),
            WatchEvent::Bookmark { .. } => {}
        }
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
}

impl<P: Send + 'static, T: Send + Sync + 'static> Sink<P> for Intake<P, T> {
    type AddIndex = AddIndex<T>;
    type List = List<T>;

    fn held(&self) -> Option<ResourceVersion> {
        self.writer.resource_version()
    }

    fn begin_list(&mut self, reuse: Reuse) -> List<T> {
        self.writer.begin_list(reuse)
    }

    fn upsert(&mut self, list: &mut List<T>, item: Listed<P>) {
        self.upsert_into(&mut list.0, item);
    }

    fn delete(&mut self, list: &mut List<T>, deleted: Result<Meta, DecodeError>) {
        self.delete_from(&mut list.0, deleted);
    }

    fn begin_epoch(&mut self, list: &mut List<T>) {
        list.begin_epoch();
    }

    async fn commit(&mut self, list: List<T>, version: Option<ResourceVersion>) {
        self.writer.commit(list, version).await;
    }

    async fn commit_absence(&mut self) {
        let nothing = self.writer.begin_list(Reuse::Unchanged);
        self.writer.commit(nothing, None).await;
    }

    async fn add_index(&mut self, index: AddIndex<T>) {
        let AddIndex { index, answer } = index;
        if !answer.is_closed() {
            let slot = self.writer.add_index(index).await;
            // The caller may have stopped waiting.
            let _ = answer.send(slot);
        }
    }

    async fn apply(&mut self, events: &mut Vec<WatchEvent<P>>) -> Result<(), Regression> {
        let mut draft = self.writer.draft(Reuse::Unchanged);
        let mut reached = draft.resource_version.clone();
        let mut outcome = Ok(());
        let mut turn = Turn::new();
        for event in events.drain(..) {
            outcome = Self::advance(&mut reached, version_of(&event));
            if outcome.is_err() {
                break;
            }
            self.change(&mut draft, event);
            turn.pass().await;
        }
        self.writer.publish(draft, reached);
        outcome
    }

    async fn apply_unordered(&mut self, events: &mut Vec<WatchEvent<P>>) {
        let mut draft = self.writer.draft(Reuse::Same);
        let mut turn = Turn::new();
        for event in events.drain(..) {
            self.change(&mut draft, event);
            turn.pass().await;
        }
        self.writer.publish(draft, None);
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
