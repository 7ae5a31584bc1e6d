//! The loop that does what the state machine says.

mod report;

use std::cmp::Ordering;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{consume_budget, yield_now};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, spread};
use super::options::Options;
use super::order::Order;
use super::sink::{Held, Regression, Sink};
use super::state::{Effect, Input, Origin, Pace, PageAt, Probe, State, step};
use super::status::{Phase, Status};
use super::stream::Open;
use super::tally::Recorder;
use super::turn::Turn;
use crate::error::{Error, Kind};
use crate::source::{ListRequest, Source, WatchEvent, WatchRequest};
use crate::version::ResourceVersion;

/// Keeps `sink` in step with `source` until `stop` is cancelled, and gives the sink back.
///
/// Owns all it uses: nothing is left behind when it ends, which it does at the next await after the cancellation.
/// `status` wakes its receivers when something changes that one may want to act on; versions and counts of objects
/// are brought up to date without waking anyone.
pub(crate) async fn run<K, S, W>(
    source: S,
    sink: W,
    status: watch::Sender<Status>,
    record: Recorder,
    orders: mpsc::Receiver<Order<W::Errand>>,
    stop: CancellationToken,
    options: Options,
) -> W
where
    K: Send + 'static,
    S: Source<K>,
    W: Sink<K>,
{
    let mut reflector = Reflector {
        source,
        sink,
        status,
        record,
        orders,
        refreshes: Vec::new(),
        backoff: Backoff::new(options.backoff.clone()),
        state: State::start(),
        options,
        open: None,
        listing: false,
    };
    stop.run_until_cancelled(reflector.drive()).await;
    reflector.abort_list().await;
    reflector.enter(Phase::Stopped);
    reflector.sink
}

struct Reflector<K, S: Source<K>, W: Sink<K>> {
    source: S,
    sink: W,
    status: watch::Sender<Status>,
    record: Recorder,
    orders: mpsc::Receiver<Order<W::Errand>>,
    /// Who waits for a list in which nothing held is reused.
    refreshes: Vec<oneshot::Sender<()>>,
    options: Options,
    backoff: Backoff,
    state: State,
    open: Option<Open<K, S::Watch>>,
    /// The sink has begun a list.
    listing: bool,
}

// === impl Reflector ===

impl<K: Send + 'static, S: Source<K>, W: Sink<K>> Reflector<K, S, W> {
    async fn drive(&mut self) -> Infallible {
        let mut input = Input::Go;
        loop {
            self.record.ended(&input);
            let (state, effect) = step(self.state.clone(), input, Instant::now(), &self.options);
            self.state = state;
            self.record.begins(&effect);
            input = match effect {
                Effect::StreamList { from } => self.stream_list(from).await,
                Effect::List { from, paged, new_epoch } => self.list(from, paged, new_epoch).await,
                Effect::Watch => self.watch().await,
                Effect::Rewatch => {
                    self.open = None;
                    self.watch().await
                }
                Effect::Probe => self.probe().await,
                Effect::Discover => self.discover().await,
                Effect::ShowAbsence => self.show_absence().await,
                Effect::Wait { pace, retry_after } => self.wait(pace, retry_after).await,
            };
            // A source that answers at once, and always, must not keep the task from its runtime.
            consume_budget().await;
        }
    }

    async fn stream_list(&mut self, from: Origin) -> Input {
        self.open = None;
        self.begin_listing();
        let deadline = Instant::now() + self.options.streaming_total;
        let request = WatchRequest {
            resource_version: self.from(from),
            timeout: self.watch_timeout(),
            initial_events: true,
        };
        let opened = match timeout_at(deadline, self.source.watch(&request)).await {
            Ok(opened) => opened,
            Err(_) => {
                return self.streaming_failed(self.timeout("watch", self.options.streaming_total)).await;
            }
        };
        let mut open = match opened {
            Ok(stream) => Open::new(stream, request.timeout, &self.options),
            Err(error) => return self.streaming_failed(error).await,
        };
        self.enter(Phase::Listing);
        self.listing = true;
        self.sink.begin_list(self.reuse()).await;
        let mut turn = Turn::new();
        loop {
            let patience = (open.heard + self.options.streaming_silence).min(deadline);
            if timeout_at(patience, open.read(&self.options)).await.is_err() {
                self.abort_list().await;
                let error = self.timeout("watch", self.options.streaming_silence);
                return self.streaming_refused(&error);
            }
            if !open.batch.is_empty() {
                self.record.heard(open.heard);
            }
            let mut events = std::mem::take(&mut open.batch).into_iter();
            while let Some(event) = events.next() {
                match event {
                    WatchEvent::Applied(item) => self.sink.list(item),
                    WatchEvent::Deleted(deleted) => self.sink.list_deleted(deleted),
                    WatchEvent::Bookmark { initial_events_end: false, .. } => {}
                    WatchEvent::Bookmark { resource_version, initial_events_end: true } => {
                        if self.is_below(&resource_version) {
                            return self.list_below(from).await;
                        }
                        self.commit(resource_version).await;
                        open.batch = events.collect();
                        self.opened(open);
                        return Input::Listed;
                    }
                }
                turn.pass().await;
            }
            match open.end.take() {
                None => {}
                Some(Err(error)) => return self.streaming_failed(error).await,
                // One that ends in order before its own end is not a streaming list.
                Some(Ok(())) => {
                    return self
                        .streaming_failed(self.protocol("watch", "a list that ended before its end"))
                        .await;
                }
            }
        }
    }

    async fn list(&mut self, from: Origin, paged: bool, new_epoch: bool) -> Input {
        self.open = None;
        self.begin_listing();
        let mut request = ListRequest {
            limit: Some(self.options.page_size).filter(|size| paged && *size > 0),
            continue_token: None,
            resource_version: self.from(from),
        };
        let mut version = None;
        let mut pages: u32 = 0;
        loop {
            let page = match self.source.list(&request).await {
                Ok(page) => page,
                Err(error) => {
                    let at = if version.is_some() { PageAt::Later } else { PageAt::First };
                    return self.list_failed(error, at).await;
                }
            };
            self.record.heard(Instant::now());
            if version.is_none() {
                self.enter(Phase::Listing);
                let below = self.is_below(&page.resource_version);
                if below && !new_epoch {
                    return self.list_below(from).await;
                }
                self.listing = true;
                let held = if below { Held::Meaningless } else { self.reuse() };
                self.sink.begin_list(held).await;
            }
            // All pages are of one version; were they not, a watch from the first would tell what changed since.
            version.get_or_insert(page.resource_version);
            let mut turn = Turn::new();
            for item in page.items {
                self.sink.list(item);
                turn.pass().await;
            }
            if page.continue_token.is_none() {
                break;
            }
            if page.continue_token == request.continue_token {
                return self
                    .list_failed(self.protocol("list", "a page that continues with itself"), PageAt::Later)
                    .await;
            }
            pages += 1;
            if pages >= self.options.pages {
                return self
                    .list_failed(self.protocol("list", "more pages than the limit"), PageAt::Later)
                    .await;
            }
            request.continue_token = page.continue_token;
            yield_now().await;
        }
        if let Some(version) = version {
            self.commit(version).await;
        }
        Input::Listed
    }

    async fn watch(&mut self) -> Input {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let request = WatchRequest {
                    resource_version: self.sink.held().cloned(),
                    timeout: self.watch_timeout(),
                    initial_events: false,
                };
                match self.source.watch(&request).await {
                    Ok(stream) => {
                        let open = Open::new(stream, request.timeout, &self.options);
                        self.count_watch();
                        open
                    }
                    Err(error) => return self.watch_failed(error, false),
                }
            }
        };
        self.enter(Phase::Watching);
        self.follow(open).await
    }

    async fn follow(&mut self, mut open: Open<K, S::Watch>) -> Input {
        loop {
            if !self.refreshes.is_empty() {
                return Input::Refresh;
            }
            if !open.batch.is_empty() {
                self.record.heard(open.heard);
                let full = open.is_full(&self.options);
                let applied = self.sink.apply(&mut open.batch).await;
                open.batch.clear();
                self.publish();
                if let Err(Regression { held, received }) = applied {
                    tracing::debug!(%held, %received, "the watch went back in time");
                    self.failed(self.protocol("watch", "an event older than the one before"));
                    return Input::WentBack;
                }
                self.well();
                if full {
                    yield_now().await;
                } else {
                    consume_budget().await;
                }
            }
            if let Some(end) = open.end.take() {
                let settled = open.lasted(&self.options);
                return match end {
                    Ok(()) => self.watch_ended(open.events, settled),
                    Err(error) => self.watch_failed(error, settled),
                };
            }
            let settles = open.opened + self.options.watch_settled;
            let silent = open.heard + self.options.watch_silence;
            let deadline = if open.settled { silent.min(open.expires) } else { settles };
            let read = tokio::select! {
                biased;
                Some(order) = self.orders.recv() => {
                    self.obey(order).await;
                    continue;
                }
                read = timeout_at(deadline, open.read(&self.options)) => read,
            };
            if read.is_ok() {
                continue;
            }
            let now = Instant::now();
            if !open.settled {
                open.settled = true;
                self.well();
                self.backoff.well(now);
                self.state = step(self.state.clone(), Input::Settled, now, &self.options).0;
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

    /// Reads one object from where all writes are known, to learn the version of now.
    async fn probe(&mut self) -> Input {
        let request = ListRequest { limit: Some(1), continue_token: None, resource_version: None };
        let probe = match self.source.list(&request).await {
            Err(error) => {
                self.failed(error.clone());
                Probe::Failed(error)
            }
            Ok(page) => match self.sink.held().and_then(|held| page.resource_version.partial_cmp(held)) {
                Some(Ordering::Equal) => Probe::Same,
                Some(Ordering::Less) => {
                    self.failed(self.protocol("list", "a version below the one held"));
                    Probe::Below
                }
                Some(Ordering::Greater) | None => Probe::Newer,
            },
        };
        Input::Probed(probe)
    }

    /// Asks whether the kind is served, now that it was not found.
    async fn discover(&mut self) -> Input {
        let served = match self.source.served().await {
            Ok(served) => Some(served),
            Err(error) => {
                self.failed(error);
                None
            }
        };
        Input::Discovered { served }
    }

    async fn show_absence(&mut self) -> Input {
        tracing::debug!(resource = self.source.resource(), "the kind is not served: there is nothing of it");
        self.sink.commit_absence().await;
        self.committed();
        self.well();
        self.wait(Pace::Absent, None).await
    }

    async fn wait(&mut self, pace: Pace, retry_after: Option<Duration>) -> Input {
        self.open = None;
        let delay = match pace {
            Pace::Growing => self.backoff.next(),
            Pace::Longest => self.backoff.longest(),
            Pace::Absent => self.options.absent_poll.mul_f64(rand::random_range(1.0..=1.25)),
        };
        self.enter(if pace == Pace::Absent { Phase::Absent } else { Phase::BackingOff });
        let delay = delay.max(self.backoff.obeyed(retry_after));
        tracing::debug!(resource = self.source.resource(), ?delay, "waiting before the next attempt");
        let mut slept = pin!(sleep(delay));
        loop {
            tokio::select! {
                () = &mut slept => return Input::Go,
                Some(order) = self.orders.recv() => self.obey(order).await,
            }
        }
    }

    /// Obeys an order, and those that came with it: one list serves all that ask for one.
    async fn obey(&mut self, order: Order<W::Errand>) {
        let mut next = Some(order);
        while let Some(order) = next {
            match order {
                Order::Errand(errand) => {
                    self.sink.run(errand).await;
                    self.publish();
                }
                Order::Refresh(answer) => {
                    self.refreshes.retain(|waiting| !waiting.is_closed());
                    self.refreshes.push(answer);
                }
            }
            next = self.orders.try_recv().ok();
        }
    }

    // --- outcomes ---

    async fn commit(&mut self, version: ResourceVersion) {
        let ordered = version.is_ordered();
        self.listing = false;
        self.sink.commit_list(version).await;
        self.backoff.well(Instant::now());
        self.status.send_if_modified(|status| {
            status.ordered_versions = ordered;
            status.lists += 1;
            false
        });
        self.committed();
    }

    /// Readers see all there is, taken in anew where that was asked for.
    fn committed(&mut self) {
        self.publish();
        self.status.send_modify(|status| status.synced = true);
        for answer in self.refreshes.drain(..) {
            // Whoever asked may have gone.
            let _ = answer.send(());
        }
    }

    fn opened(&mut self, open: Open<K, S::Watch>) {
        self.count_watch();
        self.open = Some(open);
    }

    async fn streaming_failed(&mut self, error: Error) -> Input {
        self.abort_list().await;
        let code = error.http_code().unwrap_or_default();
        // What says nothing about streaming: who asks, what is asked for, from which version, and how often.
        if (400..500).contains(&code) && !matches!(code, 401 | 404 | 408 | 410 | 429) && !error.is_expired() {
            return self.streaming_refused(&error);
        }
        self.failed(error.clone());
        Input::StreamingFailed(error)
    }

    /// No failure: pages will do.
    fn streaming_refused(&self, error: &Error) -> Input {
        tracing::debug!(%error, "no streaming lists here");
        Input::StreamingRefused
    }

    async fn list_failed(&mut self, error: Error, at: PageAt) -> Input {
        self.abort_list().await;
        self.failed(error.clone());
        Input::ListFailed { error, at }
    }

    async fn list_below(&mut self, from: Origin) -> Input {
        self.abort_list().await;
        self.failed(self.protocol("list", "a version below the one held"));
        Input::ListBelow { from }
    }

    fn watch_failed(&mut self, error: Error, settled: bool) -> Input {
        self.failed(error.clone());
        Input::WatchFailed { error, settled }
    }

    fn watch_ended(&mut self, events: bool, settled: bool) -> Input {
        if !events && !settled {
            self.failed(self.protocol("watch", "a watch that ends at once"));
        }
        Input::WatchEnded { events, settled }
    }

    async fn abort_list(&mut self) {
        if std::mem::take(&mut self.listing) {
            self.sink.abort_list().await;
        }
    }

    // --- small parts ---

    /// Orders are not taken while a list is collected, so a refresh that waits has asked for this one.
    fn reuse(&self) -> Held {
        if self.refreshes.is_empty() { Held::Reused } else { Held::Renewed }
    }

    fn from(&self, from: Origin) -> Option<ResourceVersion> {
        match from {
            Origin::Newest => None,
            Origin::Held => self.sink.held().cloned(),
        }
    }

    fn is_below(&self, version: &ResourceVersion) -> bool {
        self.sink.held().is_some_and(|held| version < held)
    }

    /// In whole seconds, as it is asked for.
    fn watch_timeout(&self) -> Duration {
        Duration::from_secs(spread(self.options.watch_timeout).as_secs())
    }

    fn timeout(&self, verb: &'static str, after: Duration) -> Error {
        Kind::Timeout { verb, resource: self.source.resource().to_owned(), after }.into()
    }

    fn protocol(&self, verb: &'static str, what: &'static str) -> Error {
        Kind::Protocol { verb, resource: self.source.resource().to_owned(), what }.into()
    }
}
