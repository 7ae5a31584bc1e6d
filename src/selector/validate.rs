//! Validates names and values of labels as the API server does (Kubernetes docs, "Labels and Selectors":
//! "Syntax and character set"). Selectors follow the same rules.

use super::{InvalidSelector, invalid};

/// The longest name after the slash, and the longest value.
const PART: usize = 63;
/// The longest prefix before the slash.
const PREFIX: usize = 253;

/// `name`, or `dns.prefix/name`.
pub(super) fn key(key: &str) -> Result<(), InvalidSelector> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if !prefix.is_none_or(is_prefix) || name.is_empty() || !is_part(name) {
        return Err(invalid(format!("{key:?} is no name of a label")));
    }
    Ok(())
}

/// Empty, or like a name.
pub(super) fn value(value: &str) -> Result<(), InvalidSelector> {
    if !is_part(value) {
        return Err(invalid(format!("{value:?} is no value of a label")));
    }
    Ok(())
}

/// Letters, digits, `-`, `_` and `.`, of which the first and last are letters or digits.
fn is_part(text: &str) -> bool {
    text.len() <= PART && framed(text, |byte| byte.is_ascii_alphanumeric(), b"-_.")
}

/// A DNS subdomain.
fn is_prefix(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && framed(label, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), b"-")
    };
    text.len() <= PREFIX && text.split('.').all(is_label)
}

/// Whether the text consists of `ends`, and of `inner` except at the first and last position. An empty text
/// is accepted.
fn framed(text: &str, ends: impl Fn(u8) -> bool, inner: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().next_back()) else { return true };
    ends(first) && ends(last) && text.bytes().all(|byte| ends(byte) || inner.contains(&byte))
}
