//! Resource versions: how the API server names states of a kind, and which of two is newer.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A Kubernetes `resourceVersion`.
///
/// Versions of one kind are compared as decimals of any length (KEP-5504). A version that is not such a
/// decimal can only be equal to another or not: [`PartialOrd`] then answers `None`.
///
/// Comparing, hashing and cloning never allocate. Versions of different kinds have nothing to do with each
/// other, and nothing stops a caller from comparing them.
///
/// ```
/// use kube_informer::ResourceVersion;
///
/// assert!(ResourceVersion::from("99") < ResourceVersion::from("100"));
/// assert!(ResourceVersion::from("18446744073709551616") > ResourceVersion::from("7"));
/// assert_eq!(ResourceVersion::from("v1-opaque").partial_cmp(&ResourceVersion::from("7")), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResourceVersion(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    /// A canonical decimal that fits, which is every version etcd gives out.
    Number(u64),
    Text(Arc<str>),
}

impl ResourceVersion {
    /// The version as a number, when it is a canonical decimal below 2^64.
    pub(crate) fn as_number(&self) -> Option<u64> {
        match self.0 {
            Repr::Number(number) => Some(number),
            Repr::Text(_) => None,
        }
    }

    pub(crate) fn from_number(number: u64) -> Self {
        Self(Repr::Number(number))
    }

    /// Whether it is the empty text, which no server gives out: it tells nothing apart.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.0, Repr::Text(text) if text.is_empty())
    }

    /// Whether versions like this one can be put in order.
    pub(crate) fn is_ordered(&self) -> bool {
        match &self.0 {
            Repr::Number(_) => true,
            Repr::Text(text) => is_canonical_decimal(text),
        }
    }
}

impl From<&str> for ResourceVersion {
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(number) if is_canonical_decimal(text) => Self(Repr::Number(number)),
            _ => Self(Repr::Text(text.into())),
        }
    }
}

impl From<String> for ResourceVersion {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl PartialOrd for ResourceVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (&self.0, &other.0) {
            (Repr::Number(a), Repr::Number(b)) => Some(a.cmp(b)),
            (Repr::Text(a), Repr::Text(b)) if a == b => Some(Ordering::Equal),
            (Repr::Text(a), Repr::Text(b)) if is_canonical_decimal(a) && is_canonical_decimal(b) => {
                Some(a.len().cmp(&b.len()).then_with(|| a.cmp(b)))
            }
            // A decimal kept as text did not fit, so it is the larger one.
            (Repr::Number(_), Repr::Text(b)) if is_canonical_decimal(b) => Some(Ordering::Less),
            (Repr::Text(a), Repr::Number(_)) if is_canonical_decimal(a) => Some(Ordering::Greater),
            _ => None,
        }
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => write!(f, "{number}"),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceVersion({self})")
    }
}

fn is_canonical_decimal(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_canonical_decimal_only_equals_itself() {
        for text in ["", "007", "-1", "1.5", "abc", "+5", "١"] {
            let odd = ResourceVersion::from(text);
            assert_eq!(odd.partial_cmp(&ResourceVersion::from("5")), None, "{text:?}");
            assert_eq!(odd.partial_cmp(&odd.clone()), Some(Ordering::Equal));
            assert!(!odd.is_ordered());
            assert_eq!(odd.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn decimals_of_any_length_compare_as_numbers(a in "[1-9][0-9]{0,30}", b in "[1-9][0-9]{0,30}") {
            let expected = a.parse::<u128>().unwrap().cmp(&b.parse::<u128>().unwrap());
            prop_assert_eq!(ResourceVersion::from(a.as_str()).partial_cmp(&ResourceVersion::from(b.as_str())), Some(expected));
        }
    }
}
