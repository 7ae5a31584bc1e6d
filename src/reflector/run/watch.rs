//! Opens watches, follows them, and handles their ends.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{consume_budget, yield_now};
use tokio::time::Instant;

use super::Reflector;
use super::commands::obey;
use crate::alarm::Alarm;
use crate::error::Error;
use crate::reflector::sink::{Regression, Sink};
use crate::reflector::state::{Form, Input, Origin, step};
use crate::reflector::status::Phase;
use crate::reflector::stream::Open;
use crate::source::{Source, WatchEvent, WatchRequest};
use crate::version::ResourceVersion;

/// If the server sends bookmarks regularly, a watch that is silent for longer than their interval is checked,
/// but not before this time.
const SHORTEST_SILENCE: Duration = Duration::from_secs(30);

/// The observed interval of the server's bookmarks.
#[derive(Default)]
pub(super) struct Bookmarks {
    /// When the last bookmark of the open watch arrived.
    last: Option<Instant>,
    /// The longest time between two bookmarks of one watch.
    every: Option<Duration>,
}

impl<S: Source, W: Sink<S::Payload>> Reflector<S, W> {
    pub(super) async fn watch(&mut self) -> Input {
        let open = match self.open.take() {
            Some(open) => open,
            None => match self.open_watch(self.sink.held()).await {
                Ok(open) => open,
                Err(error) => return self.watch_failed(error, false),
            },
        };
        self.enter(Phase::Watching);
        self.follow(open).await
    }

    /// A watch without a version shows existing objects and later deletions. A list that is made once it is
    /// open shows which objects were deleted before.
    pub(super) async fn watch_unversioned(&mut self) -> Input {
        let open = match self.open_watch(None).await {
            Ok(open) => open,
            Err(error) => return self.watch_failed(error, false),
        };
        self.afford_list().await;
        match self.collect(Form::Whole, Origin::Newest, 0, false).await {
            Ok(true) => return Input::Listed { versioned: true },
            Ok(false) => {}
            Err(input) => return input,
        }
        self.enter(Phase::Watching);
        self.follow(open).await
    }

    /// Opens a watch, and runs commands of the application meanwhile.
    async fn open_watch(
        &mut self,
        version: Option<ResourceVersion>,
    ) -> Result<Open<S::Payload, S::Watch>, Error> {
        let request =
            WatchRequest { resource_version: version, timeout: self.watch_timeout(), initial_events: false };
        let opened = {
            let mut opening = pin!(self.source.watch(&request));
            loop {
                tokio::select! {
                    biased;
                    opened = &mut opening => break opened,
                    Some(command) = self.commands.recv() => {
                        obey(command, &mut self.commands, &mut self.sink, &mut self.refreshes).await;
                    }
                }
            }
        };
        let open = Open::new(opened?, request.timeout, &self.settings);
        self.reached();
        self.count_watch();
        self.bookmarks.last = None;
        if !self.in_trouble() {
            // The previous watch ended in order, and this one continues from there.
            self.well();
        }
        Ok(open)
    }

    async fn follow(&mut self, mut open: Open<S::Payload, S::Watch>) -> Input {
        let mut alarm = Alarm::new(open.expires);
        loop {
            if self.wants_refresh() {
                return Input::Refresh;
            }
            if !open.batch.is_empty() {
                self.record.heard(open.heard);
                self.bookmarks.note(&open.batch, open.heard);
                let full = open.is_full(&self.settings);
                let applied = self.apply(&mut open.batch).await;
                open.batch.clear();
                if let Err(Regression { held, received }) = applied {
                    tracing::debug!(%held, %received, "the watch sent an event older than the previous one");
                    self.failed(self.protocol("watch", "an event older than the one before"));
                    return Input::WentBack;
                }
                open.settled = true;
                self.note_shard_filter();
                self.progress(true);
                if full {
                    yield_now().await;
                } else {
                    consume_budget().await;
                }
            }
            if let Some(end) = open.end.take() {
                let worked = open.events || open.lasted(&self.settings);
                return match end {
                    Ok(()) => self.watch_ended(worked),
                    Err(error) => self.watch_failed(error, worked),
                };
            }
            let settles = open.opened + self.settings.watch_settled;
            let silent = open.heard + self.silence();
            let deadline = if open.settled { silent.min(open.expires) } else { settles };
            let read = tokio::select! {
                biased;
                Some(command) = self.commands.recv() => {
                    obey(command, &mut self.commands, &mut self.sink, &mut self.refreshes).await;
                    // Read the watch as well, however many commands there are.
                    let _ = open.read(&self.settings).now_or_never();
                    continue;
                }
                read = alarm.wait(deadline, open.read(&self.settings)) => read,
            };
            // Events that arrived before the deadline count.
            if read.is_some() || !open.batch.is_empty() {
                continue;
            }
            let now = Instant::now();
            if !open.settled {
                open.settled = true;
                self.progress(false);
            } else if now >= open.expires {
                let error = self.timeout("watch", now - open.opened);
                return self.watch_failed(error, true);
            } else {
                open.heard = now;
                self.open = Some(open);
                return Input::Silent;
            }
        }
    }

    async fn apply(&mut self, events: &mut Vec<WatchEvent<S::Payload>>) -> Result<(), Regression> {
        if self.sink.held().is_some() {
            self.sink.apply(events).await
        } else {
            self.sink.apply_unordered(events).await;
            Ok(())
        }
    }

    pub(super) fn opened(&mut self, open: Open<S::Payload, S::Watch>) {
        self.count_watch();
        self.bookmarks.last = None;
        self.open = Some(open);
    }

    fn watch_failed(&mut self, error: Error, worked: bool) -> Input {
        self.failed(error.clone());
        Input::WatchFailed { error, worked }
    }

    fn watch_ended(&mut self, worked: bool) -> Input {
        if !worked {
            self.failed(self.protocol("watch", "a watch that ends at once"));
        }
        Input::WatchEnded { worked }
    }

    /// The watch works: it sent something, or has been open for a while.
    fn progress(&mut self, heard: bool) {
        self.state = step(self.state.clone(), Input::Settled { heard }, Instant::now(), &self.settings).0;
        self.recovery.progress();
        if !self.state.is_doubtful() {
            self.well();
        }
    }

    /// How long the watch may be without event or bookmark.
    fn silence(&self) -> Duration {
        let every = self.bookmarks.every.map(|every| every + every / 10 + Duration::from_secs(2));
        every.map_or(Duration::MAX, |every| every.max(SHORTEST_SILENCE)).min(self.settings.watch_silence)
    }

    /// The timeout of the next watch, in whole seconds as the API requires.
    pub(super) fn watch_timeout(&mut self) -> Duration {
        Duration::from_secs(self.recovery.spread(self.settings.watch_timeout).as_secs())
    }
}

// === impl Bookmarks ===

impl Bookmarks {
    fn note<K>(&mut self, batch: &[WatchEvent<K>], heard: Instant) {
        if matches!(batch.last(), Some(WatchEvent::Bookmark { .. }))
            && let Some(last) = self.last.replace(heard)
        {
            self.every = self.every.max(Some(heard.duration_since(last)));
        }
    }
}
