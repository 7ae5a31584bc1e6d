//! Applies the shard of a part to what the server sends, whether or not the server has applied it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::{Json, Listed, Page, WatchEvent};
use crate::key::ObjectKey;
use crate::shard::{Filter, Shard};

const UNKNOWN: u8 = 0;
const BY_SERVER: u8 = 1;
const HERE: u8 = 2;

/// The shard of a source, and what the responses have shown. Clones share it.
#[derive(Clone)]
pub(super) struct Sharding(Arc<Shared>);

/// The flags are independent of each other, and order nothing.
struct Shared {
    /// `None`: all objects.
    shard: Option<Shard>,
    /// Who filters.
    filter: AtomicU8,
    /// Whether the list has shown it.
    is_shown: AtomicBool,
    /// Whether the list has an object of the shard.
    has_any: AtomicBool,
    /// The server has sent another object in a list of which it says that it is of the shard: its hash is not ours.
    contradicted: AtomicBool,
}

// === impl Sharding ===

impl Sharding {
    pub(super) fn new(shard: Option<Shard>) -> Self {
        Self(Arc::new(Shared {
            shard,
            filter: AtomicU8::new(UNKNOWN),
            is_shown: AtomicBool::new(false),
            has_any: AtomicBool::new(false),
            contradicted: AtomicBool::new(false),
        }))
    }

    pub(super) fn shard(&self) -> Option<&Shard> {
        self.0.shard.as_ref()
    }

    /// `None`: not known, or there is no shard.
    pub(super) fn filter(&self) -> Option<Filter> {
        match self.0.filter.load(Ordering::Relaxed) {
            BY_SERVER => Some(Filter::Server),
            HERE => Some(Filter::Here),
            _ => None,
        }
    }

    /// A list begins.
    pub(super) fn begin(&self) {
        self.0.is_shown.store(false, Ordering::Relaxed);
        self.0.has_any.store(false, Ordering::Relaxed);
    }

    /// Whether the list has shown who filters.
    pub(super) fn is_shown(&self) -> bool {
        self.0.is_shown.load(Ordering::Relaxed)
    }

    /// Whether the list has an object of the shard.
    pub(super) fn has_any(&self) -> bool {
        self.0.has_any.load(Ordering::Relaxed)
    }

    pub(super) fn learn(&self, filter: Option<Filter>) {
        let filter = match filter {
            Some(Filter::Server) => BY_SERVER,
            Some(Filter::Here) => HERE,
            None => UNKNOWN,
        };
        self.0.filter.store(filter, Ordering::Relaxed);
        self.0.is_shown.store(true, Ordering::Relaxed);
    }

    /// Whether the server has contradicted itself since the last call.
    pub(super) fn was_contradicted(&self) -> bool {
        self.0.contradicted.swap(false, Ordering::Relaxed)
    }

    /// Only the objects of the shard.
    pub(super) fn page(&self, page: Page<Json>) -> Page<Json> {
        if self.0.shard.is_none() {
            return page;
        }
        if page.is_sharded {
            self.learn(Some(Filter::Server));
        }
        let (sharding, is_sharded) = (self.clone(), page.is_sharded);
        let is_of_shard = move |item: &Listed<Json>| {
            let has = sharding.has(item);
            match (has, is_sharded) {
                (true, _) => sharding.0.has_any.store(true, Ordering::Relaxed),
                (false, true) => sharding.0.contradicted.store(true, Ordering::Relaxed),
                (false, false) => sharding.learn(Some(Filter::Here)),
            }
            has
        };
        Page { items: Box::new(page.items.filter(is_of_shard)), ..page }
    }

    /// An object outside of the shard is, for this part, a deleted one: one of the same name that is in the shard was
    /// deleted before. Its version counts as reached.
    pub(super) fn event(&self, event: WatchEvent<Json>) -> WatchEvent<Json> {
        let WatchEvent::Applied(item) = event else { return event };
        if self.has(&item) {
            self.0.has_any.store(true, Ordering::Relaxed);
            return WatchEvent::Applied(item);
        }
        self.learn(Some(Filter::Here));
        WatchEvent::Deleted(item.map(|item| item.meta))
    }

    /// An object of which the uid or the name cannot be read is of every shard.
    pub(super) fn has(&self, item: &Listed<Json>) -> bool {
        let Some(shard) = &self.0.shard else { return true };
        match item {
            Ok(item) => shard.contains(&item.meta.uid, item.meta.key.namespace()),
            Err(error) => {
                let known = error.uid().zip(error.key.as_ref().map(ObjectKey::namespace));
                known.is_none_or(|(uid, namespace)| shard.contains(uid, namespace))
            }
        }
    }
}
