//! The store of a derived collection, and what its informer asks for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, watch};

use super::step::{AnyStep, Step};
use super::tally::NodeTally;
use crate::free::free;
use crate::informer::{DerivedParts, Informer, Lifetime};
use crate::key::Key;
use crate::reflector::{Command, Status};
use crate::snapshot::Snapshot;
use crate::source::Meta;
use crate::store::{AddIndex, Draft, Prepared, Writer};
use crate::version::ResourceVersion;

/// See the [module](self).
pub(super) struct Target<O> {
    pub(super) name: Arc<str>,
    pub(super) writer: Writer<O>,
    pub(super) tally: Arc<NodeTally>,
    /// To hand out before the start.
    informer: Option<Informer<O>>,
    status: watch::Sender<Status>,
    commands: mpsc::Receiver<Command<AddIndex<O>>>,
    /// An index to add between two ticks.
    asked: Option<AddIndex<O>>,
    /// The published version.
    current: Arc<Snapshot<O>>,
    /// The version of this tick, if it is another one.
    prepared: Option<Prepared<O>>,
}

impl<O: Send + Sync + 'static> Target<O> {
    pub(super) fn new(name: &str, graph: Arc<Lifetime>) -> Self {
        let (informer, DerivedParts { writer, status, commands }) = Informer::derived(name, graph);
        Self {
            name: name.into(),
            current: Arc::new(writer.shared().snapshot()),
            writer,
            tally: Arc::default(),
            informer: Some(informer),
            status,
            commands,
            asked: None,
            prepared: None,
        }
    }

    /// Before the start.
    pub(super) fn informer(&self) -> Option<&Informer<O>> {
        self.informer.as_ref()
    }

    /// The graph starts: from now on only the application keeps the informer. Returns the first version.
    pub(super) fn start(&mut self) -> Arc<Snapshot<O>> {
        self.informer = None;
        // It has the indexes that were declared since.
        self.current = Arc::new(self.writer.shared().snapshot());
        self.current.clone()
    }

    pub(super) fn begin(&self) -> Draft<O> {
        self.writer.begin()
    }

    /// Stores a value, unless an equal one is stored. Returns false if comparing panics: nothing changes then.
    pub(super) fn set(&self, draft: &mut Draft<O>, key: Key<'_>, value: O, tick: u64) -> bool
    where
        O: PartialEq,
    {
        let stored = draft.get(key);
        let equal = stored.map(|stored| catch_unwind(AssertUnwindSafe(|| **stored == value)));
        match equal {
            Some(Ok(true)) => {
                draft.keep(key);
                self.tally.suppressed.add(1);
                free(value);
            }
            Some(Err(panic)) => {
                free(panic);
                free(value);
                return false;
            }
            Some(Ok(false)) | None => {
                let resource_version = ResourceVersion::from_number(tick);
                let meta = Meta { key: key.to_owned(), uid: "".into(), resource_version };
                self.writer.put(draft, &meta, value);
            }
        }
        true
    }

    pub(super) fn unset(&self, draft: &mut Draft<O>, key: Key<'_>) {
        self.writer.take(draft, key);
    }

    /// Counts the panics of a tick.
    pub(super) fn panicked(&self, panics: u64) {
        if panics > 0 {
            self.tally.panics.add(panics);
            tracing::warn!(node = &*self.name, panics, "transforms panicked; their last values are kept");
        }
    }

    /// The draft is the version of this tick, to be published with those of the other nodes.
    pub(super) fn complete(&mut self, draft: Draft<O>) -> Arc<dyn AnyStep> {
        self.prepared = self.writer.complete(draft);
        let old = self.current.clone();
        if let Some(prepared) = &self.prepared {
            self.current = Arc::new(prepared.snapshot());
        }
        Arc::new(Step { old, new: self.current.clone() })
    }

    /// The number of values in the version of this tick.
    pub(super) fn len(&self) -> usize {
        self.current.len()
    }

    pub(super) fn publish(&mut self) {
        if let Some(prepared) = self.prepared.take() {
            self.writer.reveal(prepared);
        }
    }

    pub(super) fn report(&self, status: &Status) {
        self.status.send_replace(status.clone());
    }

    /// Ready when an index is asked for.
    pub(super) fn poll_command(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.asked.is_none() {
            match self.commands.poll_recv(cx) {
                // The caller may have stopped waiting. A derived informer does not list.
                Poll::Ready(Some(Command::AddIndex(index))) if !index.answer.is_closed() => {
                    self.asked = Some(index);
                }
                Poll::Ready(Some(_)) => {}
                // All handles are dropped.
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Adds the index that was asked for. Returns the new version.
    pub(super) async fn obey(&mut self) -> Option<Arc<Snapshot<O>>> {
        let AddIndex { index, answer } = self.asked.take()?;
        let slot = self.writer.add_index(index).await;
        let _ = answer.send(slot);
        self.current = Arc::new(self.writer.shared().snapshot());
        Some(self.current.clone())
    }
}
