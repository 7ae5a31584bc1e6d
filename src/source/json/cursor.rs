//! Walks over a JSON text.

use std::borrow::Cow;
use std::ops::Range;

use wide::u8x16;

use super::{Malformed, Scanner, is_blank, text};

/// Walks over a JSON text, value by value.
#[derive(Clone, Debug)]
pub(in crate::source) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(in crate::source) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Starts at another position.
    pub(in crate::source) fn at(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// [`value`](Self::value), as its place in the text.
    pub(in crate::source) fn value_range(&mut self) -> Result<Range<usize>, Malformed> {
        let length = self.value()?.len();
        Ok(self.at - length..self.at)
    }

    /// Returns the next value, whose end was found elsewhere.
    pub(in crate::source) fn value_to(&mut self, end: usize) -> Result<&'a [u8], Malformed> {
        self.peek();
        let value = self.text.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(value)
    }

    /// Skips bytes that were scanned elsewhere.
    pub(in crate::source) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(in crate::source) fn position(&self) -> usize {
        self.at
    }

    /// The rest of the text, without leading whitespace.
    pub(in crate::source) fn rest(&mut self) -> &'a [u8] {
        self.peek();
        &self.text[self.at..]
    }

    /// The next byte that is not whitespace.
    #[inline]
    pub(in crate::source) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(byte) if is_blank(*byte) => self.at += 1,
                next => return next.copied(),
            }
        }
    }

    /// Skips `byte` if it comes next. Returns whether it did.
    #[inline]
    pub(in crate::source) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    /// Whether another element comes before `close`. Skips a comma or `close`.
    #[inline]
    pub(in crate::source) fn another(&mut self, close: u8, first: bool) -> Result<bool, Malformed> {
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
    pub(in crate::source) fn key(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let start = self.at;
        if let Some(key) = self.plain_key() {
            return Ok(Cow::Borrowed(key));
        }
        self.at = start;
        let key = text(self.value()?).ok_or(Malformed)?.into_owned();
        if self.eat(b':') { Ok(Cow::Owned(key.into_bytes())) } else { Err(Malformed) }
    }

    /// Reads the string that comes next, as [`text`] does.
    pub(in crate::source) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let start = self.at;
        if let Some(plain) = self.plain_text() {
            return Ok(Cow::Borrowed(plain));
        }
        self.at = start;
        text(self.value()?).ok_or(Malformed)
    }

    /// Enters the object that comes next, and stops before the value of its first member with this name. `None` if there is
    /// none, or a key has an escape.
    pub(in crate::source) fn enter(&mut self, name: &[u8]) -> Option<()> {
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
    pub(in crate::source) fn plain_key(&mut self) -> Option<&'a [u8]> {
        let key = self.plain()?;
        self.eat(b':').then_some(key)
    }

    /// The content of the string that comes next, if there is one without an escape and it is valid.
    #[inline]
    pub(in crate::source) fn plain_text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.plain()?).ok()
    }

    /// The content of the string that comes next, if there is one that has no escape and no control character. It may be no
    /// text.
    #[inline]
    pub(in crate::source) fn plain(&mut self) -> Option<&'a [u8]> {
        let text = self.rest().strip_prefix(b"\"")?;
        let length = plain_length(text);
        if text.get(length) != Some(&b'"') {
            return None;
        }
        self.at += length + 2;
        Some(&text[..length])
    }

    /// Returns the next value. Only its end is searched; its content is not checked.
    pub(in crate::source) fn value(&mut self) -> Result<&'a [u8], Malformed> {
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

/// Whether a number or a word ends before this byte.
fn ends_scalar(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"')
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
