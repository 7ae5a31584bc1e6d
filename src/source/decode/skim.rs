//! Reads the identity and version of an object without reading the rest of it.
//!
//! An API server writes the type first, then the metadata, then the spec and status, which are most of the object and are
//! not looked at. In the metadata of built-in kinds, the name, namespace, uid and version come before all else; in those of
//! custom resources, whose members are in alphabetical order, after the labels and `managedFields`, which are skipped
//! unread: the second stage reads them, and finds what is wrong in them.

use std::ops::Range;

use crate::source::json::Cursor;

/// The identity and version of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Skim<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) uid: &'a str,
    pub(super) resource_version: &'a str,
    /// Where they are in the text of the object, if they come before the others.
    pub(super) managed_fields: Option<Range<usize>>,
}

/// What is known of an object from its beginning: its type is given before the metadata, and nothing in that is missing
/// that a stored object has, or written in an unusual way.
pub(super) fn skim(object: &[u8]) -> Option<Skim<'_>> {
    let mut cursor = Cursor::new(object);
    if !cursor.eat(b'{') {
        return None;
    }
    let (mut has_version, mut has_kind, mut first) = (false, false, true);
    while cursor.another(b'}', std::mem::take(&mut first)).ok()? {
        match cursor.plain_key()? {
            b"apiVersion" => has_version = cursor.plain().is_some(),
            b"kind" => has_kind = cursor.plain().is_some(),
            b"metadata" if has_version && has_kind => return Skim::read(&mut cursor),
            // In another order, the whole object has to be read.
            b"metadata" => return None,
            _ => {
                cursor.value().ok()?;
            }
        }
    }
    None
}

// === impl Skim ===

impl<'a> Skim<'a> {
    /// Reads the metadata as far as needed.
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let mut skim = Self::default();
        if !cursor.eat(b'{') {
            return None;
        }
        let mut first = true;
        while cursor.another(b'}', std::mem::take(&mut first)).ok()? {
            let field = match cursor.plain_key()? {
                b"name" => &mut skim.name,
                b"namespace" => &mut skim.namespace,
                b"uid" => &mut skim.uid,
                b"resourceVersion" => &mut skim.resource_version,
                b"managedFields" => {
                    skim.managed_fields = Some(cursor.value_range().ok()?);
                    continue;
                }
                _ => {
                    cursor.value().ok()?;
                    continue;
                }
            };
            *field = cursor.plain_text()?;
            if skim.is_identified() && !skim.namespace.is_empty() {
                return Some(skim);
            }
        }
        // Some objects have no namespace.
        skim.is_identified().then_some(skim)
    }

    /// All is known but for the namespace.
    fn is_identified(&self) -> bool {
        [self.name, self.uid, self.resource_version].iter().all(|text| !text.is_empty())
    }
}
