//! Finds where JSON values begin and end, even if their content is invalid.
//!
//! Objects are separated before they are decoded, so invalid UTF-8, deep nesting or invalid JSON in one
//! object must not affect the bounds of its neighbours. So this only counts braces outside of strings, and
//! interprets nothing else. It does not recurse.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use wide::u8x16;

/// Bytes that are scanned at once.
const BLOCK: usize = 64;

/// Finds the end of an object or array that is received in pieces. Reads each byte once.
#[derive(Clone, Debug, Default)]
pub(super) struct Scanner {
    depth: usize,
    in_string: bool,
    /// Whether the next byte is escaped by a backslash.
    escaped: bool,
    /// The number of objects and arrays that have begun directly within the value. Known of documents only.
    parts: usize,
    /// The end of the last of them, in bytes from the beginning of the value.
    part_end: usize,
}

/// Where a scan stopped, as the count of bytes before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The value ends here.
    End(usize),
    /// The byte here is a newline within the value.
    Newline(usize),
}

/// Bit masks of a block: the positions of each kind of byte.
struct Bits {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
    newlines: u64,
}

// === impl Scanner ===

impl Scanner {
    pub(super) fn in_string(&self) -> bool {
        self.in_string
    }

    /// Continues the search for the end of the value. The first piece begins with the opening brace.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.scan::<false>(bytes, 0) {
            Some(Stop::End(end)) => Some(end),
            _ => None,
        }
    }

    /// As [`end`](Self::end) for a document, of which `before` bytes came before. Also stops at newlines; the next call
    /// continues after them.
    pub(super) fn end_or_newline(&mut self, bytes: &[u8], before: usize) -> Option<Stop> {
        self.scan::<true>(bytes, before)
    }

    /// The end of the object or array directly within the document, if there is one only.
    pub(super) fn only_part_end(&self) -> Option<usize> {
        (self.parts == 1).then_some(self.part_end)
    }

    fn scan<const DOCUMENT: bool>(&mut self, bytes: &[u8], before: usize) -> Option<Stop> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for (n, block) in blocks.iter().enumerate() {
            if let Some(stop) = self.block::<DOCUMENT>(block, BLOCK, before + n * BLOCK) {
                return Some(stop.after(n * BLOCK));
            }
        }
        let scanned = blocks.len() * BLOCK;
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.block::<DOCUMENT>(&last, rest.len(), before + scanned).map(|stop| stop.after(scanned))
    }

    /// Scans the first `length` bytes of a block.
    #[inline]
    fn block<const DOCUMENT: bool>(
        &mut self,
        block: &[u8; BLOCK],
        length: usize,
        before: usize,
    ) -> Option<Stop> {
        if length == 0 {
            return None;
        }
        let bits = Bits::of::<DOCUMENT>(block);
        let quotes = bits.quotes & !self.escaped_bytes(bits.backslashes, length);
        // Set from the opening quote of a string up to, but not including, the closing one.
        let strings = below_each(quotes) ^ if self.in_string { u64::MAX } else { 0 };
        let opening = bits.opening & !strings;
        let closing = bits.closing & !strings;
        let newlines = if DOCUMENT { bits.newlines } else { 0 };
        // The block stays within the value, and within a part of a document.
        let outer = if DOCUMENT { 1 } else { 0 };
        let mut marks = opening | closing | newlines;
        if marks == 0 {
            // Most blocks are within strings.
        } else if newlines == 0 && self.depth > closing.count_ones() as usize + outer {
            self.depth = self.depth + opening.count_ones() as usize - closing.count_ones() as usize;
        } else {
            while marks != 0 {
                let at = marks.trailing_zeros();
                let mark = 1 << at;
                marks &= marks - 1;
                let stop = if opening & mark != 0 {
                    self.depth += 1;
                    self.parts += usize::from(DOCUMENT && self.depth == 2);
                    continue;
                } else if newlines & mark != 0 {
                    Stop::Newline(at as usize)
                } else {
                    self.depth = self.depth.saturating_sub(1);
                    if DOCUMENT && self.depth == 1 {
                        self.part_end = before + at as usize + 1;
                    }
                    if self.depth > 0 {
                        continue;
                    }
                    Stop::End(at as usize + 1)
                };
                self.in_string = strings & mark != 0;
                self.escaped = false;
                return Some(stop);
            }
        }
        self.in_string = strings >> (length - 1) & 1 != 0;
        None
    }

    /// Which bytes follow a backslash that is not itself escaped.
    fn escaped_bytes(&mut self, backslashes: u64, length: usize) -> u64 {
        let mut escaped = u64::from(self.escaped);
        let mut rest = backslashes & !escaped;
        self.escaped = false;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            if at + 1 >= length {
                self.escaped = true;
                break;
            }
            escaped |= 1 << (at + 1);
            rest &= !(0b11 << at);
        }
        escaped
    }
}

// === impl Stop ===

impl Stop {
    fn after(self, bytes: usize) -> Self {
        match self {
            Self::End(end) => Self::End(bytes + end),
            Self::Newline(at) => Self::Newline(bytes + at),
        }
    }
}

// === impl Bits ===

impl Bits {
    #[inline]
    fn of<const DOCUMENT: bool>(block: &[u8; BLOCK]) -> Self {
        let parts = std::array::from_fn(|n| u8x16::new(block.as_chunks().0[n]));
        // Brackets differ from braces in this bit only, and setting it turns no other byte into a brace.
        let braces = parts.map(|part: u8x16| part | u8x16::splat(b'{' ^ b'['));
        Self {
            quotes: all(&parts, b'"'),
            backslashes: few(&parts, b'\\'),
            opening: all(&braces, b'{'),
            closing: all(&braces, b'}'),
            newlines: if DOCUMENT { few(&parts, b'\n') } else { 0 },
        }
    }
}

/// The positions of a byte.
#[inline]
fn all(parts: &[u8x16; 4], byte: u8) -> u64 {
    let [a, b, c, d] = parts.map(|part| u64::from(part.simd_eq(u8x16::splat(byte)).to_bitmask() & 0xFFFF));
    a | b << 16 | c << 32 | d << 48
}

/// As [`all`], for a byte that few blocks have.
#[inline]
fn few(parts: &[u8x16; 4], byte: u8) -> u64 {
    let [a, b, c, d] = parts.map(|part| part.simd_eq(u8x16::splat(byte)));
    if (a | b | c | d).to_bitmask() & 0xFFFF == 0 { 0 } else { all(parts, byte) }
}

/// Sets each bit to the parity of the bits up to it.
fn below_each(bits: u64) -> u64 {
    (0..6).fold(bits, |bits, step| bits ^ (bits << (1 << step)))
}

/// The text is not valid JSON in the part that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Walks over a JSON text, value by value.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Starts at another position.
    pub(super) fn at(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// [`value`](Self::value), as its place in the text.
    pub(super) fn value_range(&mut self) -> Result<Range<usize>, Malformed> {
        let length = self.value()?.len();
        Ok(self.at - length..self.at)
    }

    /// Returns the next value, whose end was found elsewhere.
    pub(super) fn value_to(&mut self, end: usize) -> Result<&'a [u8], Malformed> {
        self.peek();
        let value = self.text.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(value)
    }

    /// Skips bytes that were scanned elsewhere.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The rest of the text, without leading whitespace.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        self.peek();
        &self.text[self.at..]
    }

    /// The next byte that is not whitespace.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(byte) if is_blank(*byte) => self.at += 1,
                next => return next.copied(),
            }
        }
    }

    /// Skips `byte` if it comes next. Returns whether it did.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    /// Whether another element comes before `close`. Skips a comma or `close`.
    #[inline]
    pub(super) fn another(&mut self, close: u8, first: bool) -> Result<bool, Malformed> {
        if self.eat(close) {
            return Ok(false);
        }
        match first || self.eat(b',') {
            true if self.peek().is_some() => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Reads the key of a member and its colon, and resolves escapes. A key without an escape may be invalid
    /// UTF-8, and then equals no name that is searched for.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let start = self.at;
        if let Some(key) = self.plain_key() {
            return Ok(Cow::Borrowed(key));
        }
        self.at = start;
        let key = match self.string()? {
            Cow::Borrowed(key) => Cow::Borrowed(key.as_bytes()),
            Cow::Owned(key) => Cow::Owned(key.into_bytes()),
        };
        if self.eat(b':') { Ok(key) } else { Err(Malformed) }
    }

    /// Reads the string that comes next, as [`text`] does.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let start = self.at;
        if let Some(plain) = self.plain_text() {
            return Ok(Cow::Borrowed(plain));
        }
        self.at = start;
        text(self.value()?).ok_or(Malformed)
    }

    /// Enters the object that comes next, and stops before the value of its first member with this name. `None` if there is
    /// none, or a key has an escape.
    pub(super) fn enter(&mut self, name: &[u8]) -> Option<()> {
        let mut first = self.eat(b'{').then_some(true)?;
        while self.another(b'}', std::mem::take(&mut first)).ok()? {
            if self.plain_key()? == name {
                return Some(());
            }
            self.value().ok()?;
        }
        None
    }

    /// Reads the key of a member and its colon, if there is one without an escape. It may be no text.
    #[inline]
    pub(super) fn plain_key(&mut self) -> Option<&'a [u8]> {
        let key = self.plain()?;
        self.eat(b':').then_some(key)
    }

    /// The content of the string that comes next, if there is one without an escape and it is valid.
    #[inline]
    pub(super) fn plain_text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.plain()?).ok()
    }

    /// The content of the string that comes next, if there is one that has no escape and no control character. It may be no
    /// text.
    #[inline]
    pub(super) fn plain(&mut self) -> Option<&'a [u8]> {
        let text = self.rest().strip_prefix(b"\"")?;
        let length = plain_length(text);
        if text.get(length) != Some(&b'"') {
            return None;
        }
        self.at += length + 2;
        Some(&text[..length])
    }

    /// Returns the next value. Only its end is searched; its content is not checked.
    pub(super) fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let rest = self.rest();
        let end = match rest.first() {
            Some(b'{' | b'[') => Scanner::default().end(rest),
            Some(b'"') => string_end(rest),
            _ => Some(rest.iter().position(|byte| ends_scalar(*byte)).unwrap_or(rest.len())),
        };
        let end = end.filter(|end| *end > 0).ok_or(Malformed)?;
        self.at += end;
        Ok(&rest[..end])
    }
}

/// The number of leading whitespace bytes.
pub(super) fn blank(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len())
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether a number or a word ends before this byte.
fn ends_scalar(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"')
}

/// The value of a member of an object; the last one if there are several. `null` counts as absent, and has no
/// members. An error if the text is malformed and the readable part does not have the member.
pub(super) fn member<'a>(object: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, Malformed> {
    const NULL: &[u8] = b"null";
    if object == NULL {
        return Ok(None);
    }
    let mut found = None;
    let walked = walk(object, |key, value| {
        if key == name.as_bytes() {
            found = Some(value);
        }
    });
    match found {
        None => walked.map(|()| None),
        Some(value) => Ok(Some(value).filter(|value| *value != NULL)),
    }
}

/// Calls `see` for each member of an object, as far as the text can be read. A value without an end extends
/// to the end of the text.
fn walk<'a>(object: &'a [u8], mut see: impl FnMut(&[u8], &'a [u8])) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(object);
    if !cursor.eat(b'{') {
        return Err(Malformed);
    }
    let mut first = true;
    while cursor.another(b'}', first)? {
        first = false;
        let key = cursor.key()?;
        let value = cursor.value();
        see(&key, value.unwrap_or_else(|Malformed| cursor.rest()));
        value?;
    }
    Ok(())
}

/// The content of a string. Invalid UTF-8 becomes U+FFFD. `None` if it is not a string.
pub(super) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !inner.iter().any(|byte| matches!(byte, b'\\' | b'"' | 0..0x20)) {
        return Some(String::from_utf8_lossy(inner));
    }
    match lossy(value) {
        Cow::Borrowed(value) => serde_json::from_slice(value).ok(),
        Cow::Owned(value) => serde_json::from_slice(&value).ok(),
    }
    .map(Cow::Owned)
}

/// The text with U+FFFD in place of invalid UTF-8 and lone surrogates. Copies only if there
/// are any.
pub(super) fn lossy(text: &[u8]) -> Cow<'_, [u8]> {
    let text = match String::from_utf8_lossy(text) {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    let halves = lone_surrogates(&text);
    if halves.is_empty() {
        return text;
    }
    let mut text = text.into_owned();
    for at in halves {
        text[at..at + 4].copy_from_slice(b"fffd");
    }
    Cow::Owned(text)
}

/// The positions of the four digits of each `\u` escape that is a lone surrogate.
fn lone_surrogates(text: &[u8]) -> Vec<usize> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut lone = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        match unit(at) {
            Some(0xD800..0xDC00) if unit(at + 6).is_some_and(|low| (0xDC00..0xE000).contains(&low)) => {
                at += 12
            }
            Some(0xD800..0xE000) => {
                lone.push(at + 2);
                at += 6;
            }
            // The escaped byte may be a backslash.
            _ => at = (at + 2).min(text.len()),
        }
    }
    lone
}

/// The end of the string that begins here.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += plain_length(text.get(at..)?);
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The number of bytes before the first quote, backslash or control character.
fn plain_length(text: &[u8]) -> usize {
    let (blocks, rest) = text.as_chunks::<16>();
    for (n, block) in blocks.iter().enumerate() {
        let bytes = u8x16::new(*block);
        let is = |byte| bytes.simd_eq(u8x16::splat(byte));
        let special = is(b'"') | is(b'\\') | bytes.simd_lt(u8x16::splat(b' '));
        let special = special.to_bitmask() & 0xFFFF;
        if special != 0 {
            return 16 * n + special.trailing_zeros() as usize;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
    text.len() - rest.len() + rest.iter().position(special).unwrap_or(rest.len())
}
