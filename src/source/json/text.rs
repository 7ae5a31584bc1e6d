//! Reads text that may be no UTF-8, or have half a surrogate pair.

use std::borrow::Cow;

/// The content of a string. Invalid UTF-8 becomes U+FFFD. `None` if it is not a string.
pub(in crate::source) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
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
pub(in crate::source) fn lossy(text: &[u8]) -> Cow<'_, [u8]> {
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
