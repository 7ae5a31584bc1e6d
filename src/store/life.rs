//! Whether two records of the same name are the same object, and which is older.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::object::Obj;
use crate::snapshot::Invalid;
use crate::source::Meta;
use crate::version::ResourceVersion;

/// A version of one life of a name. Objects that have the same name one after another are different lives,
/// each with its own uid.
pub(super) struct Life<'a> {
    /// Empty if unknown.
    pub(super) uid: Cow<'a, str>,
    pub(super) version: Option<ResourceVersion>,
}

impl<'a> Life<'a> {
    pub(super) fn of(meta: &'a Meta) -> Self {
        Self { uid: Cow::Borrowed(&meta.uid), version: Some(meta.resource_version.clone()) }
    }

    pub(super) fn of_object<T>(object: &'a Obj<T>) -> Self {
        Self { uid: Obj::uid(object), version: Some(Obj::resource_version(object)) }
    }

    pub(super) fn of_invalid(invalid: &'a Invalid) -> Self {
        let error = invalid.error();
        Self { uid: error.uid().unwrap_or_default().into(), version: error.resource_version().cloned() }
    }

    /// Whether both have the same uid. An unknown uid matches any other.
    pub(super) fn is_same_as(&self, other: &Life<'_>) -> bool {
        self.uid.is_empty() || other.uid.is_empty() || self.uid == other.uid
    }

    /// Whether the end of this life, at its version, is the end of another one, too: it is the same, or older.
    pub(super) fn ends(&self, other: &Life<'_>) -> bool {
        self.is_same_as(other) || matches!(other.cmp_version(self), Some(Ordering::Less | Ordering::Equal))
    }

    /// Which version is older. `None` if the versions have no order or one is unknown.
    pub(super) fn cmp_version(&self, other: &Life<'_>) -> Option<Ordering> {
        self.version.as_ref()?.partial_cmp(other.version.as_ref()?)
    }
}
