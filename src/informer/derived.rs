//! The informer of a derived collection, which a graph feeds in place of a reflector.

use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::builder::COMMANDS;
use super::last::LastWord;
use super::{Abandon, Informer, Inner};
use crate::index::IndexSet;
use crate::reflector::{Command, Status, Tally};
use crate::store::{AddIndex, Writer};

/// What ends a graph: it runs while a handle to it or to one of its informers exists.
#[derive(Default)]
pub(crate) struct Lifetime {
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// The driver that perhaps no task polls.
    idle: OnceLock<Weak<dyn Abandon>>,
}

/// The parts of a derived informer that its graph uses.
pub(crate) struct DerivedParts<T> {
    pub(crate) writer: Writer<T>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) commands: mpsc::Receiver<Command<AddIndex<T>>>,
}

impl<T: Send + Sync + 'static> Informer<T> {
    /// An informer that has no objects until its graph publishes them.
    pub(crate) fn derived(name: &str, graph: Arc<Lifetime>) -> (Self, DerivedParts<T>) {
        let (store, indexers) = IndexSet::new().into_parts();
        let mut writer = Writer::new(store, indexers);
        let (status, status_receiver) = watch::channel(Status::new());
        writer.at_the_end(LastWord(status.clone()));
        let (commands, taken) = mpsc::channel(COMMANDS);
        let inner = Inner {
            name: name.into(),
            shared: writer.shared().clone(),
            status: status_receiver,
            tally: Arc::new(Tally::new()),
            retired: writer.retired().clone(),
            commands,
            lists: false,
            has_own_scope: false,
            stop: graph.stop.clone(),
            tasks: graph.tasks.clone(),
            idle: OnceLock::new(),
            graph: Some(graph),
        };
        (Self { inner: Arc::new(inner) }, DerivedParts { writer, status, commands: taken })
    }
}

// === impl Lifetime ===

impl Lifetime {
    /// Sets the future that `stop` also ends. Call it once.
    pub(crate) fn set_idle(&self, idle: Weak<dyn Abandon>) {
        let _ = self.idle.set(idle);
    }

    pub(crate) fn stop(&self) {
        self.stop.cancel();
        if let Some(idle) = self.idle.get().and_then(Weak::upgrade) {
            idle.abandon();
        }
    }

    /// Stops the graph and waits until its task has ended.
    pub(crate) async fn shutdown(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Lifetime {
    fn drop(&mut self) {
        self.stop();
    }
}
