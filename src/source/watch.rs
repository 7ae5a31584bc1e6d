//! An open watch: lines of a response body, each an event.

mod lines;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use kube_client::client::Body;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::lines::Lines;
use super::decode::{parse_item, parse_meta};
use super::kube::{Call, next_chunk, status_error};
use super::{Limits, WatchEvent};
use crate::error::Error;

/// On the bookmark that ends the initial events of a streaming list (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// A watch over HTTP. It ends where the body ends; an error is its last item.
pub(crate) struct HttpWatch<K> {
    call: Call,
    /// `None` once it has ended.
    body: Option<Body>,
    lines: Lines,
    /// The largest object that is taken in.
    largest: usize,
    kind: PhantomData<fn() -> K>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMeta {
    resource_version: String,
    annotations: Option<HashMap<String, String>>,
}

// === impl HttpWatch ===

impl<K> HttpWatch<K> {
    pub(super) fn new(call: Call, body: Body, limits: &Limits) -> Self {
        Self {
            call,
            body: Some(body),
            lines: Lines::new(limits.line_bytes),
            largest: limits.object_bytes,
            kind: PhantomData,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WatchEvent<K>, Error>>> {
        loop {
            match self.lines.next() {
                Ok(Some(line)) if line.trim_ascii().is_empty() => continue,
                Ok(Some(line)) => return Poll::Ready(Some(self.parse(&line))),
                Ok(None) => {}
                Err(lines::TooLong) => {
                    return Poll::Ready(Some(Err(self.call.protocol("a line longer than the limit"))));
                }
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match ready!(next_chunk(body, cx)) {
                Some(Ok(chunk)) => self.lines.push(chunk),
                Some(Err(error)) => return Poll::Ready(Some(Err(self.call.transport(error)))),
                None => {
                    self.body = None;
                    return Poll::Ready(self.last_line());
                }
            }
        }
    }

    /// A last line need not end in a newline. The beginning of an event is a connection that was cut off; anything
    /// else never was an event.
    fn last_line(&mut self) -> Option<Result<WatchEvent<K>, Error>> {
        let rest = self.lines.rest();
        if rest.trim_ascii().is_empty() {
            return None;
        }
        Some(match serde_json::from_slice::<&RawValue>(&rest) {
            Err(error) if is_cut_off(&rest, &error) => {
                Err(self.call.transport(io::Error::from(io::ErrorKind::UnexpectedEof)))
            }
            _ => self.parse(&rest),
        })
    }

    fn parse(&self, line: &Bytes) -> Result<WatchEvent<K>, Error> {
        parse_line(&self.call, line, self.largest)
    }
}

impl<K> Stream for HttpWatch<K> {
    type Item = Result<WatchEvent<K>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.poll_event(cx));
        if !matches!(next, Some(Ok(_))) {
            self.body = None;
            self.lines.clear();
        }
        Poll::Ready(next)
    }
}

fn parse_line<K>(call: &Call, line: &Bytes, largest: usize) -> Result<WatchEvent<K>, Error> {
    let Ok(Line { kind, object }) = serde_json::from_slice::<Line<'_>>(line) else {
        return Err(call.protocol("a line that is not an event"));
    };
    let Some(kind) = kind else {
        // Some servers and proxies put the `Status` itself into the stream.
        let status = std::str::from_utf8(line).ok().and_then(|line| status_error(call, line));
        return Err(status.unwrap_or_else(|| call.protocol("an event without a type")));
    };
    let Some(object) = object.map(RawValue::get) else {
        return Err(call.protocol("an event without an object"));
    };
    match &*kind {
        "ADDED" | "MODIFIED" => Ok(WatchEvent::Applied(parse_item(line, object, largest))),
        "DELETED" => match parse_meta(object) {
            Err(error) if error.key.is_none() => Err(call.protocol("a deletion of an object without a name")),
            meta => Ok(WatchEvent::Deleted(meta)),
        },
        "BOOKMARK" => parse_bookmark(object).ok_or_else(|| call.protocol("a bookmark without a version")),
        "ERROR" => {
            Err(status_error(call, object).unwrap_or_else(|| call.protocol("an error without a status")))
        }
        _ => Err(call.protocol("an event of an unknown type")),
    }
}

/// Whether what is wrong with it is only that it ends too soon.
fn is_cut_off(line: &[u8], error: &serde_json::Error) -> bool {
    // Within a number, the end is called a wrong digit.
    let in_number =
        || error.column() >= line.len() && line.last().is_some_and(|last| b"-+.eE".contains(last));
    error.is_eof() || in_number()
}

fn parse_bookmark<K>(object: &str) -> Option<WatchEvent<K>> {
    let Bookmark { metadata } = serde_json::from_str(object).ok()?;
    if metadata.resource_version.is_empty() {
        return None;
    }
    let end = metadata.annotations.as_ref().and_then(|annotations| annotations.get(INITIAL_EVENTS_END));
    Some(WatchEvent::Bookmark {
        resource_version: metadata.resource_version.into(),
        initial_events_end: end.is_some_and(|end| end == "true"),
    })
}
