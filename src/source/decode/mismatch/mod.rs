//! Explains why an object does not fit its type, without quoting values.
//!
//! serde_json's errors quote values, which may be Secrets. So an object that fails to decode is decoded
//! again, by a deserializer whose errors contain only the path, the kind of value found, and what the type
//! expects. Keys of maps are part of the path, as in the output of `kubectl describe` for a Secret.

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Write as _};

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// The longest expectation to print. A type can write any text, and a longer one does not help.
const LONGEST_EXPECTATION: usize = 200;

/// Longer keys are truncated. Names in the API are at most this long.
const LONGEST_KEY: usize = 253;

/// The path and the kind of a mismatch.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) path: String,
    pub(super) what: String,
}

/// An error that collects its path on the way out of the object.
#[derive(Debug, Default)]
struct Stumble {
    /// Innermost first.
    path: Vec<Segment>,
    found: &'static str,
    /// The value is of the right kind, but not accepted.
    of_right_kind: bool,
    expected: String,
}

#[derive(Debug)]
enum Segment {
    Key(String),
    Index(usize),
}

/// Finds the mismatch of an object that did not decode.
#[cold]
pub(super) fn explain<K: DeserializeOwned>(json: &[u8]) -> Mismatch {
    let nowhere = |what: &str| Mismatch { path: String::new(), what: what.to_owned() };
    let Ok(tree) = serde_json::from_slice::<Value>(json) else {
        let is_json = serde_json::from_slice::<de::IgnoredAny>(json).is_ok();
        return nowhere(if is_json { "nested too deeply, or a number out of range" } else { "not JSON" });
    };
    match K::deserialize(Node(&tree)) {
        // For example a duplicate field, of which the tree has only the last.
        Ok(_) => nowhere("does not fit its type"),
        Err(stumble) => Mismatch { path: stumble.path(), what: stumble.what(&tree) },
    }
}

// === impl Stumble ===

impl Stumble {
    fn expecting(found: &'static str, expected: impl Display) -> Self {
        Self { found, expected: expected.to_string(), ..Self::default() }
    }

    fn only(found: &'static str) -> Self {
        Self { found, ..Self::default() }
    }

    fn within(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.path.iter().rev() {
            // Writing to a String cannot fail.
            let _ = match segment {
                Segment::Index(index) => write!(path, "[{index}]"),
                Segment::Key(key) if is_plain(key) && path.is_empty() => write!(path, "{key}"),
                Segment::Key(key) if is_plain(key) => write!(path, ".{key}"),
                Segment::Key(key) => {
                    write!(path, "[\"{}\"]", key.chars().take(LONGEST_KEY).collect::<String>().escape_debug())
                }
            };
        }
        path
    }

    fn what(&self, tree: &Value) -> String {
        // The text comes from the type, which may have put a value into it.
        let expected = if self.expected.len() > LONGEST_EXPECTATION || quotes(&self.expected, tree) {
            ""
        } else {
            &self.expected
        };
        match (expected.is_empty(), self.of_right_kind) {
            (true, false) => self.found.to_owned(),
            (true, true) => format!("{} of a wrong value", self.found),
            (false, false) => format!("{} where {expected} is expected", self.found),
            (false, true) => format!("{} that is not {expected}", self.found),
        }
    }
}

impl de::Error for Stumble {
    fn custom<T: Display>(_text: T) -> Self {
        // The message may contain any value.
        Self::only("rejected by its type")
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expecting(kind_of(&found), expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self { of_right_kind: true, ..Self::expecting(kind_of(&found), expected) }
    }

    fn invalid_length(_length: usize, expected: &dyn Expected) -> Self {
        Self::expecting("another number of elements", expected)
    }

    fn unknown_variant(_found: &str, variants: &'static [&'static str]) -> Self {
        Self::expecting("an unknown variant", format_args!("one of {}", variants.join(", ")))
    }

    fn unknown_field(_found: &str, _fields: &'static [&'static str]) -> Self {
        Self::only("an unknown field")
    }

    fn missing_field(field: &'static str) -> Self {
        Self::only("missing").within(Segment::Key(field.to_owned()))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::only("a field that comes twice").within(Segment::Key(field.to_owned()))
    }
}

impl Display for Stumble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.found)
    }
}

impl std::error::Error for Stumble {}

fn kind_of(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map | Unexpected::StructVariant => "an object",
        _ => "something else",
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= LONGEST_KEY
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Whether a text contains a value of the object. Ignores values of one or two characters, which occur in any
/// text.
fn quotes(text: &str, value: &Value) -> bool {
    match value {
        Value::String(value) => value.len() > 2 && text.contains(value),
        Value::Number(value) => {
            let value = value.to_string();
            value.len() > 2 && text.contains(&value)
        }
        Value::Array(values) => values.iter().any(|value| quotes(text, value)),
        Value::Object(values) => values.values().any(|value| quotes(text, value)),
        Value::Null | Value::Bool(_) => false,
    }
}

// === Deserializer ===

/// A part of the object. Deserializes as serde_json does.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Value);

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Stumble;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stumble> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(value) => {
                if let Some(value) = value.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = value.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(value.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(value) => visitor.visit_str(value),
            Value::Array(values) => visitor.visit_seq(Elements { values: values.iter(), index: 0 }),
            Value::Object(values) => visitor.visit_map(Entries { entries: values.iter(), current: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stumble> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stumble> {
        if name.starts_with("$serde_json::private::") {
            // RawValue, which only serde_json can deserialize.
            let value = self.0.clone();
            return value.deserialize_newtype_struct(name, visitor).map_err(de::Error::custom);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stumble> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(values) => match single(values) {
                Some((name, content)) => visitor
                    .visit_enum(Variant { name, content: Some(content) })
                    .map_err(|error| error.within(Segment::Key(name.clone()))),
                None => Err(Stumble::expecting("an object", "one variant as its only key")),
            },
            other => Err(de::Error::invalid_type(unexpected(other), &"a variant")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct Elements<'a> {
    values: std::slice::Iter<'a, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Stumble;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stumble> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Node(value)).map(Some).map_err(|error| error.within(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

struct Entries<'a> {
    entries: serde_json::map::Iter<'a>,
    current: Option<(&'a String, &'a Value)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Stumble;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stumble> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stumble> {
        let Some((key, value)) = self.current.take() else {
            return Err(Stumble::only("a value without a key"));
        };
        seed.deserialize(Node(value)).map_err(|error| error.within(Segment::Key(key.clone())))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// The key of a map, possibly with numbers or booleans as keys.
struct Key<'a>(&'a str);

macro_rules! parsed_keys {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stumble> {
            match self.0.parse::<$type>() {
                Ok(key) => visitor.$visit(key),
                Err(_) => visitor.visit_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Stumble;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stumble> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stumble> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stumble> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stumble> {
        visitor.visit_enum(Variant { name: self.0, content: None })
    }

    parsed_keys! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i64 i64;
        deserialize_i16 visit_i64 i64;
        deserialize_i32 visit_i64 i64;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u64 u64;
        deserialize_u16 visit_u64 u64;
        deserialize_u32 visit_u64 u64;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
        deserialize_f32 visit_f64 f64;
        deserialize_f64 visit_f64 f64;
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Variant<'a> {
    name: &'a str,
    content: Option<&'a Value>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Stumble;
    type Variant = VariantContent<'a>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, VariantContent<'a>), Stumble> {
        let name: StrDeserializer<'_, Stumble> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, VariantContent(self.content)))
    }
}

struct VariantContent<'a>(Option<&'a Value>);

impl<'de> VariantAccess<'de> for VariantContent<'_> {
    type Error = Stumble;

    fn unit_variant(self) -> Result<(), Stumble> {
        match self.0 {
            None | Some(Value::Null) => Ok(()),
            Some(other) => Err(de::Error::invalid_type(unexpected(other), &"a variant without content")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stumble> {
        seed.deserialize(Node(self.content("a variant with content")?))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Stumble> {
        Node(self.content("a variant with elements")?).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stumble> {
        Node(self.content("a variant with fields")?).deserialize_any(visitor)
    }
}

impl<'a> VariantContent<'a> {
    fn content(&self, expected: &str) -> Result<&'a Value, Stumble> {
        self.0.ok_or_else(|| Stumble::expecting("a variant without content", expected))
    }
}

fn single(values: &Map<String, Value>) -> Option<(&String, &Value)> {
    if values.len() == 1 { values.iter().next() } else { None }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(value) if value.is_f64() => Unexpected::Float(0.0),
        Value::Number(_) => Unexpected::Unsigned(0),
        Value::String(value) => Unexpected::Str(value),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}
