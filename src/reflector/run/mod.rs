//! The loop that does what the state machine says.

mod report;

use std::cmp::Ordering;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{consume_budget, yield_now};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::command::Command;
use super::gate::Gate;
use super::log::Log;
use super::options::Options;
use super::recovery::{Pace, Recovery};
use super::sink::{Regression, Reuse, Sink};
use super::state::{Effect, Form, Input, Origin, PageAt, Probe, State, step};
use super::status::{Phase, Status};
use super::stream::Open;
use super::tally::Recorder;
use super::turn::Turn;
use crate::error::{Error, Kind};
use crate::source::{ListRequest, Source, WatchEvent, WatchRequest};
use crate::version::ResourceVersion;

/// Those who waited for one attempt together go on within this time, at random.
const TOGETHER: Duration = Duration::from_millis(250);

/// Orders carried out before the watch is looked at again.
const COMMANDS_PER_TURN: usize = 8;

/// Where bookmarks were seen to come regularly, a watch without a word for longer than they take is doubted; but not
/// before this time.
const SHORTEST_SILENCE: Duration = Duration::from_secs(30);

/// Keeps `sink` in step with `source` until `stop` is cancelled, and gives the sink back.
///
/// Owns all it uses: nothing is left behind when it ends, which it does at the next await after the cancellation.
/// `status` wakes its receivers when something changes that one may want to act on; versions and counts of objects
/// are brought up to date without waking anyone.
///
/// Reflectors of one client share a `gate`.
#[expect(clippy::too_many_arguments, reason = "the parts of a reflector, put together in one place")]
pub(crate) async fn run<S, W>(
    source: S,
    sink: W,
    status: watch::Sender<Status>,
    record: Recorder,
    commands: mpsc::Receiver<Command<W::AddIndex>>,
    stop: CancellationToken,
    options: Options,
    gate: Arc<Gate>,
) -> W
where
    S: Source,
    W: Sink<S::Payload>,
{
    let mut reflector = Reflector {
        source,
        sink,
        status,
        record,
        commands,
        refreshes: Vec::new(),
        recovery: Recovery::new(&options),
        gate,
        state: State::start(),
        options,
        open: None,
        bookmarks: Bookmarks::default(),
        log: Log::default(),
    };
    stop.run_until_cancelled(reflector.drive()).await;
    reflector.enter(Phase::Stopped);
    reflector.sink
}

struct Reflector<S: Source, W: Sink<S::Payload>> {
    source: S,
    sink: W,
    status: watch::Sender<Status>,
    record: Recorder,
    commands: mpsc::Receiver<Command<W::AddIndex>>,
    /// Who waits for a list in which nothing held is reused.
    refreshes: Vec<oneshot::Sender<()>>,
    options: Options,
    recovery: Recovery,
    gate: Arc<Gate>,
    state: State,
    open: Option<Open<S::Payload, S::Watch>>,
    bookmarks: Bookmarks,
    log: Log,
}

/// How often the server sends bookmarks, as far as it was seen.
#[derive(Default)]
struct Bookmarks {
    /// When the last one of the open watch came.
    last: Option<Instant>,
    /// The longest time between two of one watch.
    every: Option<Duration>,
}

// === impl Reflector ===

impl<S: Source, W: Sink<S::Payload>> Reflector<S, W> {
    async fn drive(&mut self) -> Infallible {
        let mut input = Input::Go;
        loop {
            self.record.ended(&input);
            let (state, effect) = step(self.state.clone(), input, Instant::now(), &self.options);
            self.state = state;
            self.record.begins(&effect);
            input = match effect {
                Effect::List { form, from, page_size, new_epoch } => {
                    self.list(form, from, page_size, new_epoch).await
                }
                Effect::Watch => self.watch().await,
                Effect::WatchUnversioned => self.watch_unversioned().await,
                Effect::Probe => self.probe().await,
                Effect::Discover => self.discover().await,
                Effect::ShowAbsence => self.show_absence().await,
                Effect::Wait { pace, retry_after } => self.wait(pace, retry_after).await,
            };
            // A source that answers at once, and always, must not keep the task from its runtime.
            consume_budget().await;
        }
    }

    async fn list(&mut self, form: Form, from: Origin, page_size: Option<u32>, new_epoch: bool) -> Input {
        self.open = None;
        self.afford_list().await;
        self.begin_listing();
        if form == Form::Stream {
            return self.stream_list(from, new_epoch).await;
        }
        let size = page_size.unwrap_or(self.options.page_size);
        match self.collect(form, from, size, new_epoch).await {
            Ok(versioned) => Input::Listed { versioned },
            Err(input) => input,
        }
    }

    async fn stream_list(&mut self, from: Origin, new_epoch: bool) -> Input {
        let deadline = Instant::now() + self.options.streaming_total;
        let request = WatchRequest {
            resource_version: self.from(from),
            timeout: self.watch_timeout(),
            initial_events: true,
        };
        let opened = match timeout_at(deadline, self.source.watch(&request)).await {
            Ok(opened) => opened,
            Err(_) => Err(self.timeout("watch", self.options.streaming_total)),
        };
        let mut open = match opened {
            Ok(stream) => Open::new(stream, request.timeout, &self.options),
            Err(error) => return self.streaming_failed(error),
        };
        self.reached();
        self.recovery.spend_list(open.opened);
        self.enter(Phase::Listing);
        // Of which epoch it is shows at its end.
        let reuse = if new_epoch { Reuse::Nothing } else { self.reuse() };
        let mut list = self.sink.begin_list(reuse);
        let (mut window, mut objects) = (open.opened, 0);
        let mut turn = Turn::new();
        loop {
            let patience = (open.heard + self.options.streaming_silence).min(deadline);
            if timeout_at(patience, open.read_a_turn(&self.options)).await.is_err() && open.batch.is_empty() {
                let error = self.timeout("watch", self.options.streaming_silence);
                return self.streaming_endless(error);
            }
            if !open.batch.is_empty() {
                self.record.heard(open.heard);
            }
            let mut events = std::mem::take(&mut open.batch).into_iter();
            while let Some(event) = events.next() {
                match event {
                    WatchEvent::Applied(item) => self.sink.upsert(&mut list, item),
                    WatchEvent::Deleted(deleted) => self.sink.delete(&mut list, deleted),
                    WatchEvent::Bookmark { initial_events_end: false, .. } => {}
                    WatchEvent::Bookmark { resource_version, initial_events_end: true } => {
                        if resource_version.is_empty() {
                            let error =
                                self.protocol("watch", "the end of a streaming list without a version");
                            return self.streaming_failed(error);
                        }
                        if self.is_below(&resource_version) {
                            if !new_epoch {
                                return self.list_below(from);
                            }
                            self.sink.begin_epoch(&mut list);
                        }
                        self.commit(list, Some(resource_version)).await;
                        open.batch = events.collect();
                        self.opened(open);
                        return Input::Listed { versioned: true };
                    }
                }
                objects += 1;
                turn.pass().await;
            }
            match open.end.take() {
                None => {}
                Some(Err(error)) => return self.streaming_failed(error),
                // One that ends in order before its own end is not a streaming list.
                Some(Ok(())) => {
                    let error = self.protocol("watch", "a list that ended before its end");
                    return self.streaming_failed(error);
                }
            }
            let now = Instant::now();
            if now.duration_since(window) >= self.options.streaming_silence {
                let patient = now.duration_since(open.opened) < self.options.streaming_patience;
                if !patient && objects < self.options.page_size.max(1) {
                    let error = self.protocol("watch", "a streaming list that goes on without an end");
                    return self.streaming_endless(error);
                }
                (window, objects) = (now, 0);
            }
        }
    }

    /// Lists in pages or in one piece, and commits. Whether the list has a version, or how it failed.
    async fn collect(
        &mut self,
        form: Form,
        from: Origin,
        page_size: u32,
        new_epoch: bool,
    ) -> Result<bool, Input> {
        let mut request = ListRequest {
            limit: Some(page_size).filter(|size| form == Form::Pages && *size > 0),
            continue_token: None,
            resource_version: self.from(from),
        };
        let mut begun: Option<(ResourceVersion, W::List)> = None;
        let mut pages: u32 = 0;
        let mut turn = Turn::new();
        loop {
            let page = match self.source.list(&request).await {
                Ok(page) => page,
                Err(error) => {
                    let at = if begun.is_some() { PageAt::Later } else { PageAt::First };
                    return Err(self.list_failed(error, form, at));
                }
            };
            self.reached();
            let now = Instant::now();
            self.record.heard(now);
            let (first, list) = match &mut begun {
                None => {
                    self.recovery.spend_list(now);
                    self.enter(Phase::Listing);
                    let below = self.is_below(&page.resource_version);
                    if below && !new_epoch {
                        return Err(self.list_below(from));
                    }
                    let reuse = if below { Reuse::NewEpoch } else { self.reuse() };
                    begun.insert((page.resource_version.clone(), self.sink.begin_list(reuse)))
                }
                Some(begun) => begun,
            };
            // What was listed before may be missing here. (From an older first page, a watch makes up for it.)
            if page.resource_version < *first {
                let error = self.protocol("list", "a page of a lower version than the first one");
                return Err(self.list_failed(error, form, PageAt::Later));
            }
            for item in page.items {
                self.sink.upsert(list, item);
                turn.pass().await;
            }
            if page.continue_token.is_none() {
                break;
            }
            if page.continue_token == request.continue_token {
                let error = self.protocol("list", "a page that continues with itself");
                return Err(self.list_failed(error, form, PageAt::Later));
            }
            pages += 1;
            if pages >= self.options.pages {
                let error = self.protocol("list", "more pages than the limit");
                return Err(self.list_failed(error, form, PageAt::Later));
            }
            request.continue_token = page.continue_token;
            yield_now().await;
        }
        let Some((version, list)) = begun else { return Ok(false) };
        let version = Some(version).filter(|version| !version.is_empty());
        let versioned = version.is_some();
        self.commit(list, version).await;
        Ok(versioned)
    }

    async fn watch(&mut self) -> Input {
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

    /// A watch that begins anywhere shows what is there and what goes from then on; what went before it was open shows
    /// in a list after that.
    async fn watch_unversioned(&mut self) -> Input {
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

    /// Opens a watch. What the application asks for meanwhile is done.
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
                    Some(order) = self.commands.recv() => {
                        obey(order, &mut self.commands, &mut self.sink, &mut self.refreshes).await;
                    }
                }
            }
        };
        let open = Open::new(opened?, request.timeout, &self.options);
        self.reached();
        self.count_watch();
        self.bookmarks.last = None;
        if !self.in_trouble() {
            // The one before ended in order, and this one goes on where it was.
            self.well();
        }
        Ok(open)
    }

    async fn follow(&mut self, mut open: Open<S::Payload, S::Watch>) -> Input {
        loop {
            if self.wants_refresh() {
                return Input::Refresh;
            }
            if !open.batch.is_empty() {
                self.record.heard(open.heard);
                self.bookmarks.note(&open.batch, open.heard);
                let full = open.is_full(&self.options);
                let applied = self.apply(&mut open.batch).await;
                open.batch.clear();
                if let Err(Regression { held, received }) = applied {
                    tracing::debug!(%held, %received, "the watch sent an event older than the previous one");
                    self.failed(self.protocol("watch", "an event older than the one before"));
                    return Input::WentBack;
                }
                open.settled = true;
                self.progress(true);
                if full {
                    yield_now().await;
                } else {
                    consume_budget().await;
                }
            }
            if let Some(end) = open.end.take() {
                let worked = open.events || open.lasted(&self.options);
                return match end {
                    Ok(()) => self.watch_ended(worked),
                    Err(error) => self.watch_failed(error, worked),
                };
            }
            let settles = open.opened + self.options.watch_settled;
            let silent = open.heard + self.silence();
            let deadline = if open.settled { silent.min(open.expires) } else { settles };
            let read = tokio::select! {
                biased;
                Some(order) = self.commands.recv() => {
                    obey(order, &mut self.commands, &mut self.sink, &mut self.refreshes).await;
                    // The watch has its turn, however many there are.
                    let _ = open.read(&self.options).now_or_never();
                    continue;
                }
                read = timeout_at(deadline, open.read(&self.options)) => read,
            };
            // What came before the time was over counts.
            if read.is_ok() || !open.batch.is_empty() {
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

    /// Reads one object from where all writes are known, to learn the version of now.
    async fn probe(&mut self) -> Input {
        let request = ListRequest { limit: Some(1), continue_token: None, resource_version: None };
        let probed = self.source.list(&request).await;
        if probed.is_ok() {
            self.reached();
        }
        let probe = match probed {
            Err(error) => {
                self.failed(error.clone());
                Probe::Failed(error)
            }
            Ok(page) => match self.probed(&page.resource_version) {
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
            Ok(served) => {
                self.reached();
                Some(served)
            }
            Err(error) => {
                self.failed(error);
                None
            }
        };
        Input::Discovered { served }
    }

    async fn show_absence(&mut self) -> Input {
        self.log.absent();
        self.sink.commit_absence().await;
        self.committed();
        self.well();
        self.wait(Pace::Absent, None).await
    }

    async fn wait(&mut self, pace: Pace, retry_after: Option<Duration>) -> Input {
        self.open = None;
        // Still absent is the answer to a refresh.
        let absence_shown = pace == Pace::Absent && self.state.shows_absence();
        if absence_shown {
            self.answer_refreshes();
        }
        let now = Instant::now();
        self.enter_wait(pace, now);
        // While the gate is closed, it says when.
        let pace_of_gate = pace == Pace::Unreachable && self.gate.is_closed();
        let delay = if pace_of_gate { Duration::ZERO } else { self.recovery.delay(pace, retry_after, now) };
        tracing::debug!(?pace, ?delay, "waiting before the next attempt");
        let (gate, together) = (self.gate.clone(), self.recovery.up_to(TOGETHER));
        let waited = async move {
            sleep(delay).await;
            if gate.pass().await {
                sleep(together).await;
            }
        };
        let mut waited = pin!(waited);
        loop {
            tokio::select! {
                biased;
                () = &mut waited => {
                    self.recovery.attempts(Instant::now());
                    return Input::Go;
                }
                Some(order) = self.commands.recv() => {
                    self.obey(order).await;
                    if absence_shown && !self.refreshes.is_empty() {
                        return Input::Go;
                    }
                }
            }
        }
    }

    /// Waits until the budget allows for a list. One that the application asks for does not wait.
    async fn afford_list(&mut self) {
        let now = Instant::now();
        let delay = self.recovery.until_list(now);
        if delay.is_zero() || self.wants_refresh() {
            return;
        }
        self.enter_wait(Pace::Refused, now);
        tracing::debug!(?delay, "waiting for the budget of lists");
        let mut slept = pin!(sleep(delay));
        while !self.wants_refresh() {
            tokio::select! {
                biased;
                () = &mut slept => return,
                Some(order) = self.commands.recv() => self.obey(order).await,
            }
        }
    }

    async fn obey(&mut self, order: Command<W::AddIndex>) {
        obey(order, &mut self.commands, &mut self.sink, &mut self.refreshes).await;
    }

    // --- outcomes ---

    /// `version`: `None` for a list that has none.
    async fn commit(&mut self, list: W::List, version: Option<ResourceVersion>) {
        let ordered = version.as_ref().is_some_and(ResourceVersion::is_ordered);
        let unversioned = version.is_none();
        self.sink.commit(list, version).await;
        self.listed(ordered, unversioned);
    }

    fn listed(&mut self, ordered: bool, unversioned: bool) {
        self.recovery.listed();
        self.record.committed();
        self.status.send_if_modified(|status| {
            status.ordered_versions = ordered;
            status.unversioned = unversioned;
            false
        });
        if self.state.is_polling() {
            self.polled();
        }
        self.committed();
    }

    /// Readers see all there is, taken in anew where that was asked for.
    fn committed(&mut self) {
        let was_synced = self.status.borrow().synced;
        self.status.send_modify(|status| status.synced = true);
        if !was_synced {
            self.log.synced();
        }
        self.answer_refreshes();
    }

    fn answer_refreshes(&mut self) {
        for answer in self.refreshes.drain(..) {
            // Whoever asked may have gone.
            let _ = answer.send(());
        }
    }

    fn opened(&mut self, open: Open<S::Payload, S::Watch>) {
        self.count_watch();
        self.bookmarks.last = None;
        self.open = Some(open);
    }

    fn streaming_failed(&mut self, error: Error) -> Input {
        let code = error.http_code().unwrap_or_default();
        // What says nothing about streaming: who asks, what is asked for, from which version, and how often.
        if (400..500).contains(&code) && !matches!(code, 401 | 404 | 408 | 410 | 429) && !error.is_expired() {
            tracing::debug!(%error, "the server has no streaming lists; listing in pages");
            // No failure: other lists will do.
            return Input::StreamingRefused;
        }
        self.list_failed(error, Form::Stream, PageAt::First)
    }

    /// It does not come to its end.
    fn streaming_endless(&mut self, error: Error) -> Input {
        self.failed(error);
        Input::StreamingRefused
    }

    fn list_failed(&mut self, error: Error, form: Form, at: PageAt) -> Input {
        // What the server has worked for, or may have.
        if at == PageAt::First
            && !error.is_unanswered()
            && error.http_code().is_none()
            && form != Form::Stream
        {
            self.recovery.spend_list(Instant::now());
        }
        self.failed(error.clone());
        Input::ListFailed { error, form, at }
    }

    fn list_below(&mut self, from: Origin) -> Input {
        self.failed(self.protocol("list", "a version below the one held"));
        Input::ListBelow { from }
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

    /// The watch works: it said something, or has been open for a while.
    fn progress(&mut self, heard: bool) {
        self.state = step(self.state.clone(), Input::Settled { heard }, Instant::now(), &self.options).0;
        self.recovery.progress();
        if !self.state.is_doubtful() {
            self.well();
        }
    }

    // --- small parts ---

    /// Orders are not taken while a list is collected, so a refresh that waits has asked for this one.
    fn reuse(&mut self) -> Reuse {
        if self.wants_refresh() { Reuse::Nothing } else { Reuse::Unchanged }
    }

    /// Whether somebody still waits for a list in which nothing held is reused.
    fn wants_refresh(&mut self) -> bool {
        self.refreshes.retain(|waiting| !waiting.is_closed());
        !self.refreshes.is_empty()
    }

    fn probed(&self, version: &ResourceVersion) -> Option<Ordering> {
        self.sink.held().and_then(|held| version.partial_cmp(&held))
    }

    /// How long the watch may be without event or bookmark.
    fn silence(&self) -> Duration {
        let every = self.bookmarks.every.map(|every| every + every / 10 + Duration::from_secs(2));
        every.map_or(Duration::MAX, |every| every.max(SHORTEST_SILENCE)).min(self.options.watch_silence)
    }

    /// What is asked for must not be older than the asking, so a list for a refresh is a consistent read.
    fn from(&mut self, from: Origin) -> Option<ResourceVersion> {
        match from {
            Origin::Reuse if !self.wants_refresh() => self.sink.held(),
            Origin::Reuse | Origin::Newest => None,
        }
    }

    fn is_below(&self, version: &ResourceVersion) -> bool {
        self.sink.held().is_some_and(|held| *version < held)
    }

    /// In whole seconds, as it is asked for.
    fn watch_timeout(&mut self) -> Duration {
        Duration::from_secs(self.recovery.spread(self.options.watch_timeout).as_secs())
    }

    fn timeout(&self, verb: &'static str, after: Duration) -> Error {
        Kind::Timeout { verb, resource: self.source.resource().to_owned(), after }.into()
    }

    fn protocol(&self, verb: &'static str, what: &'static str) -> Error {
        Kind::Protocol { verb, resource: self.source.resource().to_owned(), what }.into()
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

/// Carries out an order, and some that came with it: one list serves all that ask for one.
async fn obey<K, W: Sink<K>>(
    order: Command<W::AddIndex>,
    commands: &mut mpsc::Receiver<Command<W::AddIndex>>,
    sink: &mut W,
    refreshes: &mut Vec<oneshot::Sender<()>>,
) {
    let mut next = Some(order);
    for _ in 0..COMMANDS_PER_TURN {
        match next {
            None => return,
            Some(Command::AddIndex(index)) => {
                sink.add_index(index).await;
            }
            Some(Command::Refresh(answer)) => {
                refreshes.retain(|waiting| !waiting.is_closed());
                refreshes.push(answer);
            }
        }
        next = commands.try_recv().ok();
    }
}
