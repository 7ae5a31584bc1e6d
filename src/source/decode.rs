//! The two stages of decoding: who an object is and at which version, then the object.
//!
//! Between them the store finds out whether it knows the version already; what it knows is never decoded again.

mod mismatch;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use kube_core::Resource;
use serde::de::{DeserializeOwned, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Item, Listed, Meta, Payload};
use crate::error::DecodeError;
use crate::key::ObjectKey;
use crate::version::ResourceVersion;

const TOO_LARGE: &str = "larger than the limit";

/// What the first stage reads of an object.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "apiVersion")]
    api_version: Option<IgnoredAny>,
    kind: Option<IgnoredAny>,
    #[serde(borrow)]
    metadata: HeadMeta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMeta<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Text<'a>,
    #[serde(borrow, default)]
    uid: Text<'a>,
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
}

/// Text that may be absent or null. (serde borrows a `Cow`, but not one within an `Option`.)
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow, deserialize_with = "text_or_null")] Cow<'a, str>);

/// The second stage: makes objects of type `K` of what a source yields.
pub(crate) struct Decoder<K> {
    /// What is put in front of an object that came without its type: lists of built-in kinds leave it out.
    opening: Vec<u8>,
    keep_managed_fields: bool,
    kind: PhantomData<fn() -> K>,
}

// === impl Decoder ===

impl<K: Resource + DeserializeOwned> Decoder<K> {
    /// `managedFields` are dropped unless asked for: they are a quarter of many objects, and seldom read.
    pub(crate) fn new(dyntype: &K::DynamicType, keep_managed_fields: bool) -> Self {
        let (api_version, kind) = if K::metadata_api() {
            ("meta.k8s.io/v1".into(), "PartialObjectMetadata".into())
        } else {
            (K::api_version(dyntype), K::kind(dyntype))
        };
        let (api_version, kind) = (serde_json::Value::from(api_version), serde_json::Value::from(kind));
        let opening = format!(r#"{{"apiVersion":{api_version},"kind":{kind},"#).into_bytes();
        Self { opening, keep_managed_fields, kind: PhantomData }
    }

    /// Decodes an item. The error names the place and the kind of mismatch, and no value.
    pub(crate) fn decode(&self, item: Item<K>) -> Result<(Meta, K), DecodeError> {
        let Item { meta, payload } = item;
        let decoded = match payload {
            Payload::Object(object) => Ok(*object),
            Payload::Json(json) => decode_json(&json),
            Payload::JsonWithoutType(json) => decode_json(&self.with_type(&json)),
            Payload::TooLarge => return Err(DecodeError::of(&meta, TOO_LARGE)),
        };
        match decoded {
            Ok(mut object) => {
                if !self.keep_managed_fields {
                    object.meta_mut().managed_fields = None;
                }
                Ok((meta, object))
            }
            Err(mismatch::Mismatch { path, what }) => Err(DecodeError {
                key: Some(meta.key),
                uid: Some(meta.uid),
                resource_version: Some(meta.resource_version),
                path,
                mismatch: what,
                source: None,
            }),
        }
    }

    /// A copy with the type in front, so that `K` sees the same from a list as from a watch.
    fn with_type(&self, json: &[u8]) -> Vec<u8> {
        // The first stage has found an object with `metadata`, so there is a brace and something after it.
        let rest = json.iter().position(|byte| *byte == b'{').map_or(json, |brace| &json[brace + 1..]);
        [&self.opening, rest].concat()
    }
}

/// The first stage for an object to be taken in. `object` is a part of `within`; one larger than `largest` is not kept.
pub(super) fn parse_item<K>(within: &Bytes, object: &str, largest: usize) -> Listed<K> {
    let unreadable = || if object.len() > largest { nameless(TOO_LARGE) } else { unreadable(object) };
    let head: Head<'_> = serde_json::from_str(object).map_err(|_| unreadable())?;
    let without_type = head.api_version.is_none() && head.kind.is_none();
    let meta = head.metadata.read().ok_or_else(unreadable)?;
    if object.len() > largest {
        return Ok(Item { meta, payload: Payload::TooLarge });
    }
    let json = within.slice_ref(object.as_bytes());
    let payload = if without_type { Payload::JsonWithoutType(json) } else { Payload::Json(json) };
    Ok(Item { meta, payload })
}

/// The first stage for an object that is gone, of which nothing else is wanted.
pub(super) fn parse_meta(object: &str) -> Result<Meta, DecodeError> {
    let head: Head<'_> = serde_json::from_str(object).map_err(|_| unreadable(object))?;
    head.metadata.read().ok_or_else(|| unreadable(object))
}

// === impl HeadMeta ===

impl HeadMeta<'_> {
    fn read(&self) -> Option<Meta> {
        if self.name.is_empty() || self.resource_version.is_empty() {
            return None;
        }
        Some(Meta {
            key: ObjectKey::new(&self.namespace.0, &self.name),
            uid: self.uid.0.as_ref().into(),
            resource_version: ResourceVersion::from(self.resource_version.as_ref()),
        })
    }
}

fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    struct TextOrNull;
    impl<'de> Visitor<'de> for TextOrNull {
        type Value = Cow<'de, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or null")
        }

        fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(""))
        }
    }
    deserializer.deserialize_any(TextOrNull)
}

fn decode_json<K: DeserializeOwned>(json: &[u8]) -> Result<K, mismatch::Mismatch> {
    serde_json::from_slice(json).map_err(|_| mismatch::explain::<K>(json))
}

/// Of which nothing is known, not even its key.
fn nameless(mismatch: &str) -> DecodeError {
    DecodeError::new(None, None, mismatch)
}

/// Finds out what can be known of an object whose metadata did not read. Only broken objects come here.
#[cold]
fn unreadable(object: &str) -> DecodeError {
    let json: serde_json::Value = serde_json::from_str(object).unwrap_or_default();
    let metadata = json.get("metadata");
    let text = |name: &str| {
        metadata.and_then(|metadata| metadata.get(name)?.as_str()).filter(|text| !text.is_empty())
    };
    let wrong = |name: &str| match metadata.map(|metadata| metadata.get(name)) {
        Some(Some(serde_json::Value::String(text))) => text.is_empty(),
        Some(None | Some(serde_json::Value::Null)) => matches!(name, "name" | "resourceVersion"),
        _ => true,
    };
    let (path, mismatch) = match metadata {
        None if !json.is_object() => (String::new(), "not a JSON object"),
        None => (String::from("metadata"), "missing"),
        Some(metadata) if !metadata.is_object() => (String::from("metadata"), "not an object"),
        Some(_) => {
            let field = ["name", "resourceVersion", "namespace", "uid"].into_iter().find(|name| wrong(name));
            let field = field.map_or(String::from("metadata"), |name| format!("metadata.{name}"));
            (field, "missing, empty or not a string")
        }
    };
    // A namespace that is there but does not read makes the key another object's.
    let namespace_known = metadata.is_some_and(|metadata| match metadata.get("namespace") {
        None | Some(serde_json::Value::Null | serde_json::Value::String(_)) => true,
        Some(_) => false,
    });
    DecodeError {
        uid: text("uid").map(Box::from),
        key: text("name")
            .filter(|_| namespace_known)
            .map(|name| ObjectKey::new(text("namespace").unwrap_or_default(), name)),
        resource_version: text("resourceVersion").map(ResourceVersion::from),
        path,
        mismatch: mismatch.to_owned(),
        source: None,
    }
}
