//! Splits a page of a list into objects without decoding them.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::call::Call;
use super::decode::parse_item;
use super::json::{Cursor, Malformed, Scanner, member, text};
use super::{Json, Listed, Page};
use crate::error::Error;
use crate::reflector::Turn;
use crate::version::ResourceVersion;

/// Bytes that are scanned between two reads of the clock: about 10 us.
const STRIDE: usize = 32 << 10;

/// The objects of a page, in order.
struct Elements {
    body: Bytes,
    /// The position of the next element, or of the comma before it.
    at: usize,
    first: bool,
    largest: usize,
}

/// The parts of a page. Lists of custom resources have `metadata` after `items`, so the version of a page is
/// known only at its end.
#[derive(Default)]
struct Envelope {
    metadata: ListMeta,
    /// The range of the elements, without the brackets.
    items: Range<usize>,
}

#[derive(Default)]
struct ListMeta {
    resource_version: String,
    continue_token: String,
    /// Whether `shardInfo` (KEP-5866) is there.
    is_sharded: bool,
}

/// Splits a page. Its objects are slices of `body`, which stays in memory until the last of them is dropped;
/// objects larger than `largest` are not kept. Yields to other tasks, because a list in one piece may have
/// any size.
pub(super) async fn parse_page(call: &Call, body: Bytes, largest: usize) -> Result<Page<Json>, Error> {
    let Ok(Envelope { metadata, items }) = Envelope::read(&body).await else {
        return Err(call.protocol("the body is not a list"));
    };
    let body = body.slice(..items.end);
    Ok(Page {
        items: Box::new(Elements { body, at: items.start, first: true, largest }),
        resource_version: ResourceVersion::from(metadata.resource_version),
        continue_token: Some(metadata.continue_token).filter(|token| !token.is_empty()),
        is_sharded: metadata.is_sharded,
    })
}

// === impl Envelope ===

impl Envelope {
    async fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(body);
        let (mut metadata, mut items) = (None, None);
        if !cursor.eat(b'{') {
            return Err(Malformed);
        }
        let mut first = true;
        while cursor.another(b'}', first)? {
            first = false;
            match &*cursor.key()? {
                b"metadata" if metadata.is_none() => metadata = Some(ListMeta::read(cursor.value()?)?),
                b"items" if items.is_none() => items = Some(find_items(&mut cursor, body).await?),
                // Duplicate members are ambiguous.
                b"metadata" | b"items" => return Err(Malformed),
                _ => {
                    cursor.value()?;
                }
            }
        }
        match (items, cursor.peek()) {
            // Lists of kinds without versions may have no metadata; without items, it is not a list.
            (Some(items), None) => Ok(Self { metadata: metadata.unwrap_or_default(), items }),
            _ => Err(Malformed),
        }
    }
}

// === impl ListMeta ===

impl ListMeta {
    fn read(metadata: &[u8]) -> Result<Self, Malformed> {
        let field = |name| match member(metadata, name)? {
            None => Ok(String::new()),
            Some(value) => text(value).map(Cow::into_owned).ok_or(Malformed),
        };
        Ok(Self {
            resource_version: field("resourceVersion")?,
            continue_token: field("continue")?,
            is_sharded: member(metadata, "shardInfo")?.is_some_and(|info| info != b"null"),
        })
    }
}

/// Finds the range of the elements of an array, and checks that each has an end.
async fn find_items(cursor: &mut Cursor<'_>, body: &[u8]) -> Result<Range<usize>, Malformed> {
    if !cursor.eat(b'[') {
        // Go writes a list without items as `[]` or as `null`.
        let none = cursor.value()? == b"null";
        let at = cursor.position();
        return if none { Ok(at..at) } else { Err(Malformed) };
    }
    let start = cursor.position();
    let mut pace = Pace { turn: Turn::new(), bytes: 0 };
    let mut first = true;
    while cursor.another(b']', first)? {
        first = false;
        if matches!(cursor.peek(), Some(b'{' | b'[')) {
            let mut scanner = Scanner::default();
            loop {
                let from = cursor.position();
                let stride = &body[from..body.len().min(from + STRIDE)];
                let end = scanner.end(stride);
                let scanned = end.unwrap_or(stride.len());
                cursor.skip(scanned);
                pace.scanned(scanned).await;
                match end {
                    Some(_) => break,
                    None if stride.is_empty() => return Err(Malformed),
                    None => {}
                }
            }
        } else {
            pace.scanned(cursor.value()?.len()).await;
        }
    }
    Ok(start..cursor.position() - 1)
}

/// Lets other tasks run, depending on the clock, which is read every [`STRIDE`] bytes.
struct Pace {
    turn: Turn,
    bytes: usize,
}

// === impl Pace ===

impl Pace {
    async fn scanned(&mut self, bytes: usize) {
        self.bytes += bytes + 1;
        if self.bytes >= STRIDE {
            self.bytes = 0;
            self.turn.pass().await;
        }
    }
}

// === impl Elements ===

impl Iterator for Elements {
    type Item = Listed<Json>;

    fn next(&mut self) -> Option<Listed<Json>> {
        let mut cursor = Cursor::at(&self.body, self.at);
        if !std::mem::take(&mut self.first) {
            cursor.eat(b',');
        }
        cursor.peek()?;
        // `find_items` has read these elements before, so this does not fail.
        let object = cursor.value().ok()?;
        self.at = cursor.position();
        Some(parse_item(&self.body, object, self.largest))
    }
}
