//! A page of a list, taken apart into objects without decoding them.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::decode::parse_item;
use super::kube::Call;
use super::{Listed, Page};
use crate::error::Error;
use crate::version::ResourceVersion;

/// The envelope. Lists of custom resources put `metadata` after `items`, so that nothing is known of a page before
/// its end.
#[derive(Deserialize)]
struct Envelope<'a> {
    metadata: ListMeta,
    // Without an attribute a missing field would read as `null`, and an answer of another kind as an empty list.
    #[serde(borrow, deserialize_with = "null_is_empty")]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

/// Takes a page apart. Its objects are slices of `body`, which lives until the last of them is gone; none of them is
/// larger than `largest`.
pub(super) fn parse_page<K>(call: &Call, body: &Bytes, largest: usize) -> Result<Page<K>, Error> {
    // serde_json's text quotes what it found.
    let envelope: Envelope<'_> =
        serde_json::from_slice(body).map_err(|_| call.protocol("the body is not a list"))?;
    if envelope.metadata.resource_version.is_empty() {
        return Err(call.protocol("a list without a resourceVersion"));
    }
    let items: Vec<Listed<K>> =
        envelope.items.iter().map(|item| parse_item(body, item.get(), largest)).collect();
    Ok(Page {
        items,
        resource_version: ResourceVersion::from(envelope.metadata.resource_version),
        continue_token: envelope.metadata.continue_token.filter(|token| !token.is_empty()),
    })
}

/// Go writes a list without items as `[]` or as `null`.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
