//! The key of an index by selectors.

use std::fmt;

use super::directory::Place;
use crate::selector::{Required, Selector};

/// A key of an index by selectors ([`selector()`](super::selector())): a label selector, and the namespace it applies
/// in. Objects with the same selector are under one key.
///
/// `Display` prints both; [`View::index_keys`](crate::View::index_keys) lists the keys of an index.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SelectorKey {
    /// `None` for all namespaces.
    namespace: Option<Box<str>>,
    /// In canonical form. `None` for an invalid one.
    selector: Option<Selector>,
}

impl SelectorKey {
    /// The key of the objects whose selector is invalid, which select nothing:
    /// `view.by_index(&index, &SelectorKey::INVALID)` returns them.
    pub const INVALID: Self = Self { namespace: None, selector: None };

    pub(super) fn new(namespace: Option<&str>, selector: Selector) -> Self {
        Self { namespace: namespace.map(Box::from), selector: Some(selector.canonical()) }
    }

    /// The namespace that the selector applies in; `None` if it applies in all. O(1).
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The selector, its requirements in a canonical order; `None` if it is invalid. O(1).
    pub fn selector(&self) -> Option<&Selector> {
        self.selector.as_ref()
    }

    /// Whether the selector matches an object of this namespace whose labels `label` looks up.
    pub(crate) fn matches<'a>(&self, namespace: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.namespace().is_none_or(|mine| mine == namespace)
            && self.selector.as_ref().is_some_and(|selector| selector.all_hold(label))
    }

    /// The places of the directory that the key may be in, none for an invalid selector. Whatever the selector matches
    /// has a bucket in common with each of them.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let namespace = self.namespace();
        self.selector.iter().flat_map(move |selector| {
            let required = selector.required().map(move |required| match required {
                Required::OneOf(label, values) => {
                    Place { namespace, label: Some(label), values: Some(values) }
                }
                Required::Present(label) => Place { namespace, label: Some(label), values: None },
            });
            required.chain([Place { namespace, label: None, values: None }])
        })
    }
}

impl fmt::Display for SelectorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            None => return f.write_str("an invalid selector"),
            Some(selector) if selector.selects_all() => f.write_str("everything")?,
            Some(selector) => selector.fmt(f)?,
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => f.write_str(" in all namespaces"),
        }
    }
}

impl fmt::Debug for SelectorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SelectorKey({self})")
    }
}
