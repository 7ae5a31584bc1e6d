//! An open watch: each document of the response body is an event.

mod documents;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use kube_client::client::Body;
use serde::de::IgnoredAny;

use self::documents::{Document, Documents, Unreadable};
use super::answer::status_error;
use super::body::next_chunk;
use super::call::Call;
use super::decode::{broken, parse_item, parse_meta};
use super::json::{Cursor, Malformed, lossy, member, text};
use super::sharding::Sharding;
use super::{Json, Limits, WatchEvent};
use crate::error::Error;
use crate::version::ResourceVersion;

/// The annotation of the bookmark that ends the initial events of a streaming list (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

const NO_EVENT: &str = "a line that is not an event";

/// The most chunks without an event that one poll reads.
const CHUNKS_PER_POLL: usize = 32;

/// A watch over HTTP. It ends with the body; an error is its last item.
pub(crate) struct HttpWatch {
    call: Call,
    /// `None` once it has ended.
    body: Option<Body>,
    documents: Documents,
    /// The largest object that is accepted.
    largest: usize,
    sharding: Sharding,
}

/// The relevant members of an event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event<'a> {
    kind: Option<Cow<'a, str>>,
    object: Option<&'a [u8]>,
}

// === impl HttpWatch ===

impl HttpWatch {
    pub(super) fn new(call: Call, body: Body, limits: &Limits, sharding: Sharding) -> Self {
        Self {
            call,
            body: Some(body),
            documents: Documents::new(limits.line_bytes),
            largest: limits.object_bytes,
            sharding,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WatchEvent<Json>, Error>>> {
        for _ in 0..CHUNKS_PER_POLL {
            match self.documents.next() {
                Ok(Some(document)) => {
                    let event = parse_event(&self.call, &document, self.largest);
                    return Poll::Ready(Some(event.map(|event| self.sharding.event(event))));
                }
                Ok(None) => {}
                Err(Unreadable::TooLong) => {
                    return Poll::Ready(Some(Err(self.call.protocol("a line longer than the limit"))));
                }
                Err(Unreadable::NoObject) => return Poll::Ready(Some(Err(self.no_event()))),
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match ready!(next_chunk(body, cx)) {
                Some(Ok(chunk)) => self.documents.push(chunk),
                Some(Err(error)) => return Poll::Ready(Some(Err(self.call.transport(error)))),
                None => {
                    self.body = None;
                    return Poll::Ready(self.cut_off().map(Err));
                }
            }
        }
        // Endless white space, or a document in tiny chunks, must not block other tasks.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The error for the rest at the end of the body. A partial event means that the connection was cut off;
    /// anything else is not an event.
    fn cut_off(&mut self) -> Option<Error> {
        let rest = self.documents.rest();
        match serde_json::from_slice::<IgnoredAny>(&rest) {
            _ if rest.is_empty() => None,
            Err(error) if is_cut_off(&rest, &error) => {
                Some(self.call.transport(io::Error::from(io::ErrorKind::UnexpectedEof)))
            }
            _ => Some(self.no_event()),
        }
    }

    fn no_event(&self) -> Error {
        self.call.protocol(NO_EVENT)
    }
}

impl Stream for HttpWatch {
    type Item = Result<WatchEvent<Json>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.poll_event(cx));
        if !matches!(next, Some(Ok(_))) {
            self.body = None;
            self.documents.rest();
        }
        Poll::Ready(next)
    }
}

fn parse_event(call: &Call, document: &Document, largest: usize) -> Result<WatchEvent<Json>, Error> {
    let (Document::Whole { text: bytes, .. } | Document::Broken(bytes)) = document;
    let whole = matches!(document, Document::Whole { .. });
    let Ok(Event { kind, object }) = Event::read(document) else {
        return Err(call.protocol(NO_EVENT));
    };
    let Some(kind) = kind else {
        // Some servers and proxies send the `Status` itself in the stream.
        return Err(status(call, bytes).unwrap_or_else(|| call.protocol("an event without a type")));
    };
    let Some(object) = object else {
        return Err(call.protocol("an event without an object"));
    };
    match &*kind {
        "ADDED" | "MODIFIED" if whole => Ok(WatchEvent::Applied(parse_item(bytes, object, largest))),
        "ADDED" | "MODIFIED" => Ok(WatchEvent::Applied(Err(broken(object)))),
        "DELETED" => match if whole { parse_meta(object) } else { Err(broken(object)) } {
            Err(error) if error.key.is_none() => Err(call.protocol("a deletion of an object without a name")),
            meta => Ok(WatchEvent::Deleted(meta)),
        },
        "BOOKMARK" => {
            parse_bookmark(object).map_err(|Malformed| call.protocol("a bookmark without readable metadata"))
        }
        "ERROR" => Err(status(call, object).unwrap_or_else(|| call.protocol("an error without a status"))),
        _ => Err(call.protocol("an event of an unknown type")),
    }
}

// === impl Event ===

impl<'a> Event<'a> {
    /// If the document is not whole, the object is everything after its key.
    fn read(document: &'a Document) -> Result<Self, Malformed> {
        let mut event = Self::default();
        let (Document::Whole { text: bytes, .. } | Document::Broken(bytes)) = document;
        let mut cursor = Cursor::new(bytes);
        cursor.eat(b'{');
        let mut first = true;
        while cursor.another(b'}', first)? {
            first = false;
            match (&*cursor.key()?, document) {
                (b"type", _) => event.kind = Some(cursor.string()?),
                (b"object", Document::Broken(_)) => {
                    event.object = Some(cursor.rest());
                    break;
                }
                // An object that comes here is the only one, so it is the one whose end is known.
                (b"object", Document::Whole { part_end: Some(end), .. })
                    if matches!(cursor.peek(), Some(b'{' | b'[')) =>
                {
                    event.object = Some(cursor.value_to(*end)?);
                }
                (b"object", Document::Whole { .. }) => event.object = Some(cursor.value()?),
                _ => {
                    cursor.value()?;
                }
            }
        }
        Ok(event)
    }
}

fn status(call: &Call, object: &[u8]) -> Option<Error> {
    status_error(call, std::str::from_utf8(&lossy(object)).ok()?)
}

/// Whether the only error is that the text ends too early.
fn is_cut_off(line: &[u8], error: &serde_json::Error) -> bool {
    // An end within a number is reported as an invalid digit.
    let in_number =
        || error.column() >= line.len() && line.last().is_some_and(|last| b"-+.eE".contains(last));
    error.is_eof() || in_number()
}

fn parse_bookmark(object: &[u8]) -> Result<WatchEvent<Json>, Malformed> {
    let of = |object: Option<_>, name| object.map_or(Ok(None), |object| member(object, name));
    let metadata = member(object, "metadata")?;
    let version = match of(metadata, "resourceVersion")? {
        None => Cow::Borrowed(""),
        Some(version) => text(version).ok_or(Malformed)?,
    };
    let end = of(of(metadata, "annotations")?, INITIAL_EVENTS_END)?;
    Ok(WatchEvent::Bookmark {
        resource_version: ResourceVersion::from(&*version),
        initial_events_end: end.is_some_and(|end| end == br#""true""#),
    })
}
