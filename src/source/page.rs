//! A page of a list, taken apart into objects without decoding them.

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

/// Bytes that are scanned between two looks at the clock: some 10 us.
const STRIDE: usize = 32 << 10;

/// The objects of a page, in order.
struct Elements {
    body: Bytes,
    /// Where the next element begins, or a comma before it.
    at: usize,
    first: bool,
    largest: usize,
}

/// The parts of a page. Lists of custom resources put `metadata` after `items`, so that nothing is known of a page
/// before its end.
#[derive(Default)]
struct Envelope {
    metadata: ListMeta,
    /// The elements, without the brackets.
    items: Range<usize>,
}

#[derive(Default)]
struct ListMeta {
    resource_version: String,
    continue_token: String,
}

/// Takes a page apart. Its objects are slices of `body`, which lives until the last of them is gone; none of them is
/// larger than `largest`. Yields on its way: a list in one piece may be of any size.
pub(super) async fn parse_page(call: &Call, body: Bytes, largest: usize) -> Result<Page<Json>, Error> {
    let Ok(Envelope { metadata, items }) = Envelope::read(&body).await else {
        return Err(call.protocol("the body is not a list"));
    };
    let body = body.slice(..items.end);
    Ok(Page {
        items: Box::new(Elements { body, at: items.start, first: true, largest }),
        resource_version: ResourceVersion::from(metadata.resource_version),
        continue_token: Some(metadata.continue_token).filter(|token| !token.is_empty()),
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
                "metadata" if metadata.is_none() => metadata = Some(ListMeta::read(cursor.value()?)?),
                "items" if items.is_none() => items = Some(find_items(&mut cursor, body).await?),
                // Which of two is meant?
                "metadata" | "items" => return Err(Malformed),
                _ => {
                    cursor.value()?;
                }
            }
        }
        match (items, cursor.peek()) {
            // Lists of kinds without versions may leave out their metadata; without items, it is no list.
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
        Ok(Self { resource_version: field("resourceVersion")?, continue_token: field("continue")? })
    }
}

/// Finds the elements of an array, and that each of them has an end.
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

/// Lets others run, by the clock, which is looked at now and then.
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
        // The elements were found once, so they are found again.
        let object = cursor.value().ok()?;
        self.at = cursor.position();
        Some(parse_item(&self.body, object, self.largest))
    }
}
