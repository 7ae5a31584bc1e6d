//! Finds where JSON values begin and end, even if their content is invalid.
//!
//! Objects are separated before they are decoded, so invalid UTF-8, deep nesting or invalid JSON in one
//! object must not affect the bounds of its neighbours. So this only counts braces outside of strings, and
//! interprets nothing else. It does not recurse.

mod cursor;
mod scanner;
#[cfg(test)]
mod tests;
mod text;

pub(super) use self::cursor::Cursor;
pub(super) use self::scanner::{Scanner, Stop};
pub(super) use self::text::{lossy, text};

/// The text is not valid JSON in the part that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

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
