//! The informers that a graph reads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;

use super::step::{AnySnapshot, AnyStep, Step};
use crate::informer::Informer;
use crate::reflector::Status;
use crate::snapshot::Snapshot;
use crate::store::{Shared, Wake};

/// A source of a graph, which keeps it running.
pub(super) struct Source<T> {
    informer: Informer<T>,
    /// The version of the last tick.
    pinned: Arc<Snapshot<T>>,
    /// The newest revision that was seen.
    seen: u64,
    wake: Wake,
    status: Status,
    statuses: Pin<Box<dyn Stream<Item = Status> + Send>>,
}

/// A source of any type.
pub(super) trait AnySource: Send {
    /// Looks for a new version, a new status and the end, and wakes the task when one comes. Returns whether the status
    /// is another one.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool;

    fn is_synced(&self) -> bool;

    fn has_ended(&self) -> bool;

    /// Whether a newer version was seen than that of the last tick.
    fn is_behind(&self) -> bool;

    fn status(&self) -> &Status;

    /// The first version.
    fn first(&self) -> Arc<dyn AnySnapshot>;

    /// Takes the newest version.
    fn pin(&mut self) -> Arc<dyn AnyStep>;
}

/// The newest version of a source, for statistics.
pub(super) trait AnyShared: Send + Sync {
    fn is_synced(&self) -> bool;

    fn revision(&self) -> u64;
}

impl<T: Send + Sync + 'static> Source<T> {
    pub(super) fn new(informer: Informer<T>) -> Self {
        let first = Arc::new(informer.shared().empty());
        Self {
            seen: first.revision(),
            pinned: first,
            wake: informer.shared().changes(),
            status: informer.status(),
            statuses: Box::pin(informer.status_changes().fuse()),
            informer,
        }
    }
}

impl<T: Send + Sync + 'static> AnySource for Source<T> {
    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_news = false;
        while let Poll::Ready(Some(status)) = self.statuses.as_mut().poll_next(cx) {
            self.status = status;
            is_news = true;
        }
        let Self { informer, wake, seen, .. } = self;
        // Pending until the next version, or ready at the end: there is nothing to do but to look again.
        let _ = wake.poll_found(cx, || {
            *seen = informer.shared().load().revision();
            None::<()>
        });
        is_news
    }

    fn is_synced(&self) -> bool {
        self.informer.is_synced()
    }

    fn has_ended(&self) -> bool {
        self.wake.has_ended()
    }

    fn is_behind(&self) -> bool {
        self.seen != self.pinned.revision()
    }

    fn status(&self) -> &Status {
        &self.status
    }

    fn first(&self) -> Arc<dyn AnySnapshot> {
        self.pinned.clone()
    }

    fn pin(&mut self) -> Arc<dyn AnyStep> {
        let newest = self.informer.snapshot();
        let old = self.pinned.clone();
        if !Arc::ptr_eq(&newest.0, &old.0) {
            self.seen = newest.revision();
            self.pinned = Arc::new(newest);
        }
        Arc::new(Step { old, new: self.pinned.clone() })
    }
}

impl<T: Send + Sync> AnyShared for Shared<T> {
    fn is_synced(&self) -> bool {
        self.load().synced
    }

    fn revision(&self) -> u64 {
        self.load().revision
    }
}
