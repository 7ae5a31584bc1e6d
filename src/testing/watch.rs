//! Watches: a cursor into a collection's history, turned into lines of JSON.
//!
//! ```text
//! start ── initial ADDED events (version unset or 0, or sendInitialEvents) ── changes meanwhile ── end bookmark
//!   └──> loop: changes after the cursor ─> lines; none left: wait for a write, a bookmark's time, the deadline
//! ```
//! No lock is held while waiting, and there is no queue: a slow watcher falls behind in the history, and gets 410 once
//! the history no longer has its position.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::collection::Change;
use super::faults::{EventAction, EventFault, RequestScope};
use super::object::{Form, Version, to_bytes};
use super::query::{Query, parse_version};
use super::shared::Shared;
use super::state::State;
use super::status::ApiStatus;

/// The most events of the history in one chunk of the body.
const EVENTS_PER_CHUNK: usize = 512;
/// The last bookmark comes this long before the end, as from kube-apiserver.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// One open watch.
pub(super) struct Watch {
    shared: Arc<Shared>,
    collection: u64,
    prefix: String,
    query: Query,
    form: Form,
    scope: RequestScope,
    cursor: u64,
    initial: std::vec::IntoIter<Arc<Version>>,
    end: End,
    wake: watch::Receiver<u64>,
    hang_up: watch::Receiver<u64>,
    deadline: Instant,
    next_bookmark: Option<Instant>,
    bookmark_interval: Duration,
    /// A fault that takes effect after the lines before it are sent.
    pending: Option<EventFault>,
    done: bool,
}

/// The bookmark that ends the initial events (KEP-3157).
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was not requested, or it was sent.
    None,
    /// It is due once the initial events are sent.
    Due,
    /// It is due once the changes up to this version are sent, which were made meanwhile.
    At(u64),
}

enum Step {
    Lines(Bytes),
    Wait,
    End,
}

impl Watch {
    /// Begins a watch. Errors are returned here, except for a version that is too old: that error is in the stream.
    pub(super) fn start(
        shared: &Arc<Shared>,
        state: &State,
        collection: u64,
        namespace: Option<&str>,
        query: Query,
        partial: bool,
        scope: RequestScope,
    ) -> Result<Self, ApiStatus> {
        let has_versions = state.collection(collection)?.kind().has_versions();
        let query = if has_versions { query } else { query.without_version() };
        let asked = match query.version.as_str() {
            "" => 0,
            text => parse_version(text).map_err(ApiStatus::internal)?,
        };
        let newest = state.version();
        let lists = query.initial_events.unwrap_or(asked == 0);
        // A real server detects this after the stream has begun, so the error is in the stream.
        let ahead = query.initial_events == Some(true) && asked > newest;
        let pending = ahead.then(|| EventFault::Error(ApiStatus::too_large_version(asked, newest)));
        let mut initial = Vec::new();
        let mut cursor = asked;
        if lists {
            let all =
                Query { selector: query.selector.clone(), shard: query.shard.clone(), ..Query::default() };
            initial = state.list(collection, namespace, &all)?.items;
            cursor = newest;
        } else if asked == 0 {
            cursor = newest;
        }
        let now = Instant::now();
        let deadline = now + query.timeout_seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        let interval = shared.settings.bookmark_interval;
        Ok(Self {
            wake: state.collection(collection)?.subscribe(),
            hang_up: shared.hang_up.subscribe(),
            shared: shared.clone(),
            collection,
            prefix: namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default(),
            form: if partial { Form::Partial } else { Form::Full },
            scope,
            cursor,
            initial: initial.into_iter(),
            end: if !has_versions || (query.initial_events == Some(true) && query.bookmarks) {
                End::Due
            } else {
                End::None
            },
            deadline,
            next_bookmark: (query.bookmarks && has_versions).then(|| bookmark_time(now, interval, deadline)),
            bookmark_interval: interval,
            query,
            pending,
            done: false,
        })
    }

    /// The next chunk of the body, in whole lines. `None` at the end; an error cuts the connection. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        if self.done {
            return None;
        }
        loop {
            self.wake.borrow_and_update();
            match self.step() {
                Ok(Step::Lines(lines)) => return Some(Ok(lines)),
                Ok(Step::Wait) => {}
                Ok(Step::End) => {
                    self.done = true;
                    return None;
                }
                Err(cut) => {
                    self.done = true;
                    return Some(Err(cut));
                }
            }
            let bookmark = self.next_bookmark.unwrap_or(self.deadline);
            tokio::select! {
                biased;
                _ = self.hang_up.changed() => self.done = true,
                changed = self.wake.changed() => if changed.is_err() { self.done = true },
                () = tokio::time::sleep_until(bookmark.min(self.deadline)) => {
                    if Instant::now() >= self.deadline {
                        self.done = true;
                    } else if let Some(bookmark) = self.bookmark() {
                        return Some(Ok(bookmark));
                    }
                }
            }
            if self.done {
                return None;
            }
        }
    }

    fn step(&mut self) -> Result<Step, std::io::Error> {
        let mut out = BytesMut::new();
        if let Some(fault) = self.pending.take() {
            return self.finish(fault, out);
        }
        for object in self.initial.by_ref().take(EVENTS_PER_CHUNK) {
            if let Some(end) = emit(&self.shared, &self.scope, &mut out, "ADDED", &object.bytes(self.form)) {
                return self.finish(end, out);
            }
        }
        if !out.is_empty() {
            return Ok(Step::Lines(out.freeze()));
        }
        let shared = self.shared.clone();
        let state = shared.state();
        let Ok(collection) = state.collection(self.collection) else { return Ok(Step::End) };
        if self.end == End::Due {
            self.end = End::At(state.version());
        }
        let floor = collection.watch_floor();
        if self.cursor < floor && self.end == End::None {
            self.done = true;
            put_line(
                &mut out,
                "ERROR",
                &to_bytes(&ApiStatus::too_old_to_watch(self.cursor, floor).to_value()),
            );
            return Ok(Step::Lines(out.freeze()));
        }
        let mut seen = 0;
        let last = if let End::At(version) = self.end { version } else { u64::MAX };
        let due = collection.changes_after(self.cursor).take_while(|change| change.version <= last);
        for change in due.take(EVENTS_PER_CHUNK) {
            seen += 1;
            self.cursor = change.version;
            let Some((event, bytes)) = self.event(change) else { continue };
            if let Some(end) = emit(&self.shared, &self.scope, &mut out, event, &bytes) {
                return self.finish(end, out);
            }
        }
        if !out.is_empty() {
            return Ok(Step::Lines(out.freeze()));
        }
        if let End::At(version) = self.end
            && seen < EVENTS_PER_CHUNK
        {
            self.end = End::None;
            // The history may no longer reach back this far. That error comes after the bookmark.
            self.cursor = if self.cursor < floor { self.cursor } else { version };
            drop(state);
            if !self.shared.faults.on_initial_events_end(&self.scope) {
                let annotations = json!({ "k8s.io/initial-events-end": "true" });
                return Ok(Step::Lines(self.bookmark_line(self.cursor, Some(annotations))));
            }
            self.wake.mark_changed();
            return Ok(Step::Wait);
        }
        if seen == EVENTS_PER_CHUNK {
            // The selectors excluded all of them. There may be more.
            self.wake.mark_changed();
        } else if collection.is_closed() {
            return Ok(Step::End);
        }
        Ok(Step::Wait)
    }

    /// The event of a change for this watcher. An object may enter and leave its selectors.
    fn event(&self, change: &Change) -> Option<(&'static str, Bytes)> {
        if !change.key.starts_with(&self.prefix) {
            return None;
        }
        let selected = |object: &&Arc<Version>| self.query.selects(object.value());
        let new = change.new.as_ref().filter(selected);
        let old = change.old.as_ref().filter(selected);
        match (old, new) {
            (None, None) => None,
            (None, Some(new)) => Some(("ADDED", new.bytes(self.form))),
            (Some(_), Some(new)) => Some(("MODIFIED", new.bytes(self.form))),
            (Some(old), None) => Some(("DELETED", old.at(change.version).bytes(self.form))),
        }
    }

    /// `None` while the server has not reached the requested version: such a watch receives nothing at all.
    fn bookmark(&mut self) -> Option<Bytes> {
        let now = Instant::now();
        self.next_bookmark = Some(bookmark_time(now, self.bookmark_interval, self.deadline));
        let shared = self.shared.clone();
        let state = shared.state();
        // No change between the cursor and the newest version is of this kind, or the loop did not wait. A later change
        // is left for the next round, and the bookmark stays below it.
        let behind = state
            .collection(self.collection)
            .ok()
            .and_then(|collection| collection.changes_after(self.cursor).next().map(|_| self.cursor));
        let newest = state.version();
        drop(state);
        if newest < self.cursor {
            return None;
        }
        let version = behind.unwrap_or(newest);
        self.cursor = version;
        Some(self.bookmark_line(version, None))
    }

    fn bookmark_line(&self, version: u64, annotations: Option<Value>) -> Bytes {
        let state = self.shared.state();
        let Ok(collection) = state.collection(self.collection) else { return Bytes::new() };
        let (kind, api_version) = match self.form {
            Form::Partial => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
            _ => (collection.kind().kind().to_owned(), collection.kind().api_version()),
        };
        let mut object = json!({ "kind": kind, "apiVersion": api_version, "metadata": {} });
        if collection.kind().has_versions() {
            object["metadata"]["resourceVersion"] = json!(version.to_string());
            if let Some(annotations) = annotations {
                object["metadata"]["annotations"] = annotations;
            }
        }
        drop(state);
        let mut out = BytesMut::new();
        put_line(&mut out, "BOOKMARK", &to_bytes(&object));
        out.freeze()
    }

    /// Ends the stream as a fault demands, after what was written so far.
    fn finish(&mut self, fault: EventFault, mut out: BytesMut) -> Result<Step, std::io::Error> {
        match fault {
            EventFault::Error(status) => {
                self.done = true;
                put_line(&mut out, "ERROR", &to_bytes(&status.to_value()));
                Ok(Step::Lines(out.freeze()))
            }
            fault if !out.is_empty() => {
                self.pending = Some(fault);
                Ok(Step::Lines(out.freeze()))
            }
            EventFault::End => Ok(Step::End),
            EventFault::Cut => Err(std::io::ErrorKind::ConnectionReset.into()),
        }
    }
}

/// Writes an event unless a fault takes its place.
fn emit(
    shared: &Shared,
    scope: &RequestScope,
    out: &mut BytesMut,
    event: &str,
    object: &[u8],
) -> Option<EventFault> {
    match shared.faults.on_event(scope) {
        Some(EventAction::Stop(fault)) => return Some(fault),
        Some(EventAction::Insert(bytes)) => out.put_slice(&bytes),
        None => {}
    }
    put_line(out, event, object);
    None
}

fn put_line(out: &mut BytesMut, event: &str, object: &[u8]) {
    out.reserve(object.len() + 40);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(event.as_bytes());
    out.put_slice(b"\",\"object\":");
    out.put_slice(object);
    out.put_slice(b"}\n");
}

/// When the next bookmark is due: at the interval, or shortly before the end if that comes first.
fn bookmark_time(now: Instant, interval: Duration, deadline: Instant) -> Instant {
    let regular = now + interval;
    match deadline.checked_sub(BOOKMARK_BEFORE_END) {
        Some(last) if last < regular && last > now => last,
        _ => regular,
    }
}
