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

/// How many events a batch has room for without asking for it.
const KEPT_ROOM: usize = 64;

/// A watch and what was read of it.
pub(super) struct Open<P, S> {
    stream: S,
    /// Read and not yet taken in.
    pub(super) batch: Vec<WatchEvent<P>>,
    /// How it ended, to be looked at after the batch.
    pub(super) end: Option<Result<(), Error>>,
    pub(super) opened: Instant,
    /// When the server must have closed it.
    pub(super) expires: Instant,
    /// When the newest event came.
    pub(super) heard: Instant,
    /// An event came.
    pub(super) events: bool,
    /// It was told to have gone well.
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

    /// Whether the batch ended where it may, and not where nothing more was ready.
    pub(super) fn is_full(&self, settings: &Settings) -> bool {
        self.batch.len() >= settings.batch_events || self.size() >= settings.batch_bytes
    }

    fn size(&self) -> usize {
        self.batch.iter().map(WatchEvent::size).sum()
    }

    /// Waits for an event or the end, then reads what else is ready, in turns with other tasks. Cancel safe: what was
    /// read stays.
    pub(super) async fn read(&mut self, settings: &Settings) {
        self.read_until(settings, false).await;
    }

    /// [`read`](Self::read), but for no longer than one turn: for a list, whose events need not be seen together, so
    /// that they are not held together undecoded.
    pub(super) async fn read_a_turn(&mut self, settings: &Settings) {
        self.read_until(settings, true).await;
    }

    async fn read_until(&mut self, settings: &Settings, one_turn: bool) {
        if self.batch.is_empty() {
            // A large batch comes seldom; its room is not kept for the next.
            self.batch.shrink_to(KEPT_ROOM);
        }
        let mut bytes = self.size();
        poll_fn(|cx| {
            // Of this poll: what others do in between is not counted, or many of these would never come to read.
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

    /// Whether it has been open for as long as a good one is.
    pub(super) fn lasted(&self, settings: &Settings) -> bool {
        self.opened.elapsed() >= settings.watch_settled
    }
}
