//! An open watch, read in batches of whatever is ready.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use tokio::time::Instant;

use super::settings::Settings;
use super::turn::Turn;
use crate::error::Error;
use crate::source::{Payload, WatchEvent};

/// The capacity that is kept from one batch to the next, in events.
const KEPT_ROOM: usize = 64;

/// A watch and the events that were read from it.
pub(super) struct Open<P, S> {
    stream: S,
    /// Events that were read and not applied yet.
    pub(super) batch: Vec<WatchEvent<P>>,
    /// How the watch ended, to be handled after the batch.
    pub(super) end: Option<Result<(), Error>>,
    pub(super) opened: Instant,
    /// When the server should have closed it.
    pub(super) expires: Instant,
    /// When the newest event arrived.
    pub(super) heard: Instant,
    /// Whether an event has arrived.
    pub(super) events: bool,
    /// Whether the watch was reported to work.
    pub(super) settled: bool,
}

// === impl Open ===

impl<P: Payload, S: Stream<Item = Result<WatchEvent<P>, Error>> + Unpin> Open<P, S> {
    pub(super) fn new(stream: S, timeout: Duration, settings: &Settings) -> Self {
        let now = Instant::now();
        Self {
            stream,
            batch: Vec::new(),
            end: None,
            opened: now,
            expires: now + timeout + settings.watch_grace,
            heard: now,
            events: false,
            settled: false,
        }
    }

    /// Whether the batch is at its limit, so that more events may be ready.
    pub(super) fn is_full(&self, settings: &Settings) -> bool {
        self.batch.len() >= settings.batch_events || self.size() >= settings.batch_bytes
    }

    fn size(&self) -> usize {
        self.batch.iter().map(WatchEvent::size).sum()
    }

    /// Waits for an event or the end, then reads everything that is ready, taking turns with other tasks.
    /// Cancel safe: events that were read are kept.
    pub(super) async fn read(&mut self, settings: &Settings) {
        self.read_until(settings, false).await;
    }

    /// [`read`](Self::read), but for at most one turn. Used for a list, whose events need not be applied
    /// together, so that fewer undecoded objects are in memory.
    pub(super) async fn read_a_turn(&mut self, settings: &Settings) {
        self.read_until(settings, true).await;
    }

    async fn read_until(&mut self, settings: &Settings, one_turn: bool) {
        if self.batch.is_empty() {
            // Large batches are rare, so their capacity is not kept.
            self.batch.shrink_to(KEPT_ROOM);
        }
        let mut bytes = self.size();
        poll_fn(|cx| {
            // The turn measures this poll only. If it also measured other tasks, many watches on one runtime
            // would find their turn over before they read anything.
            let turn = Turn::new();
            while self.end.is_none()
                && self.batch.len() < settings.batch_events
                && bytes < settings.batch_bytes
            {
                if turn.is_over() {
                    if one_turn && !self.batch.is_empty() {
                        break;
                    }
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                match Pin::new(&mut self.stream).poll_next(cx) {
                    Poll::Ready(Some(Ok(event))) => {
                        bytes += event.size();
                        self.batch.push(event);
                    }
                    Poll::Ready(Some(Err(error))) => self.end = Some(Err(error)),
                    Poll::Ready(None) => self.end = Some(Ok(())),
                    Poll::Pending if self.batch.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(())
        })
        .await;
        if !self.batch.is_empty() {
            self.heard = Instant::now();
            self.events = true;
        }
    }

    /// Whether the watch has been open long enough to count as working.
    pub(super) fn lasted(&self, settings: &Settings) -> bool {
        self.opened.elapsed() >= settings.watch_settled
    }
}
