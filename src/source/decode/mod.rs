//! The two stages of decoding: the identity and version of an object, then the object.
//!
//! Between them, the store checks whether it has the version already; if so, the object is not decoded again.

mod mismatch;
mod repair;
mod skim;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use kube_core::{ObjectMeta, Resource};
use serde::de::{DeserializeOwned, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use simdutf8::basic::from_utf8;

use self::mismatch::Mismatch;
use self::repair::repaired;
use self::skim::skim;
use super::json::{Cursor, blank, lossy, member, text};
use super::{Item, Json, Listed, Meta};
use crate::error::DecodeError;
use crate::key::ObjectKey;
use crate::version::ResourceVersion;

const TOO_LARGE: &str = "larger than the limit";
const NO_JSON: &str = "not JSON";
const TWO_IDENTITIES: &str = "two names, namespaces, uids or versions";

/// The parts of an object that the first stage reads.
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
    #[serde(borrow, default)]
    resource_version: Text<'a>,
}

/// Text that may be absent or null. (serde borrows a `Cow`, but not one within an `Option`.)
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow, deserialize_with = "text_or_null")] Cow<'a, str>);

/// What the first stage has found out.
struct Known {
    meta: Meta,
    without_type: bool,
    /// Where they are, if it has come by them.
    managed_fields: Option<Range<usize>>,
}

/// The second stage: decodes the items of a source into objects of type `K`.
pub(crate) struct Decoder<K> {
    /// The type, prepended to objects that have none, as in lists of built-in kinds.
    opening: Vec<u8>,
    keep_managed_fields: bool,
    kind: PhantomData<fn() -> K>,
}

// === impl Decoder ===

impl<K: Resource + DeserializeOwned> Decoder<K> {
    /// `managedFields` are dropped by default: they are a quarter of many objects, and rarely read.
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

    /// Decodes an object. The error has the path and the kind of mismatch, but no value.
    pub(crate) fn decode(&self, meta: &Meta, json: &Json) -> Result<K, DecodeError> {
        let text = self.text(meta, json)?;
        let decoded = from_json(&text).or_else(|_| {
            // Rare: only objects that failed to decode are repaired.
            let repaired = repaired(&text, self.keep_managed_fields);
            serde_json::from_slice(&repaired).map_err(|_| mismatch::explain::<K>(&repaired))
        });
        let mut object: K = decoded.map_err(|Mismatch { path, what }| DecodeError {
            path: path.into(),
            ..DecodeError::of(meta, &what)
        })?;
        // The first stage ends as soon as it has read an identity. A later one in the same text would be another.
        if !is_same(meta, object.meta()) {
            return Err(DecodeError::of(meta, TWO_IDENTITIES));
        }
        if !self.keep_managed_fields {
            object.meta_mut().managed_fields = None;
        }
        Ok(object)
    }

    /// Makes a value of the text of an object, by a function of the application.
    pub(crate) fn decode_with<T>(
        &self,
        meta: &Meta,
        json: &Json,
        mut decode: impl FnMut(&str) -> Result<T, Arc<dyn StdError + Send + Sync>>,
    ) -> Result<T, DecodeError> {
        let text = self.text(meta, json)?;
        let failed = match from_utf8(&text).map(&mut decode) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let decoded = match (failed, repaired(&text, self.keep_managed_fields)) {
            // There is nothing to repair.
            (Some(error), Cow::Borrowed(_)) => Err(error),
            (_, repaired) => decode(&String::from_utf8_lossy(&repaired)),
        };
        decoded.map_err(|source| DecodeError::projection(meta, source))
    }

    /// The text of an object, with its type in it, so that it decodes the same from a list as from a watch.
    ///
    /// Without `managedFields`, it is a copy: a short one takes less time than to decode them.
    fn text<'a>(&self, meta: &Meta, json: &'a Json) -> Result<Cow<'a, [u8]>, DecodeError> {
        let (opening, start, json, known): (&[u8], _, _, _) = match json {
            Json::Whole { json, managed_fields } => (&[], 0, json, managed_fields.clone()),
            // The first stage has read an object with `metadata`, so there is a brace with a member after it.
            Json::WithoutType(json) => (&self.opening, blank(json) + 1, json, None),
            Json::TooLarge => return Err(DecodeError::of(meta, TOO_LARGE)),
        };
        let fields = if self.keep_managed_fields { None } else { known.or_else(|| managed_fields(json)) };
        Ok(match fields {
            Some(fields) => {
                Cow::Owned([opening, &json[start..fields.start], b"null", &json[fields.end..]].concat())
            }
            None if start == 0 => Cow::Borrowed(json),
            None => Cow::Owned([opening, &json[start..]].concat()),
        })
    }
}

/// Where the `managedFields` of an object are, which is to be found without decoding what comes before.
fn managed_fields(json: &[u8]) -> Option<Range<usize>> {
    let mut cursor = Cursor::new(json);
    cursor.enter(b"metadata")?;
    cursor.enter(b"managedFields")?;
    cursor.value_range().ok()
}

/// As `serde_json::from_slice`, which checks each string by itself for valid text, not all at once.
fn from_json<K: DeserializeOwned>(json: &[u8]) -> serde_json::Result<K> {
    match from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(json),
    }
}

#[cfg(test)]
impl<K: Resource + DeserializeOwned> Decoder<K> {
    pub(super) fn decode_item(&self, item: Item<Json>) -> Result<(Meta, K), DecodeError> {
        let object = self.decode(&item.meta, &item.payload)?;
        Ok((item.meta, object))
    }
}

/// Whether these are the metadata of one version of an object.
fn is_same(read: &Meta, decoded: &ObjectMeta) -> bool {
    // Without a version, that of the content was read.
    let version = decoded.resource_version.as_deref().filter(|version| !version.is_empty());
    version.is_none_or(|version| ResourceVersion::from(version) == read.resource_version)
        && decoded.name.as_deref().unwrap_or_default() == read.key.name()
        && decoded.namespace.as_deref().unwrap_or_default() == read.key.namespace()
        && decoded.uid.as_deref().unwrap_or_default() == &*read.uid
}

/// The first stage for an object to be stored. `object` is a slice of `within`; one larger than `largest` is
/// not kept.
pub(super) fn parse_item(within: &Bytes, object: &[u8], largest: usize) -> Listed<Json> {
    let is_large = object.len() > largest;
    let Some(Known { meta, without_type, managed_fields }) = Head::read(object) else {
        // If its text is invalid, keep a repaired copy.
        return match lossy(object) {
            Cow::Owned(copy) if !is_large && Head::read(&copy).is_some() => {
                let copy = Bytes::from(copy);
                parse_item(&copy, &copy, usize::MAX)
            }
            _ if is_large => Err(describe(object, "", TOO_LARGE)),
            _ => Err(unreadable(object)),
        };
    };
    if is_large {
        return Ok(Item { meta, payload: Json::TooLarge });
    }
    let json = within.slice_ref(object);
    let payload = if without_type { Json::WithoutType(json) } else { Json::Whole { json, managed_fields } };
    Ok(Item { meta, payload })
}

/// The first stage for a deleted object, whose content is not needed.
pub(super) fn parse_meta(object: &[u8]) -> Result<Meta, DecodeError> {
    match Head::read(object).or_else(|| Head::read(&lossy(object))) {
        Some(Known { meta, .. }) => Ok(meta),
        None => Err(unreadable(object)),
    }
}

/// An object whose end is missing.
#[cold]
pub(super) fn broken(object: &[u8]) -> DecodeError {
    describe(object, "", NO_JSON)
}

// === impl Head ===

impl<'a> Head<'a> {
    fn read(object: &'a [u8]) -> Option<Known> {
        let Some(known) = skim(object) else { return Self::read_whole(object) };
        let meta = Meta {
            key: ObjectKey::new(known.namespace, known.name),
            uid: known.uid.into(),
            resource_version: ResourceVersion::from(known.resource_version),
        };
        Some(Known { meta, without_type: false, managed_fields: known.managed_fields })
    }

    /// As [`read`](Self::read), of an object that is valid JSON to its end.
    fn read_whole(object: &'a [u8]) -> Option<Known> {
        let Head { api_version, kind, metadata } = serde_json::from_slice(object).ok()?;
        let HeadMeta { name, namespace, uid, resource_version } = metadata;
        if name.is_empty() {
            return None;
        }
        let resource_version = match &*resource_version.0 {
            "" => ResourceVersion::of_content(object),
            version => ResourceVersion::from(version),
        };
        let meta =
            Meta { key: ObjectKey::new(&namespace.0, &name), uid: uid.0.as_ref().into(), resource_version };
        let without_type = api_version.is_none() && kind.is_none();
        Some(Known { meta, without_type, managed_fields: None })
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

/// Finds the error of an object whose metadata cannot be read. Called for broken objects only.
#[cold]
fn unreadable(object: &[u8]) -> DecodeError {
    let (path, mismatch) = match member(object, "metadata") {
        _ if !object.starts_with(b"{") => ("", "not a JSON object"),
        _ if serde_json::from_slice::<IgnoredAny>(object).is_err() => ("", NO_JSON),
        Ok(Some(metadata)) if metadata.starts_with(b"{") => {
            let wrong = |name: &&str| match member(metadata, name).unwrap_or_default() {
                None => *name == "name",
                Some(value) => text(value).is_none_or(|text| text.is_empty() && *name == "name"),
            };
            let fields = ["name", "resourceVersion", "namespace", "uid"];
            (fields.into_iter().find(wrong).unwrap_or_default(), "missing, empty or not a string")
        }
        Ok(Some(_)) => ("metadata", "not an object"),
        Ok(None) | Err(_) => ("metadata", "missing"),
    };
    let path = if mismatch.ends_with("a string") { format!("metadata.{path}") } else { path.to_owned() };
    describe(object, &path, mismatch)
}

/// An error with everything that can be read of the object, which may not be JSON.
#[cold]
fn describe(object: &[u8], path: &str, mismatch: &str) -> DecodeError {
    let metadata = member(object, "metadata").ok().flatten().unwrap_or_default();
    let given = |name| text(member(metadata, name).ok()??).filter(|text| !text.is_empty());
    // Without a readable namespace, the key could be that of another object.
    let namespace = match member(metadata, "namespace") {
        Ok(None) => Some(Cow::Borrowed("")),
        Ok(Some(namespace)) => text(namespace),
        Err(_) => None,
    };
    DecodeError {
        uid: given("uid").map(Into::into),
        key: given("name").zip(namespace).map(|(name, namespace)| ObjectKey::new(&namespace, &name)),
        resource_version: given("resourceVersion").map(|version| ResourceVersion::from(&*version)),
        path: path.into(),
        mismatch: mismatch.into(),
        source: None,
    }
}
