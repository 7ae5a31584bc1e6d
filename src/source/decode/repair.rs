//! A second chance for an object that does not decode.

use std::borrow::Cow;

use crate::source::json::{lossy, member};

/// The object as it can be read: with U+FFFD for invalid text and lone surrogates, and without `managedFields` if they are
/// dropped anyway.
///
/// An API server accepts and sends raw bytes in `fieldsV1` and in raw extensions, nested up to 10,000 levels.
/// serde_json reads 128 levels, since recursion over deeper values would overflow the stack.
#[cold]
pub(super) fn repaired(json: &[u8], keep_managed_fields: bool) -> Cow<'_, [u8]> {
    let text = lossy(json);
    let fields = match member(&text, "metadata") {
        Ok(Some(metadata)) if !keep_managed_fields => member(metadata, "managedFields").ok().flatten(),
        _ => None,
    };
    let Some(fields) = fields else { return text };
    // Both are slices of the same text.
    let start = fields.as_ptr().addr() - text.as_ptr().addr();
    let end = start + fields.len();
    Cow::Owned([&text[..start], b"null", &text[end..]].concat())
}
