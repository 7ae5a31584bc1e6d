//! Lists by a stream, in pages or in one piece, and handles their failures.

use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::Reflector;
use crate::alarm::Alarm;
use crate::error::Error;
use crate::reflector::sink::{Regression, Reuse, Sink};
use crate::reflector::state::{Form, Input, Origin, PageAt};
use crate::reflector::status::Phase;
use crate::reflector::stream::Open;
use crate::reflector::turn::Turn;
use crate::source::{ListRequest, Source, WatchEvent, WatchRequest};
use crate::version::ResourceVersion;

impl<S: Source, W: Sink<S::Payload>> Reflector<S, W> {
    pub(super) async fn list(
        &mut self,
        form: Form,
        from: Origin,
        page_size: Option<u32>,
        new_epoch: bool,
    ) -> Input {
        self.open = None;
        self.afford_list().await;
        self.begin_listing();
        if form == Form::Stream {
            return self.stream_list(from, new_epoch).await;
        }
        let size = page_size.unwrap_or(self.settings.page_size);
        match self.collect(form, from, size, new_epoch).await {
            Ok(versioned) => Input::Listed { versioned },
            Err(input) => input,
        }
    }

    async fn stream_list(&mut self, from: Origin, new_epoch: bool) -> Input {
        let deadline = Instant::now() + self.settings.streaming_total;
        let request = WatchRequest {
            resource_version: self.from(from),
            timeout: self.watch_timeout(),
            initial_events: true,
        };
        let opened = match timeout_at(deadline, self.source.watch(&request)).await {
            Ok(opened) => opened,
            Err(_) => Err(self.timeout("watch", self.settings.streaming_total)),
        };
        let mut open = match opened {
            Ok(stream) => Open::new(stream, request.timeout, &self.settings),
            Err(error) => return self.streaming_failed(error),
        };
        self.reached();
        self.recovery.spend_list(open.opened);
        self.enter(Phase::Listing);
        // Whether the list begins a new epoch is known only at its end.
        let reuse = if new_epoch { Reuse::Nothing } else { self.reuse() };
        let mut list = self.sink.begin_list(reuse);
        let (mut window, mut objects) = (open.opened, 0);
        let (mut alarm, mut turn) = (Alarm::new(deadline), Turn::new());
        loop {
            let patience = (open.heard + self.settings.streaming_silence).min(deadline);
            if alarm.wait(patience, open.read_a_turn(&self.settings)).await.is_none() && open.batch.is_empty()
            {
                let error = self.timeout("watch", self.settings.streaming_silence);
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
                        if let Err(input) = self.commit(list, Some(resource_version)).await {
                            return input;
                        }
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
                // A server that closes the stream before the end of the list does not support streaming
                // lists.
                Some(Ok(())) => {
                    let error = self.protocol("watch", "a list that ended before its end");
                    return self.streaming_failed(error);
                }
            }
            let now = Instant::now();
            if now.duration_since(window) >= self.settings.streaming_silence {
                let patient = now.duration_since(open.opened) < self.settings.streaming_patience;
                if !patient && objects < self.settings.page_size.max(1) {
                    let error = self.protocol("watch", "a streaming list that goes on without an end");
                    return self.streaming_endless(error);
                }
                (window, objects) = (now, 0);
            }
        }
    }

    /// Lists in pages or in one piece, and commits. Returns whether the list has a version, or how it failed.
    pub(super) async fn collect(
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
            // An older page may lack objects that were created before the version of the first page. (The
            // watch repairs only what changed after that version.)
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
            if pages >= self.settings.pages {
                let error = self.protocol("list", "more pages than the limit");
                return Err(self.list_failed(error, form, PageAt::Later));
            }
            request.continue_token = page.continue_token;
            yield_now().await;
        }
        if let Some(error) = self.source.wrong_shard() {
            return Err(self.list_failed(error, form, PageAt::Later));
        }
        let Some((version, list)) = begun else { return Ok(false) };
        let version = Some(version).filter(|version| !version.is_empty());
        let versioned = version.is_some();
        self.commit(list, version).await?;
        Ok(versioned)
    }

    /// `version`: `None` for a list that has none.
    pub(super) async fn commit(
        &mut self,
        list: W::List,
        version: Option<ResourceVersion>,
    ) -> Result<(), Input> {
        let ordered = version.as_ref().is_some_and(ResourceVersion::is_ordered);
        let unversioned = version.is_none();
        if let Err(Regression { held, received }) = self.sink.commit(list, version).await {
            tracing::debug!(%held, %received, "the list is older than what was received for another part");
            self.failed(self.protocol("list", "a version below that of another part of the scope"));
            return Err(Input::WentBack);
        }
        self.listed(ordered, unversioned);
        self.source.find_shard_filter().await;
        self.note_shard_filter();
        Ok(())
    }

    fn listed(&mut self, ordered: bool, unversioned: bool) {
        self.recovery.listed();
        self.record.committed();
        self.status.modify_if(|status| {
            status.ordered_versions = ordered;
            status.unversioned = unversioned;
            false
        });
        if self.state.is_polling() {
            self.polled();
        }
        self.committed();
    }

    /// Readers see the newest state: answers the callers of `refresh`.
    pub(super) fn committed(&mut self) {
        if self.status.sync() {
            self.log.synced();
        }
        self.answer_refreshes();
    }

    /// Commands do not run while a list is collected, so a waiting refresh is answered by this list.
    fn reuse(&mut self) -> Reuse {
        if self.wants_refresh() { Reuse::Nothing } else { Reuse::Unchanged }
    }

    /// The result of a refresh must not be older than the call, so its list is a consistent read.
    fn from(&mut self, from: Origin) -> Option<ResourceVersion> {
        match from {
            Origin::Reuse if !self.wants_refresh() => self.sink.held(),
            Origin::Reuse | Origin::Newest => None,
        }
    }

    fn is_below(&self, version: &ResourceVersion) -> bool {
        self.sink.held().is_some_and(|held| *version < held)
    }

    fn streaming_failed(&mut self, error: Error) -> Input {
        let code = error.http_code().unwrap_or_default();
        // 401, 404, 408, 410 and 429 are not about streaming, but about credentials, path, version or request
        // rate.
        if (400..500).contains(&code) && !matches!(code, 401 | 404 | 408 | 410 | 429) && !error.is_expired() {
            tracing::debug!(%error, "the server has no streaming lists; listing in pages");
            // Not a failure: other forms of list are tried.
            return Input::StreamingRefused;
        }
        self.list_failed(error, Form::Stream, PageAt::First)
    }

    /// The streaming list does not end.
    fn streaming_endless(&mut self, error: Error) -> Input {
        self.failed(error);
        Input::StreamingRefused
    }

    fn list_failed(&mut self, error: Error, form: Form, at: PageAt) -> Input {
        // The list may have cost the server work.
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
}
