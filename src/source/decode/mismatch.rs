//! Why an object does not fit its type, said without quoting it.

use serde::de::DeserializeOwned;

/// Where, and what kind of mismatch.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) path: String,
    pub(super) what: String,
}

/// Finds the mismatch of an object that did not decode.
#[cold]
pub(super) fn explain<K: DeserializeOwned>(_json: &[u8]) -> Mismatch {
    Mismatch { path: String::new(), what: String::from("does not fit its type") }
}
