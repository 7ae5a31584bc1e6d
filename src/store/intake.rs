//! The reflector's way into the store: decodes and projects what is new, and hands it to the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Writer;
use super::add_index::AddIndex;
use crate::error::DecodeError;
use crate::key::AsKey;
use crate::reflector::{Regression, Reuse, Sink, Turn};
use crate::source::{Item, Listed, Meta, WatchEvent};
use crate::version::ResourceVersion;

/// Decodes and projects an object: its value, `None` when the projection keeps it out, or what is wrong.
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

    fn insert(&mut self, item: Item<P>) {
        if self.writer.holds(&item.meta) {
            return;
        }
        let meta = item.meta.clone();
        // Nothing of ours is changed in there, so nothing is left half done.
        match catch_unwind(AssertUnwindSafe(|| (self.take)(item))) {
            Ok(Ok(Some(value))) => self.writer.insert(&meta, value),
            Ok(Ok(None)) => self.writer.remove(meta.key.as_key()),
            Ok(Err(error)) => self.writer.mark_invalid(error),
            Err(_) => self.writer.mark_invalid(DecodeError::of(&meta, "its projection panicked")),
        }
    }

    fn take_in(&mut self, item: Listed<P>) {
        match item {
            Ok(item) => self.insert(item),
            Err(error) => self.writer.mark_invalid(error),
        }
    }

    fn change(&mut self, event: WatchEvent<P>) {
        match event {
            WatchEvent::Applied(item) => self.take_in(item),
            WatchEvent::Deleted(deleted) => self.take_out(deleted),
            WatchEvent::Bookmark { .. } => {}
        }
    }

    /// What cannot be read otherwise still says which object is gone.
    fn take_out(&mut self, deleted: Result<Meta, DecodeError>) {
        match deleted {
            Ok(meta) => {
                self.writer.remove_life(meta.key.as_key(), Some(&meta.uid), Some(&meta.resource_version));
            }
            Err(error) => match error.key() {
                Some(key) => self.writer.remove_life(key.as_key(), error.uid(), error.resource_version()),
                None => self.writer.mark_invalid(error),
            },
        }
    }

    /// The version an event brings, if it may follow what its stream has reached.
    fn advance(
        held: &mut Option<ResourceVersion>,
        version: Option<&ResourceVersion>,
    ) -> Result<(), Regression> {
        // A version made of an object's content says nothing of its stream.
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

    fn held(&self) -> Option<&ResourceVersion> {
        self.writer.resource_version()
    }

    async fn begin_list(&mut self, held: Reuse) {
        self.writer.begin_list(held);
    }

    fn list(&mut self, item: Listed<P>) {
        self.take_in(item);
    }

    fn list_deleted(&mut self, deleted: Result<Meta, DecodeError>) {
        self.take_out(deleted);
    }

    fn begin_epoch(&mut self) {
        self.writer.begin_epoch();
    }

    async fn commit_list(&mut self, version: ResourceVersion) {
        self.writer.remove_unlisted().await;
        self.writer.finish_list();
        self.writer.publish(Some(version));
    }

    async fn commit_unversioned_list(&mut self) {
        self.writer.remove_unlisted().await;
        self.writer.finish_list();
        self.writer.publish(None);
    }

    async fn abort_list(&mut self) {
        self.writer.abort_list();
    }

    async fn commit_absence(&mut self) {
        self.writer.clear().await;
        self.writer.publish(None);
    }

    async fn add_index(&mut self, index: AddIndex<T>) {
        let AddIndex { index, answer } = index;
        if !answer.is_closed() {
            let slot = self.writer.add_index(index).await;
            // The caller may be gone.
            let _ = answer.send(slot);
        }
    }

    async fn apply(&mut self, events: &mut Vec<WatchEvent<P>>) -> Result<(), Regression> {
        let mut reached = self.writer.resource_version().cloned();
        let mut outcome = Ok(());
        let mut turn = Turn::new();
        for event in events.drain(..) {
            outcome = Self::advance(&mut reached, version_of(&event));
            if outcome.is_err() {
                break;
            }
            self.change(event);
            turn.pass().await;
        }
        self.writer.publish(reached);
        outcome
    }

    async fn apply_unordered(&mut self, events: &mut Vec<WatchEvent<P>>) {
        self.writer.hold(Reuse::Same);
        let mut turn = Turn::new();
        for event in events.drain(..) {
            self.change(event);
            turn.pass().await;
        }
        self.writer.hold(Reuse::Unchanged);
        self.writer.publish(None);
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
