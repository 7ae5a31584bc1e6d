//! A source that a test writes by hand.

use std::sync::Arc;

use crate::index::{Index, IndexBy};
use crate::informer::{DerivedParts, Informer, Lifetime};
use crate::key::ObjectKey;
use crate::reflector::Status;
use crate::snapshot::Snapshot;
use crate::source::Meta;
use crate::version::ResourceVersion;

pub(super) struct Hand<T> {
    pub(super) informer: Informer<T>,
    parts: DerivedParts<T>,
    version: u64,
}

impl<T: Send + Sync + 'static> Hand<T> {
    pub(super) fn new(name: &str) -> Self {
        let (informer, parts) = Informer::derived(name, Arc::new(Lifetime::default()));
        Self { informer, parts, version: 0 }
    }

    pub(super) fn index<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        self.parts.writer.declare(index)
    }

    /// Adds an index after the objects.
    pub(super) async fn add_index<X: IndexBy<T>>(&mut self, index: X) -> Index<T, X::Key> {
        let slot = self.parts.writer.add_index(Box::new(index)).await;
        Index::new(slot, self.informer.shared().store())
    }

    pub(super) fn report(&self, status: impl FnOnce(&mut Status)) {
        self.parts.status.send_modify(status);
    }

    /// Publishes these changes at once; `None` removes an object.
    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = (ObjectKey, Option<T>)>) -> Snapshot<T> {
        let writer = &mut self.parts.writer;
        let mut draft = writer.begin();
        for (key, value) in changes {
            self.version += 1;
            match value {
                Some(value) => {
                    let meta = Meta {
                        key,
                        uid: "".into(),
                        resource_version: ResourceVersion::from_number(self.version),
                    };
                    writer.put(&mut draft, &meta, value);
                }
                None => writer.take(&mut draft, key.as_key()),
            }
        }
        if let Some(prepared) = writer.complete(draft) {
            writer.reveal(prepared);
        }
        self.parts.status.send_modify(|status| status.synced = true);
        self.informer.snapshot()
    }

    pub(super) fn set(&mut self, key: &str, value: T) -> Snapshot<T> {
        self.apply([(ObjectKey::cluster(key), Some(value))])
    }

    pub(super) fn remove(&mut self, key: &str) -> Snapshot<T> {
        self.apply([(ObjectKey::cluster(key), None)])
    }
}
