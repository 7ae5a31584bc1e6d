//! Finds where JSON values begin and end, even if their content is invalid.
//!
//! Objects are separated before they are decoded, so invalid UTF-8, deep nesting or invalid JSON in one
//! object must not affect the bounds of its neighbours. So this only counts braces outside of strings, and
//! interprets nothing else. It does not recurse.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

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
        match self.scan::<false>(bytes) {
            Some(Stop::End(end)) => Some(end),
            _ => None,
        }
    }

    /// As [`end`](Self::end), but also stops at newlines; the next call continues after them.
    pub(super) fn end_or_newline(&mut self, bytes: &[u8]) -> Option<Stop> {
        self.scan::<true>(bytes)
    }

    fn scan<const LINES: bool>(&mut self, bytes: &[u8]) -> Option<Stop> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for (n, block) in blocks.iter().enumerate() {
            if let Some(stop) = self.block::<LINES>(block, BLOCK) {
                return Some(stop.after(n * BLOCK));
            }
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.block::<LINES>(&last, rest.len()).map(|stop| stop.after(blocks.len() * BLOCK))
    }

    /// Scans the first `length` bytes of a block.
    #[inline]
    fn block<const LINES: bool>(&mut self, block: &[u8; BLOCK], length: usize) -> Option<Stop> {
        if length == 0 {
            return None;
        }
        let bits = Bits::of::<LINES>(block);
        let quotes = bits.quotes & !self.escaped_bytes(bits.backslashes, length);
        // Set from the opening quote of a string up to, but not including, the closing one.
        let strings = below_each(quotes) ^ if self.in_string { u64::MAX } else { 0 };
        let opening = bits.opening & !strings;
        let closing = bits.closing & !strings;
        let newlines = if LINES { bits.newlines } else { 0 };
        if newlines == 0 && self.depth > closing.count_ones() as usize {
            self.depth = self.depth + opening.count_ones() as usize - closing.count_ones() as usize;
        } else {
            let mut marks = opening | closing | newlines;
            while marks != 0 {
                let at = marks.trailing_zeros();
                let mark = 1 << at;
                marks &= marks - 1;
                let stop = if opening & mark != 0 {
                    self.depth += 1;
                    continue;
                } else if newlines & mark != 0 {
                    Stop::Newline(at as usize)
                } else {
                    self.depth = self.depth.saturating_sub(1);
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
    fn of<const LINES: bool>(block: &[u8; BLOCK]) -> Self {
        let mut bits = Self { quotes: 0, backslashes: 0, opening: 0, closing: 0, newlines: 0 };
        for (n, part) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::new(*part);
            let which = |bytes: u8x16, byte: u8| {
                u64::from(bytes.simd_eq(u8x16::splat(byte)).to_bitmask() & 0xFFFF) << (16 * n)
            };
            bits.quotes |= which(bytes, b'"');
            bits.backslashes |= which(bytes, b'\\');
            // Brackets differ from braces in this bit only, and setting it turns no other byte into a brace.
            let braces = bytes | u8x16::splat(b'{' ^ b'[');
            bits.opening |= which(braces, b'{');
            bits.closing |= which(braces, b'}');
            if LINES {
                bits.newlines |= which(bytes, b'\n');
            }
        }
        bits
    }
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
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.at += blank(&self.text[self.at..]);
        self.text.get(self.at).copied()
    }

    /// Skips `byte` if it comes next. Returns whether it did.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    /// Whether another element comes before `close`. Skips a comma or `close`.
    pub(super) fn another(&mut self, close: u8, first: bool) -> Result<bool, Malformed> {
        if self.eat(close) {
            return Ok(false);
        }
        match first || self.eat(b',') {
            true if self.peek().is_some() => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Reads the key of a member and its colon.
    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let key = self.value()?;
        if !self.eat(b':') {
            return Err(Malformed);
        }
        text(key).ok_or(Malformed)
    }

    /// Returns the next value. Only its end is searched; its content is not checked.
    pub(super) fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let rest = self.rest();
        let end = match rest.first() {
            Some(b'{' | b'[') => Scanner::default().end(rest),
            Some(b'"') => string_end(rest),
            _ => Some(rest.iter().position(|byte| b",:{}[]\" \t\r\n".contains(byte)).unwrap_or(rest.len())),
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

/// The value of a member of an object; the last one if there are several. `null` counts as absent, and has no
/// members. An error if the text is malformed and the readable part does not have the member.
pub(super) fn member<'a>(object: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, Malformed> {
    const NULL: &[u8] = b"null";
    if object == NULL {
        return Ok(None);
    }
    let mut found = None;
    let walked = walk(object, |key, value| {
        if key == name {
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
fn walk<'a>(object: &'a [u8], mut see: impl FnMut(&str, &'a [u8])) -> Result<(), Malformed> {
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

/// The content of a string, read as Go does: invalid UTF-8 becomes U+FFFD. `None` if it is not a string.
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

/// The text with U+FFFD in place of invalid UTF-8 and lone surrogates, as Go reads it. Copies only if there
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
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
