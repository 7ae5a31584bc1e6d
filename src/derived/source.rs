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
    /// Whether there is a new version, a new status, or the end. Wakes the task when there is.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> News;

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

/// What a source has to report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    pub(super) content: bool,
    pub(super) status: bool,
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
    fn poll_news(&mut self, cx: &mut Context<'_>) -> News {
        let mut news = News::default();
        while let Poll::Ready(Some(status)) = self.statuses.as_mut().poll_next(cx) {
            self.status = status;
            news.status = true;
        }
        if self.wake.has_ended() {
            return news;
        }
        let Self { informer, wake, seen, .. } = self;
        let found = wake.poll_found(cx, || {
            let newest = informer.shared().load().revision();
            (std::mem::replace(seen, newest) != newest).then_some(())
        });
        news.content = matches!(found, Poll::Ready(Some(())));
        // The end is news.
        news.status |= matches!(found, Poll::Ready(None));
        news
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
