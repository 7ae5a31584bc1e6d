//! The loop for a stream of events from outside this crate: kube-runtime's `watcher`, or a test.

use std::ops::ControlFlow;
use std::pin::pin;
use std::task::Poll;

use futures_core::Stream;
use futures_util::{StreamExt, poll};
use kube_core::Resource;
use kube_runtime::watcher;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::command::Command;
use super::log::Log;
use super::sink::{Reuse, Sink};
use super::status::{Phase, Status};
use super::tally::{Recorder, RelistCause};
use super::turn::Turn;
use crate::error::{DecodeError, Error, ErrorKind};
use crate::key::ObjectKey;
use crate::source::{Item, Listed, Meta, WatchEvent};
use crate::version::ResourceVersion;

/// The most events applied at once.
const BATCH: usize = 4096;

/// Follows `events` until they end or `stop` is cancelled.
///
/// Such a stream has no version of its own and may be of any age, so no version is published and the stream
/// is always believed: a list or an event replaces a cached object, unless that is the same version of the
/// same object.
pub(crate) async fn follow<K, W>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    sink: W,
    status: watch::Sender<Status>,
    record: Recorder,
    commands: mpsc::Receiver<Command<W::AddIndex>>,
    stop: CancellationToken,
) where
    K: Resource + Send + 'static,
    W: Sink<Box<K>>,
{
    let mut follower = Follower {
        sink,
        status,
        record,
        commands,
        list: None,
        failed: false,
        repeated: false,
        changes: Vec::new(),
        log: Log::default(),
    };
    follower.enter(Phase::Listing);
    stop.run_until_cancelled(follower.drive(events)).await;
}

struct Follower<K, W: Sink<Box<K>>> {
    sink: W,
    status: watch::Sender<Status>,
    record: Recorder,
    commands: mpsc::Receiver<Command<W::AddIndex>>,
    /// Set between `Init` and `InitDone`.
    list: Option<W::List>,
    /// Whether the stream has reported an error since the last `Init`.
    failed: bool,
    /// Whether the last `Init` came before the end of a list, without an error in between: a streaming list was cut, or
    /// two watchers are merged.
    repeated: bool,
    /// Changes not yet published.
    changes: Vec<WatchEvent<Box<K>>>,
    log: Log,
}

impl<K: Resource + Send + 'static, W: Sink<Box<K>>> Follower<K, W> {
    async fn drive(&mut self, events: impl Stream<Item = watcher::Result<watcher::Event<K>>>) {
        let mut events = pin!(events);
        let mut turn = Turn::new();
        loop {
            let event = tokio::select! {
                // Polled in random order, so that neither blocks the other. No command runs while a list is
                // collected.
                Some(command) = self.commands.recv(), if self.list.is_none() => {
                    // A stream cannot be refreshed.
                    if let Command::AddIndex(index) = command {
                        self.sink.add_index(index).await;
                        self.publish().await;
                    }
                    continue;
                }
                event = events.next() => event,
            };
            let Some(event) = event else { return };
            let mut heard = event.is_ok();
            if self.take_in(event).await.is_break() {
                return;
            }
            turn.pass().await;
            // All events that are ready go into one version, without waiting for more.
            let mut taken = 1;
            let mut ended = false;
            while taken < BATCH && !ended {
                match poll!(events.next()) {
                    Poll::Ready(Some(event)) => {
                        heard |= event.is_ok();
                        if self.take_in(event).await.is_break() {
                            return;
                        }
                        turn.pass().await;
                    }
                    Poll::Ready(None) => ended = true,
                    Poll::Pending => break,
                }
                taken += 1;
            }
            self.publish().await;
            if heard {
                self.record.heard(Instant::now());
            }
            if ended {
                return;
            }
            turn.pass().await;
        }
    }

    /// Processes an event. Breaks if no further event of this stream can be understood.
    async fn take_in(&mut self, event: watcher::Result<watcher::Event<K>>) -> ControlFlow<()> {
        match event {
            Ok(watcher::Event::Init) => {
                self.repeated = self.list.is_some() && !self.failed;
                self.failed = false;
                self.publish().await;
                self.enter(Phase::Listing);
                self.record.relists(RelistCause::Stream);
                self.list = Some(self.sink.begin_list(Reuse::Same));
            }
            // Without an `Init` this is no list, but the object exists.
            Ok(watcher::Event::InitApply(object)) => match &mut self.list {
                Some(list) => self.sink.upsert(list, item(object)),
                None => self.change(WatchEvent::Applied(item(object))),
            },
            Ok(watcher::Event::InitDone) => {
                let Some(list) = self.list.take() else {
                    if !self.repeated {
                        return ControlFlow::Continue(()); // without an `Init`, it completes nothing
                    }
                    // One watcher that begins a list again completes it once. These are the lists of several
                    // watchers, of which each replaces the objects of the others.
                    self.failed(ErrorKind::MergedStreams.into());
                    return ControlFlow::Break(());
                };
                // Without a version it is not too old.
                let _ = self.sink.commit(list, None).await;
                self.record.listed();
                self.recovered();
                self.record.committed();
                if !self.status.borrow().synced {
                    self.log.synced();
                }
                self.status.send_modify(|status| status.synced = true);
            }
            Ok(watcher::Event::Apply(object)) => self.change(WatchEvent::Applied(item(object))),
            Ok(watcher::Event::Delete(object)) => {
                self.change(WatchEvent::Deleted(item(object).map(|item| item.meta)));
            }
            Err(error) => self.failed(ErrorKind::Stream(Box::new(error)).into()),
        }
        ControlFlow::Continue(())
    }

    fn change(&mut self, event: WatchEvent<Box<K>>) {
        // A change before the end of a list aborts the list.
        self.list = None;
        self.changes.push(event);
        self.recovered();
    }

    async fn publish(&mut self) {
        if !self.changes.is_empty() {
            self.sink.apply_unordered(&mut self.changes).await;
        }
    }

    fn enter(&self, phase: Phase) {
        enter(&self.status, phase);
    }

    fn recovered(&mut self) {
        let stale = self.status.borrow().stale_since;
        self.log.well(stale.map(|since| since.elapsed()));
        self.enter(Phase::Watching);
        self.status.send_if_modified(|status| {
            status.failures = 0;
            status.stale_since.take().is_some()
        });
    }

    fn failed(&mut self, error: Error) {
        self.failed = true;
        self.record.failed();
        self.log.waits(Phase::BackingOff, Some(&error));
        self.status.send_modify(|status| {
            status.phase = Phase::BackingOff;
            status.failures += 1;
            status.last_error = Some(error);
            status.stale_since.get_or_insert_with(Instant::now);
        });
    }
}

/// Reports the end even if the stream panics or the driver is dropped.
impl<K, W: Sink<Box<K>>> Drop for Follower<K, W> {
    fn drop(&mut self) {
        enter(&self.status, Phase::Stopped);
    }
}

fn enter(status: &watch::Sender<Status>, phase: Phase) {
    status.send_if_modified(|status| std::mem::replace(&mut status.phase, phase) != phase);
}

fn item<K: Resource>(object: K) -> Listed<Box<K>> {
    let meta = object.meta();
    let version = ResourceVersion::from(meta.resource_version.as_deref().unwrap_or_default());
    let Some(name) = &meta.name else {
        return Err(DecodeError {
            key: None,
            uid: meta.uid.as_deref().map(Box::from),
            resource_version: Some(version),
            path: "metadata.name".into(),
            mismatch: "missing".into(),
            source: None,
        });
    };
    let meta = Meta {
        key: ObjectKey::new(meta.namespace.as_deref().unwrap_or_default(), name),
        uid: meta.uid.as_deref().unwrap_or_default().into(),
        resource_version: version,
    };
    Ok(Item { meta, payload: Box::new(object) })
}
