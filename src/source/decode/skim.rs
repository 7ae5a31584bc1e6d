//! Reads the identity and version of an object without reading the rest of it.
//!
//! An API server writes the type first, then the metadata, then the spec and status, which are most of the object and are
//! not looked at. In the metadata of built-in kinds, the name, namespace, uid and version come before all else; in those of
//! custom resources, whose members are in alphabetical order, after the labels and `managedFields`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Text;

/// What is known so far. Filled by [`skim`].
#[derive(Default)]
pub(super) struct Skim<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) namespace: Cow<'a, str>,
    pub(super) uid: Cow<'a, str>,
    pub(super) resource_version: Cow<'a, str>,
    /// The metadata has ended, or nothing that comes after this is needed.
    is_done: bool,
}

/// The metadata of an object.
struct Metadata<'s, 'a>(&'s mut Skim<'a>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Member {
    ApiVersion,
    Kind,
    Metadata,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Name,
    Namespace,
    Uid,
    ResourceVersion,
    #[serde(other)]
    Other,
}

/// What is known of an object, if all of it was read from its beginning: its type is given before the metadata, and nothing
/// in it is missing that a stored object has.
pub(super) fn skim(object: &[u8]) -> Option<Skim<'_>> {
    let mut skim = Skim::default();
    // Ends with an error when all is known, which is how serde lets a visitor stop.
    let _ = serde_json::Deserializer::from_slice(object).deserialize_map(&mut skim);
    (skim.is_done && skim.is_identified()).then_some(skim)
}

// === impl Skim ===

impl Skim<'_> {
    /// All is known but for the namespace, which some objects do not have.
    fn is_identified(&self) -> bool {
        [&self.name, &self.uid, &self.resource_version].iter().all(|text| !text.is_empty())
    }
}

impl<'a> Visitor<'a> for &mut Skim<'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        let (mut has_version, mut has_kind) = (false, false);
        while let Some(member) = members.next_key()? {
            match member {
                Member::ApiVersion => has_version = true,
                Member::Kind => has_kind = true,
                Member::Metadata if has_version && has_kind => {
                    members.next_value_seed(Metadata(&mut *self))?;
                    self.is_done = true;
                    return Err(A::Error::custom(""));
                }
                // In another order, the whole object has to be read.
                Member::Metadata => return Err(A::Error::custom("")),
                Member::Other => {}
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

// === impl Metadata ===

impl<'a> DeserializeSeed<'a> for Metadata<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Metadata<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(field) = fields.next_key()? {
            let into = match field {
                Field::Name => &mut self.0.name,
                Field::Namespace => &mut self.0.namespace,
                Field::Uid => &mut self.0.uid,
                Field::ResourceVersion => &mut self.0.resource_version,
                Field::Other => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *into = fields.next_value::<Text<'_>>()?.0;
            if self.0.is_identified() && !self.0.namespace.is_empty() {
                self.0.is_done = true;
                return Err(A::Error::custom(""));
            }
        }
        Ok(())
    }
}
